"""Rules about the accepted rows as a whole."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data_contracts.records.drift import DriftAspect, DriftReport
from tasks.data.checking.expectations import CheckResult, Suite, judged
from tasks.data.checking.first_pass import AllFacts
from tasks.data.checking.label_rules import Finding, enough_rows, label_share, rows_per_label
from tasks.data.contracts.checks import Check, CheckKind
from tasks.data.rules.derived import SPLITS
from tasks.data.tokens.chat import has_generation_marks

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Positions = np.ndarray[Any, np.dtype[np.int64]]

ASPECTS = {
    "label_drift": DriftAspect.LABELS,
    "length_drift": DriftAspect.LENGTHS,
    "vocabulary_drift": DriftAspect.VOCABULARY,
    "two_sample_drift": DriftAspect.ROWS,
}
"""What each rule about drift compares."""


@dataclass(frozen=True)
class Whole:
    """All that rules about the whole look at."""

    facts: AllFacts
    accepted: Positions
    tokenizer: "PreTrainedTokenizerBase | None"
    drift: DriftReport | None
    """``None``: there is no earlier snapshot, and nothing can have drifted."""


def table_results(checks: Sequence[Check], whole: Whole) -> tuple[CheckResult, ...]:
    """The results of ``checks`` over the accepted rows, in the order given."""
    plain = [check for check in checks if check.kind is not CheckKind.RULE]
    observations = Suite(plain).run(_columns(whole.facts, whole.accepted))
    found = {
        id(check): _at(whole.accepted, judged(check, [seen], [0], len(whole.accepted)))
        for check, seen in zip(plain, observations, strict=True)
    }
    return tuple(found[id(check)] if id(check) in found else _rule(check, whole) for check in checks)


def _columns(facts: AllFacts, accepted: Positions) -> dict[str, np.ndarray[Any, Any]]:
    splits, labels = facts.splits[accepted], facts.labels[accepted]
    trained = np.unique(labels[splits == 0])
    return {
        **{f"in_{split}": (splits == code).astype(np.int64) for code, split in enumerate(SPLITS)},
        "label": labels,
        "label_in_train": np.isin(labels, trained),
    }


def _at(accepted: Positions, result: CheckResult) -> CheckResult:
    return dataclasses.replace(result, broken=accepted[result.broken])


def _rule(check: Check, whole: Whole) -> CheckResult:
    facts, accepted = whole.facts, whole.accepted
    labels, splits = facts.labels[accepted], facts.splits[accepted]
    numbers: dict[str, Any] = dict(check.arguments)
    if check.rule in ASPECTS:
        return _result(check, _drifted(whole.drift, ASPECTS[check.rule], **numbers))
    match check.rule:
        case "template_marks":
            marked = has_generation_marks(whole.tokenizer)
            finding = Finding(marked, "marks" if marked else "a template without marks")
        case "label_share":
            finding = label_share(labels, facts.label_names, **numbers)
        case "rows_per_label":
            finding = rows_per_label(labels, splits, facts.label_names, **numbers)
        case "enough_rows":
            finding = enough_rows(labels, splits, facts.label_names, **numbers)
        case _:
            raise AssertionError(f"no rule {check.rule} about the whole")
    return _result(check, finding)


def _drifted(drift: DriftReport | None, aspect: DriftAspect, *, largest: float, alpha: float) -> Finding:
    figure = drift.figure(aspect) if drift is not None else None
    if figure is None:
        return Finding(True, "no earlier snapshot to compare with")
    return Finding(not figure.drifted(largest_value=largest, alpha=alpha), str(figure))


def _result(check: Check, finding: Finding) -> CheckResult:
    return CheckResult(check, finding.holds, float(finding.holds), np.empty(0, np.int64), found=finding.words)
