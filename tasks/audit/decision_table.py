"""Every decision of every run as one table, a row a rule, for whoever counts, plots or audits them."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_contracts.errors import ArtifactDamagedError, InputError, one_line
from data_contracts.records.bases import DecisionRecord
from data_contracts.records.decision import RuleResult
from data_contracts.records.decision_table import UnreadableRun
from data_contracts.records.evidence import RunRequest
from tasks.evidence.dossier import Dossier, list_dossiers

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = (".csv", ".parquet")


@dataclass(frozen=True)
class DecisionTable:
    """The table, and what is not in it."""

    table: "pa.Table"
    runs: int
    decisions: int
    unreadable: tuple[UnreadableRun, ...]


def decision_schema() -> "pa.Schema":
    """Names and types of the columns, whatever the runs hold."""
    import pyarrow as pa

    text, number, time = pa.string(), pa.float64(), pa.timestamp("us", tz="UTC")
    return pa.schema(
        [
            pa.field("run", text, nullable=False),
            pa.field("asked_at", time, nullable=False),
            pa.field("decided_at", time, nullable=False),
            pa.field("number", pa.int32(), nullable=False),  # of the decision in its run, from 1
            pa.field("gate", text, nullable=False),
            pa.field("look", text),
            pa.field("verdict", text, nullable=False),
            ("rule", text),
            ("observed", text),
            ("mean", number),
            ("lower", number),
            ("upper", number),
            ("alpha", number),
            ("rows", pa.int64()),
            ("seeds", pa.int32()),
            ("method", text),
            ("threshold", text),
            ("rule_verdict", text),
            ("decides", pa.bool_()),
            ("sentence", text),
            ("outcome", text),  # of the run; null while it has not ended
        ]
    )


def tabulate_decisions(output: Path) -> DecisionTable:
    """The decisions below ``output``, by the time at which runs were asked for, then in their order.

    A decision without rules has one row too. A dossier that cannot be read is named and hides no other.

    Raises:
        InputError: there is no dossier at all.
    """
    import pyarrow as pa

    rows: list[dict[str, Any]] = []
    unreadable: list[UnreadableRun] = []
    decisions = runs = 0
    for dossier in _require_some(output):
        try:
            request, records, report = dossier.request(), dossier.decision_records(), dossier.report()
        except ArtifactDamagedError as error:
            unreadable.append(UnreadableRun(run_id=dossier.folder.name, why=one_line(error, 2000)))
            continue
        runs, decisions = runs + 1, decisions + len(records)
        outcome = report.outcome.value if report else None
        for number, record in enumerate(records, 1):
            rows.extend(_rows(request, number, record, outcome))
    rows.sort(key=lambda row: (row["asked_at"], row["run"]))
    table = pa.Table.from_pylist(rows, schema=decision_schema())
    return DecisionTable(table, runs, decisions, tuple(sorted(unreadable, key=lambda each: each.run_id)))


def table_bytes(table: "pa.Table", suffix: str) -> bytes:
    """``table`` as CSV (a null is an empty field, times are UTC) or as parquet."""
    import pyarrow.csv
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    if suffix == ".csv":
        pyarrow.csv.write_csv(table, stream)
    else:
        pq.write_table(table, stream, compression="zstd")
    return stream.getvalue()


def _require_some(output: Path) -> tuple[Dossier, ...]:
    found = list_dossiers(output)
    if not found:
        raise InputError.single(
            f"--output {output}",
            expected="a folder of dossiers",
            found="no dossier in it" if output.is_dir() else "no such folder",
            remedy="name the folder that `lorafirst run` wrote to",
        )
    return found


def _rows(
    request: RunRequest, number: int, record: DecisionRecord, outcome: str | None
) -> Iterator[dict[str, Any]]:
    decision = record.judgement.decision
    common = {
        "run": request.run_id,
        "asked_at": request.requested_at,
        "decided_at": datetime.fromisoformat(record.made_at),
        "number": number,
        "gate": decision.gate.value,
        "look": decision.look.value if decision.look else None,
        "verdict": decision.verdict.value,
        "outcome": outcome,
    }
    if not decision.rules:
        yield {**common, "sentence": decision.sentence}
    for rule in decision.rules:
        yield {**common, **_rule(rule)}


def _rule(rule: RuleResult) -> dict[str, Any]:
    names = ("mean", "lower", "upper", "alpha", "rows", "seeds", "method")
    interval = {} if rule.interval is None else {name: getattr(rule.interval, name) for name in names}
    return {
        "rule": rule.name,
        "observed": rule.observed,
        **interval,
        "threshold": rule.threshold,
        "rule_verdict": rule.verdict.value,
        "decides": rule.decides,
        "sentence": rule.sentence,
    }
