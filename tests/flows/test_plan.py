"""``lorafirst plan``: every rung before anything is loaded, in seconds, also for models that lie nowhere."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from data_contracts.records.plan import Plan
from data_contracts.settings_file import load_settings
from flows.command_line import app
from tasks.stages.plan_rows import glance_at
from tests.conftest import MINILM, SMOLLM2
from tests.flows.conftest import small_settings

LLAMA_8B = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "torch_dtype": "bfloat16",
}


def settings_file(folder: Path, **changes: Any) -> Path:
    data = folder / "rows.jsonl"
    rows = [{"text": f"how far is it to place {n}", "label": "abc"[n % 3]} for n in range(400)]
    data.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    file = folder / "settings.yaml"
    file.write_text(yaml.safe_dump(small_settings(data, **changes)), encoding="utf-8")
    return file


def generating(source: str) -> dict[str, Any]:
    return {
        "task": "instruction",
        "model": {"source": source, "max_tokens": 512},
        "policy": {"metric": "exact_match", "target": 0.5, "margin": 0.05},
    }


def planned(file: Path, *options: str) -> Plan:
    result = CliRunner().invoke(app, ["plan", str(file), "--json", *options])
    assert result.exit_code == 0, result.output
    return Plan.model_validate_json(result.output)


def test_a_plan_takes_less_than_six_seconds_and_imports_nothing_heavy(tmp_path: Path) -> None:
    script = (
        f"import sys; sys.argv = ['lorafirst', 'plan', {str(settings_file(tmp_path))!r}]\n"
        "from flows.command_line import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'transformers', 'peft', 'prefect', 'great_expectations', 'datasets'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    start = time.monotonic()
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "fit gate" in result.stdout and "lora needs about" in result.stdout
    assert time.monotonic() - start < 6.0


def test_every_rung_is_there_with_its_parts_its_time_and_what_it_costs(tmp_path: Path) -> None:
    plan = planned(settings_file(tmp_path, machine_hour_price=2.0, pilot={"rank": 8}))
    names = [rung.forecast.rung for rung in plan.rungs]
    assert names == [
        *("lora", "rslora", "dora", "pissa", "adalora", "qlora", "adapter", "layers", "hybrid", "full")
    ]
    assert (plan.rows, plan.steps, plan.timing, plan.chosen) == (200, 12, "not timed", "lora")
    assert plan.mean_tokens == pytest.approx(9, abs=2)
    for rung in plan.rungs:
        assert rung.hours is not None and rung.cost == pytest.approx(2.0 * rung.hours)
        assert rung.needs_permit is (rung.forecast.rung in ("layers", "hybrid", "full"))


def test_the_table_fits_eighty_columns_and_names_what_the_gate_takes(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["plan", str(settings_file(tmp_path, machine_hour_price=2.0))])
    assert result.exit_code == 0
    assert max(map(len, result.output.splitlines())) <= 80
    assert "the fit gate's" in result.output and "needs a permit" in result.output


def test_a_gguf_file_is_planned_from_its_header(tmp_path: Path) -> None:
    plan = planned(settings_file(tmp_path, **generating(SMOLLM2)))
    assert (plan.architecture, plan.parameters) == ("llama", 134_515_008)


def test_a_hub_id_of_any_size_is_planned_from_its_configuration_alone(tmp_path: Path) -> None:
    folder = tmp_path / "hub" / "models--org--large"
    snapshot = folder / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text(json.dumps(LLAMA_8B), encoding="utf-8")
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("a" * 40, encoding="ascii")
    result = plan_elsewhere(settings_file(tmp_path, **generating("org/large")), tmp_path / "hub")
    plan = Plan.model_validate_json(result.stdout)
    assert plan.parameters == 8_030_261_248
    full = plan.rungs[-1]
    assert not full.fits and full.forecast.peak_memory_bytes > 120 * 10**9
    assert full.changes[-1].endswith("GiB more memory")


@pytest.mark.parametrize("offline", ["0", "1"])
def test_a_hub_id_that_is_not_here_is_refused_at_once(tmp_path: Path, offline: str) -> None:
    file = settings_file(tmp_path, **generating("org/absent"))
    start = time.monotonic()
    result = plan_elsewhere(file, tmp_path / "hub", offline=offline)
    assert result.returncode == 2
    assert "config.json" in json.loads(result.stdout)["message"]
    assert time.monotonic() - start < 6.0


def plan_elsewhere(file: Path, hub: Path, *, offline: str = "0") -> subprocess.CompletedProcess[str]:
    """In a process of its own, which has this folder as its hub cache, and a hub where nobody listens."""
    environment = {
        **{name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
        "HF_HUB_CACHE": str(hub),
        "HF_HUB_OFFLINE": offline,
        "HF_ENDPOINT": "http://127.0.0.1:9",
    }
    command = [sys.executable, "-m", "flows.command_line", "plan", str(file), "--json"]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_an_architecture_without_arithmetic_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    config = {"model_type": "electra", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 300}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    plan = planned(settings_file(tmp_path, model={"source": str(folder)}))
    assert not plan.exact and plan.parameters > 100_000


def test_a_folder_without_a_configuration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    file = settings_file(tmp_path, model={"source": str(tmp_path / "model")})
    result = CliRunner().invoke(app, ["plan", str(file)])
    assert result.exit_code == 2 and "config.json" in result.output


@pytest.mark.slow
def test_a_probe_times_a_few_steps_and_leaves_nothing(tmp_path: Path) -> None:
    plan = planned(settings_file(tmp_path, model={"source": MINILM, "max_tokens": 32}), "--probe")
    assert plan.timing == "probe"
    assert plan.rungs[0].processor_hours is not None and plan.rungs[0].processor_hours > 0.0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.jsonl", "settings.yaml"]


def test_long_texts_are_counted_by_their_windows(tmp_path: Path) -> None:
    data = tmp_path / "texts.jsonl"
    data.write_text("".join(json.dumps({"text": "so far so good " * 100}) + "\n" for _ in range(50)), "utf-8")
    changes = {
        "task": "completion",
        "model": {"source": SMOLLM2, "max_tokens": 64},
        "policy": {"extends": "exploratory", "metric": "completion_loss", "target": 1.0, "margin": 0.1},
    }
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump(small_settings(data, **changes)), encoding="utf-8")
    glance = glance_at(load_settings(file))
    # Half of fifty texts are trained on, each of some four hundred tokens in windows of 64.
    assert glance.train_rows is not None and 25 * 6 <= glance.train_rows <= 25 * 8
    assert 50 < glance.mean_tokens <= 64 and glance.labels == 0
