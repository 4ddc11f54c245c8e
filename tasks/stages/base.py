"""The stage that asks the base: with the prompt alone, with examples, and how far the data lies from it."""

from data_contracts.records.evidence import ScoringEvidence
from data_contracts.records.metrics import Task
from data_contracts.records.snapshot import Split
from tasks.evidence.store import Stored
from tasks.stages.context import RunContext
from tasks.stages.distance import measure_distance
from tasks.stages.findings import Findings
from tasks.stages.scoring import score_artifact
from tasks.stages.training import train_baseline


def ask_base(context: RunContext, findings: Findings) -> None:
    """The base's best way of answering by ``tune``, and the distance of this data from what it knows."""
    assert findings.snapshot is not None
    findings.probe = train_baseline(context, findings)
    findings.distance = measure_distance(context, findings)
    examples = context.settings.policy.need.examples_in_prompt
    if findings.snapshot.record.task is not Task.INSTRUCTION or examples == 0:
        return
    metric = context.settings.policy.measure
    sign = 1.0 if metric.higher_is_better else -1.0
    by_count = {
        count: sign * _score(context, findings, Split.TUNE, count).record.metric(metric.name)
        for count in (0, examples)
    }
    findings.examples_in_prompt = max(by_count, key=lambda count: (by_count[count], -count))


def score_base(context: RunContext, findings: Findings, split: Split) -> Stored[ScoringEvidence]:
    """The base's scores on ``split``, asked in the way that did best on ``tune``."""
    return _score(context, findings, split, findings.examples_in_prompt)


def _score(context: RunContext, findings: Findings, split: Split, examples: int) -> Stored[ScoringEvidence]:
    folder = "baseline" if examples == 0 else f"baseline-{examples}-examples"
    subject = findings.baseline_subject()
    return score_artifact(context, findings, subject, folder, split, examples_in_prompt=examples)
