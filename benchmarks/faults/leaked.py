"""Rows to learn from that nearly repeat what earlier models were judged by."""

import dataclasses
import tempfile
from pathlib import Path

from benchmarks.faults.checking import Checker
from benchmarks.faults.deterministic import ROWS_EACH, Outcome
from benchmarks.faults.planting import Planted, Rows
from data_contracts.records.settings import SplitSettings
from data_contracts.records.snapshot import Split
from tasks.data.likeness.earlier import EarlierSnapshots
from tasks.data.rows.splitting import normalise, split_of

RULE = "seen_in_earlier_gate"


def leaked_gate_rows(check: Checker, rows: Rows) -> Outcome:
    """Planted in new data: train rows that differ in one word from gate rows of an earlier snapshot."""
    half = len(rows) // 2
    before, now = [dict(row) for row in rows[:half]], [dict(row) for row in rows[half:]]
    positions = [20 + 11 * index for index in range(ROWS_EACH)]
    held_out = [i for i in range(half) if _in_split(_long(before, i), Split.GATE)][:ROWS_EACH]
    for position, twin in zip(positions, held_out, strict=True):
        before[twin]["text"] = _long(before, twin)
        now[position] = {**before[twin], "text": _in_train(before[twin]["text"])}
    with tempfile.TemporaryDirectory(prefix="lorafirst-faults-") as temporary:
        check.freeze(before, Path(temporary))
        named = dataclasses.replace(check, earlier=EarlierSnapshots((Path(temporary),)))(now)
    planted = Planted.rows(positions)
    stray = frozenset().union(*named.rows.values()) - planted.allowed
    return Outcome(
        "train row nearly like an earlier gate row",
        RULE,
        planted.found_by(named.rows.get(RULE, frozenset())),
        None,
        tuple(sorted(row + 1 for row in stray)),
    )


def _long(rows: Rows, index: int) -> str:
    return " ".join([rows[index]["text"], *(rows[-1 - (4 * index + n) % 100]["text"] for n in range(4))])


def _in_train(text: str) -> str:
    variants = (f"{text} end{number}" for number in range(1000))
    return next(variant for variant in variants if _in_split(variant, Split.TRAIN))


def _in_split(text: str, split: Split) -> bool:
    return split_of(normalise(text), SplitSettings()) is split
