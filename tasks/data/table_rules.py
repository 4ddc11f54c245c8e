"""Rules about the accepted rows as a whole."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.data.chat import has_generation_marks
from tasks.data.checks import Check, CheckKind
from tasks.data.derived import SPLITS
from tasks.data.expectations import CheckResult, Suite, judged
from tasks.data.first_pass import AllFacts
from tasks.data.label_rules import Finding, label_share, rows_per_label

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Positions = np.ndarray[Any, np.dtype[np.int64]]


def table_results(
    checks: Sequence[Check], facts: AllFacts, accepted: Positions, tokenizer: "PreTrainedTokenizerBase | None"
) -> tuple[CheckResult, ...]:
    """The results of ``checks`` over the ``accepted`` rows, in the order given."""
    plain = [check for check in checks if check.kind is not CheckKind.RULE]
    observations = Suite(plain).run(_columns(facts, accepted))
    found = {
        id(check): _at(accepted, judged(check, [seen], [0], len(accepted)))
        for check, seen in zip(plain, observations, strict=True)
    }
    return tuple(
        found[id(check)] if id(check) in found else _rule(check, facts, accepted, tokenizer)
        for check in checks
    )


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


def _rule(
    check: Check, facts: AllFacts, accepted: Positions, tokenizer: "PreTrainedTokenizerBase | None"
) -> CheckResult:
    labels, splits = facts.labels[accepted], facts.splits[accepted]
    match check.rule:
        case "template_marks":
            marked = has_generation_marks(tokenizer)
            return _result(check, Finding(marked, "marks" if marked else "a template without marks"))
        case "label_share":
            return _result(check, label_share(labels, facts.label_names, **_numbers(check)))
        case "rows_per_label":
            return _result(check, rows_per_label(labels, splits, facts.label_names, **_numbers(check)))
        case _:
            raise AssertionError(f"no table rule {check.rule}")


def _result(check: Check, finding: Finding) -> CheckResult:
    return CheckResult(check, finding.holds, float(finding.holds), np.empty(0, np.int64), found=finding.words)


def _numbers(check: Check) -> dict[str, Any]:
    return dict(check.arguments)
