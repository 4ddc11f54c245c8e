"""A model card in the form of the Hugging Face Hub, for what a run accepted; it holds no row's text."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data_contracts.hub_names import is_hub_name
from data_contracts.records.decision import RuleResult, Verdict
from data_contracts.records.evidence import ArtifactKind, MetricValue
from data_contracts.records.metrics import Task
from tasks.audit.accepted import Accepted
from tasks.audit.explanation_markdown import MARKS
from tasks.data.pages.text_bars import code_cell
from tasks.data.rules.withholding import shown_values
from tasks.decisions.gates.guardrails import GUARDRAIL

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCardData

MODEL_CARD = "MODEL_CARD.md"

_PIPELINES = {
    Task.CLASSIFICATION: "text-classification",
    Task.INSTRUCTION: "text-generation",
    Task.COMPLETION: "text-generation",
}
_MOST_LABELS = 50


def model_card(found: Accepted) -> str:
    """Metadata and text, as one file that the Hub reads as ``README.md``."""
    return f"---\n{card_metadata(found).to_yaml()}\n---\n\n{card_text(found)}"


def card_metadata(found: Accepted) -> "ModelCardData":
    """What the Hub indexes: base, library, licence, tags, and a result for each figure of the last look."""
    from huggingface_hub import ModelCardData

    adapter = found.training.served is ArtifactKind.ADAPTER
    name, _ = _base_name(found)
    return ModelCardData(
        base_model=name,
        library_name="peft" if adapter else "transformers",
        license=found.settings.license,
        pipeline_tag=_PIPELINES[found.snapshot.task],
        tags=["lorafirst", str(found.training.rung), *(["adapter"] if adapter else [])],
        model_name=found.report.run_id,
        eval_results=[_result(found, metric) for metric in found.scoring.metrics],
    )


def _result(found: Accepted, metric: MetricValue) -> "EvalResult":
    from huggingface_hub import EvalResult

    interval = found.level if metric.name == found.settings.policy.metric else None
    return EvalResult(
        task_type=_PIPELINES[found.snapshot.task],
        dataset_type=_slug(found.contract.contract_name),
        dataset_name=found.contract.contract_name,
        dataset_split=found.scoring.split.value,
        dataset_revision=found.scoring.snapshot,
        metric_type=metric.name,
        metric_name=metric.name.replace("_", " "),
        metric_value=metric.value,
        metric_args=None if interval is None else interval.model_dump(mode="json"),
    )


def card_text(found: Accepted) -> str:
    """The card below its metadata."""
    run = found.report
    lines = [
        f"# {code_cell(run.name)}: {_title(found)}",
        "",
        f"{code_cell(run.sentence)} Made by lorafirst, run `{run.run_id}`, outcome `{run.outcome.value}`.",
        *_section("What was trained", _training(found)),
        *_section("On what", _data(found)),
        *_section("How it was judged", _judged(found)),
        *_section("Which gates it passed", _gates(found)),
        *_section("Limits", _limits(found)),
        *_section("How to verify", _verify(found)),
    ]
    return "\n".join(lines) + "\n"


def _section(heading: str, lines: Iterator[str]) -> list[str]:
    return ["", f"## {heading}", "", *lines]


def _title(found: Accepted) -> str:
    kind = "adapter" if found.training.served is ArtifactKind.ADAPTER else "model"
    return f"a {code_cell(found.training.rung)} {kind} on {code_cell(_base_name(found)[0])}"


def _training(found: Accepted) -> Iterator[str]:
    training, base = found.training, found.base
    name, revision = _base_name(found)
    yield from _table(
        ("", ""),
        [
            ("artifact", f"`{found.artifact}`, `{training.artifact.digest()}`"),
            ("method", f"{training.rung}, {_adapter(found)}"),
            ("base", f"{code_cell(name)}{revision}, {base.architecture}, {base.parameters:,} parameters"),
            ("digest of the base", f"`{training.base_model}`"),
            ("trained parameters", f"{training.trainable_parameters:,} of {training.total_parameters:,}"),
            ("steps", f"{training.steps:,}, of {training.training.effective_batch_size:,} rows"),
            ("learning rate", f"{training.learning_rate:g}"),
            ("tokens or labels learned from", f"{training.supervised_tokens:,}"),
            ("seed", f"{training.seed}"),
            (
                "loss on tune",
                f"{training.curve[0].tune_loss:.4g} before, {training.kept_tune_loss:.4g} after",
            ),
        ],
    )


def _adapter(found: Accepted) -> str:
    pilot = found.training.pilot
    if pilot is None:
        signed = "signed" if found.permit_is_signed else "unsigned"
        return f"which updates weights of the base, under the {signed} permit `{found.training.permit}`"
    layers = "all linear layers" if pilot.all_linear else f"layers {', '.join(pilot.target_modules)}"
    merged = ", merged into the base" if pilot.merge else ""
    before = f", trained on from the adapter of the run `{pilot.continues}`" if pilot.continues else ""
    return f"rank {pilot.rank}, alpha {pilot.alpha}, {layers}{merged}{before}"


def _data(found: Accepted) -> Iterator[str]:
    contract, snapshot = found.contract, found.snapshot
    splits = ", ".join(f"{record.split} {record.rows:,}" for record in snapshot.splits)
    yield (
        f"{contract.rows_accepted:,} of {contract.rows_read:,} rows satisfied the contract "
        f"{code_cell(contract.contract_name)} (`{contract.contract}`) and were frozen as the snapshot "
        f"`{snapshot.digest()}`: {splits}. Trained on: `train`{_replayed(found)}."
    )
    if snapshot.labels and len(snapshot.labels) <= _MOST_LABELS:
        shown = ", ".join(
            code_cell(label) for label, _ in shown_values((each, 0) for each in snapshot.labels)
        )
        yield f"Labels, in the order of the model's outputs: {shown}."
    yield ""
    yield from _table(
        ("source file", "rows", "digest"),
        [
            (code_cell(Path(file.name).name), f"{file.rows:,}", f"`{file.sha256}`")
            for file in contract.sources
        ],
    )


def _replayed(found: Accepted) -> str:
    digest, rows = found.training.replay, found.training.seen.replayed_rows
    return "" if digest is None else f", and {rows:,} times a general row of those with the digest `{digest}`"


def _judged(found: Accepted) -> Iterator[str]:
    policy, look = found.settings.policy, found.scoring
    side = "at least" if policy.measure.higher_is_better else "at most"
    yield (
        f"On {look.rows:,} rows of `{look.split}`, which nothing but gates has touched "
        f"({code_cell(look.method)}). Registered before the first score, and asked of one-sided "
        f"bounds: {policy.metric} {side} {policy.lenient_target:g} (target {policy.target:g}, margin "
        f"{policy.margin:g})."
    )
    yield ""
    rules = [rule for rule in found.judged.rules if rule.interval is not None]
    yield from _table(
        (
            "rule",
            "mean",
            "lower",
            "upper",
            "confidence of each bound",
            "rows",
            "seeds",
            "asked for",
            "verdict",
        ),
        [_interval_row(rule) for rule in rules],
    )
    figures = ", ".join(f"{metric.name} {metric.value:.4g}" for metric in look.metrics)
    yield ""
    yield f"Of the artifact that is offered alone: {figures}."


def _interval_row(rule: RuleResult) -> tuple[str, ...]:
    interval = rule.interval
    assert interval is not None
    return (
        code_cell(rule.name),
        *(f"{value:.4g}" for value in (interval.mean, interval.lower, interval.upper)),
        f"{1.0 - interval.alpha:.5g}",
        f"{interval.rows:,}",
        str(interval.seeds),
        code_cell(rule.threshold),
        MARKS[rule.verdict],
    )


def _gates(found: Accepted) -> Iterator[str]:
    rows = [
        (each.gate.value, MARKS[each.verdict], code_cell(each.sentence)) for each in found.report.decisions
    ]
    yield from _table(("gate", "verdict", "why"), rows)


def _limits(found: Accepted) -> Iterator[str]:
    level = found.level
    yield "- The figures hold for rows like the gate rows, and say nothing of others."
    if level is not None and level.seeds == 1:
        yield "- One seed was trained: how much another seed would differ is not in the bounds."
    open_rules = [
        code_cell(rule.name)
        for each in found.report.decisions[-2:]
        for rule in each.rules
        if rule.verdict is not Verdict.PASS
    ]
    if open_rules:
        yield f"- Not shown, or not held, by the last gates: {', '.join(dict.fromkeys(open_rules))}."
    rails = [rule.name for rule in found.judged.rules if rule.name.startswith(GUARDRAIL)]
    yield (
        f"- Guardrails that were looked at: {', '.join(map(code_cell, rails))}. Nothing else about safety."
        if rails
        else "- No guardrail was asked for: forgetting, slices, latency and safety were not looked at."
    )
    yield "- Weights can repeat what they were trained on, also after texts were removed from the dossier."
    yield f"- Licence: {found.settings.license}. That of the base and the data was not looked at."
    if not is_hub_name(found.settings.model.source):
        yield "- The base was no model of the Hub; `base_model` above is what the run called it."


def _verify(found: Accepted) -> Iterator[str]:
    yield (
        "The dossier of this run holds the evidence: every decision, every score, and in `manifest.json` the "
        "digest of every file, this one among them. Offline, with the public key of whoever made it:"
    )
    yield ""
    yield "```console"
    yield f"$ lorafirst verify {found.report.run_id} --keyring pipeline.keyring.yaml --rescore 100"
    yield "```"


def _base_name(found: Accepted) -> tuple[str, str]:
    """The base without the place where it lay on one machine, and its revision in words."""
    source = found.settings.model.source
    if is_hub_name(source):
        name, _, revision = source.partition("@")
        return name, f" at revision {code_cell(revision)}" if revision else ""
    return (source if source.startswith("package:") else Path(source).name), ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for cells in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(cells)} |"


def _slug(name: str) -> str:
    """The Hub wants an identifier where a data set has no place there."""
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-") or "data"
