"""Every rule over all rows: first those about single rows, then repetitions, then what is left as a whole."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data_contracts.errors import InputError, Problem
from data_contracts.progress import Progress, silent
from data_contracts.records.drift import DriftReport
from data_contracts.records.metrics import Task
from data_contracts.records.settings import SplitSettings
from data_contracts.records.snapshot import ContractEvidence, ContractRule, Split
from tasks.data.checking.alike import COMPARERS, Compared, known_rows
from tasks.data.checking.expectations import CheckResult
from tasks.data.checking.findings import Rejections, contract_rule
from tasks.data.checking.first_pass import AllFacts, walk
from tasks.data.checking.row_set_rules import (
    CROSSING,
    Met,
    crossing,
    first_equal,
    is_repetition,
    repeated_rows,
    result_of,
    with_first,
)
from tasks.data.checking.samples import contradicted_labels, drift_from_last
from tasks.data.checking.table_rules import ASPECTS, Whole, table_results
from tasks.data.contracts.checks import Check, Scope
from tasks.data.contracts.pipeline_rules import (
    ACROSS_SPLITS,
    row_checks,
    set_checks,
    table_checks,
    with_limit,
)
from tasks.data.contracts.rule_catalogue import CATALOGUE
from tasks.data.likeness.earlier import EarlierSnapshots
from tasks.data.reading.sources import SourceRows
from tasks.data.rows.columns import CONTENT_COLUMNS, DERIVED_COLUMNS, Form, forms_of
from tasks.data.rules.derived import SPLITS
from tasks.data.tokens.lengths import CUT_WORDS, Cut

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Checks:
    """The contract's checks and the pipeline's, by when they can be run."""

    rows: tuple[Check, ...]
    """About single rows."""
    repetitions: tuple[Check, ...]
    """About what stands there twice, among all rows."""
    likenesses: tuple[Check, ...]
    """About rows that look at one another, among those left by then."""
    table: tuple[Check, ...]
    """About the accepted rows as a whole; the pipeline's own are added when the reserve is known."""


@dataclass(frozen=True)
class Examination:
    """What all rules found."""

    facts: AllFacts
    rejections: Rejections
    row_results: tuple[CheckResult, ...]
    """Over all rows."""
    likeness_results: tuple[CheckResult, ...]
    """Over the rows left by the others."""
    table_results: tuple[CheckResult, ...]
    """Over the accepted rows; their positions count among all rows."""
    drift: DriftReport | None


def checks_for(
    asked: Sequence[Check],
    contract: str,
    task: Task,
    rows: SourceRows,
    *,
    max_tokens: int,
    with_tokens: bool = True,
) -> Checks:
    """The checks ``asked`` for by ``contract`` that apply to rows of this form, and the pipeline's own.

    Those about tokens are left out unless ``with_tokens``.

    Raises:
        InputError: one is about a column that these rows, whatever their form, do not have.
    """
    applicable = [
        with_limit(check, rows.form, max_tokens) for check in _applicable(asked, contract, task, rows)
    ]
    user_split, grouped = "split" in rows.columns, "group" in rows.columns
    own = row_checks(rows.form, max_tokens=max_tokens, user_split=user_split, asked=applicable)
    pointing = [*applicable, *own, *set_checks(user_split=user_split, grouped=grouped)]
    if not with_tokens:
        pointing = [check for check in pointing if not _about_tokens(check)]
        applicable = [check for check in applicable if not _about_tokens(check)]
    return Checks(
        rows=tuple(
            c for c in pointing if c.scope is Scope.ROW and not c.whole_table and not is_repetition(c)
        ),
        repetitions=tuple(c for c in pointing if is_repetition(c) or _is_crossing(c)),
        likenesses=tuple(
            c for c in pointing if c.scope is Scope.ROWS and not is_repetition(c) and not _is_crossing(c)
        ),
        table=tuple(c for c in applicable if c.whole_table),
    )


def examine(
    rows: SourceRows,
    checks: Checks,
    *,
    tokenizer: "PreTrainedTokenizerBase | None",
    max_tokens: int,
    splits: SplitSettings,
    earlier: EarlierSnapshots,
    progress: Progress = silent,
) -> Examination:
    """Runs all checks over all rows.

    Raises:
        InputError: the tokenizer does not suit the rows.
    """
    unique = [check for check in checks.repetitions if is_repetition(check)]
    first = walk(
        rows,
        checks.rows,
        tokenizer=tokenizer,
        max_tokens=max_tokens,
        shares=splits,
        compare=any(check.rule in COMPARERS for check in checks.likenesses),
        digests_of=sorted({name for check in unique for name in check.columns}),
        progress=progress,
    )
    facts = first.facts
    row_results = (*_with_cuts(first.results, facts), *_repetitions(checks.repetitions, unique, facts))
    rejections = Rejections.of(row_results, len(rows), rows.place)
    left = ~rejections.rejected
    compared = Compared(rows, facts, left, known_rows(facts, earlier), earlier)
    likeness_results = tuple(_compared(check, compared) for check in checks.likenesses)
    rejections = Rejections.of((*row_results, *likeness_results), len(rows), rows.place)
    accepted = np.flatnonzero(~rejections.rejected)
    reserved = splits.reserve > 0
    if "split" in rows.columns:
        reserved = bool((facts.splits == SPLITS.index(Split.RESERVE)).any())
    own = table_checks(rows.form, user_split="split" in rows.columns, reserved=reserved)
    drift = None
    if any(check.rule in ASPECTS for check in checks.table):
        drift = drift_from_last(rows, facts, accepted, earlier)
    found = table_results((*checks.table, *own), Whole(facts, accepted, tokenizer, drift))
    return Examination(facts, rejections, row_results, likeness_results, found, drift)


def evidence_of(
    rows: SourceRows,
    found: Examination,
    *,
    task: Task,
    contract: str,
    contract_name: str,
    max_tokens: int,
) -> ContractEvidence:
    """The examination as a record."""
    facts, rejected = found.facts, found.rejections.rejected
    read, accepted = len(rows), int((~rejected).sum())
    names = sorted({facts.label_names[code] for code in np.unique(facts.labels[~rejected]) if code >= 0})
    # Rules about likeness look at the rows that the others leave.
    looked_at = read - int(Rejections.of(found.row_results, read, rows.place).rejected.sum())

    def told(results: Sequence[CheckResult], count: int) -> tuple[ContractRule, ...]:
        return tuple(_told(result, count, rows, facts) for result in results)

    return ContractEvidence(
        task=task,
        contract=contract,
        contract_name=contract_name,
        sources=rows.files,
        notes=rows.notes,
        rows_read=read,
        rows_accepted=accepted,
        rows_quarantined=read - accepted,
        max_tokens=max_tokens,
        cut_rows={cut.name.lower(): count for cut, count in _cuts(facts).items()},
        rules=(
            *told(found.row_results, read),
            *told(found.likeness_results, looked_at),
            *told(found.table_results, accepted),
        ),
        labels=tuple(names) if rows.form is Form.CLASSIFICATION else (),
        drift=found.drift,
    )


def _told(result: CheckResult, count: int, rows: SourceRows, facts: AllFacts) -> ContractRule:
    def place(position: int) -> str:
        split = facts.splits[position]
        named = result.check.rule in ACROSS_SPLITS and split < len(SPLITS)
        return rows.place(position) + (f" ({SPLITS[split]})" if named else "")

    return contract_rule(result, rows=count, place=place)


def _compared(check: Check, compared: Compared) -> CheckResult:
    rows = int(compared.left.sum())
    numbers: dict[str, Any] = dict(check.arguments)
    if check.rule in COMPARERS:
        return result_of(check, COMPARERS[check.rule](compared, numbers["similarity"]), rows)
    wrong = contradicted_labels(compared, **numbers)
    return result_of(check, Met(wrong, np.full(len(wrong), -1)), rows)


def _about_tokens(check: Check) -> bool:
    if check.rule in CATALOGUE and CATALOGUE[check.rule].needs_tokenizer:
        return True
    return any(column.endswith("tokens") for column in check.columns)


def _is_crossing(check: Check) -> bool:
    return check.rule in CROSSING


def _applicable(asked: Sequence[Check], contract: str, task: Task, rows: SourceRows) -> list[Check]:
    """The checks less those of another form; a column that is in no form is refused."""
    form = rows.form
    present = {*CONTENT_COLUMNS[form], *DERIVED_COLUMNS[form], *(rows.columns)}
    others = {
        column for other in forms_of(task) for column in (*CONTENT_COLUMNS[other], *DERIVED_COLUMNS[other])
    } - present
    checks, absent = [], []
    for check in asked:
        if check.rule is not None and form not in CATALOGUE[check.rule].forms:
            continue
        missing = [column for column in check.columns if column not in present]
        if not missing:
            checks.append(check)
        elif not set(missing) <= others:
            absent.append(
                Problem(
                    where=f"contract {contract}, rule {check.name}",
                    expected=f"a column among {', '.join(sorted(present))}",
                    found=f"{', '.join(missing)}, which these rows do not have",
                    remedy="set data.columns.split, or remove the rule",
                )
            )
    if absent:
        raise InputError(absent)
    return checks


def _repetitions(
    checks: Sequence[Check], unique: Sequence[Check], facts: AllFacts
) -> tuple[CheckResult, ...]:
    first = first_equal(facts)
    repeated = iter(repeated_rows(facts, unique))
    return tuple(
        with_first(next(repeated), first)
        if is_repetition(check)
        else result_of(check, crossing(check, facts), len(facts))
        for check in checks
    )


def _with_cuts(results: Sequence[CheckResult], facts: AllFacts) -> tuple[CheckResult, ...]:
    """The rule about truncation says what would be cut."""
    cuts = ", ".join(f"{count} lose {CUT_WORDS[cut]}" for cut, count in _cuts(facts).items())
    return tuple(
        dataclasses.replace(result, found=cuts) if result.check.rule == "max_tokens" else result
        for result in results
    )


def _cuts(facts: AllFacts) -> dict[Cut, int]:
    counts = Counter(facts.cut.tolist())
    return {cut: counts[cut] for cut in Cut if cut is not Cut.NOTHING and counts[cut]}
