"""Rules that estimate, by their rates: how often they speak where something is wrong, and where nothing is.

Shifts of a stated size are put into one half of the data; thresholds are the catalogue's own.
"""

import dataclasses
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.faults.checking import Checker
from benchmarks.faults.planting import Rows
from benchmarks.faults.strict import STATISTICAL
from tasks.data.likeness.earlier import EarlierSnapshots

DRIFT = frozenset({"label_drift", "length_drift", "vocabulary_drift", "two_sample_drift"})


def label_errors(check: Checker, rows: Rows, *, share: float, repetitions: int) -> dict[str, Any]:
    """Wrong labels planted in a share of the rows: which of them are named, and which others."""
    check = dataclasses.replace(check, without=DRIFT)
    labels = sorted({row["label"] for row in rows})
    found = named = planted = clean = 0
    for seed in range(repetitions):
        random = Random(seed)
        wrong = set(random.sample(range(len(rows)), round(share * len(rows))))
        changed = [
            {**row, "label": random.choice([label for label in labels if label != row["label"]])}
            if index in wrong
            else row
            for index, row in enumerate(rows)
        ]
        hits = check(changed).rows.get("likely_label_errors", frozenset())
        found, planted = found + len(hits & wrong), planted + len(wrong)
        named, clean = named + len(hits - wrong), clean + len(rows) - len(wrong)
    untouched = check(rows).rows.get("likely_label_errors", frozenset())
    return {
        "rule": "likely_label_errors",
        "rows": len(rows),
        "share_of_wrong_labels": share,
        "repetitions": repetitions,
        "detection_rate": round(found / planted, 3),
        "false_alarm_rate": round(named / clean, 4),
        "named_in_untouched_data": round(len(untouched) / len(rows), 4),
    }


Shift = Callable[[Rows, Rows, Random], Rows]


def drifts(check: Checker, rows: Rows, others: Rows, *, repetitions: int) -> dict[str, Any]:
    """One half of the rows as the earlier snapshot, the other half as new data, unchanged or shifted."""
    shifts: dict[str, Shift] = {
        "nothing": lambda half, others, random: half,
        "a third of the most frequent label gone": _fewer_of_a_label(1 / 3),
        "nine tenths of the most frequent label gone": _fewer_of_a_label(9 / 10),
        "a third of the texts twice as long": _longer,
        "a fifth of the texts from another source": _from_elsewhere(1 / 5),
        "half of the texts from another source": _from_elsewhere(1 / 2),
    }
    fired: dict[str, Counter[str]] = {name: Counter() for name in shifts}
    for seed in range(repetitions):
        random = Random(seed)
        order = random.sample(rows, len(rows))
        before, now = order[: len(order) // 2], order[len(order) // 2 :]
        with tempfile.TemporaryDirectory(prefix="lorafirst-faults-") as temporary:
            check.freeze(before, Path(temporary))
            held = dataclasses.replace(
                check, without=STATISTICAL, earlier=EarlierSnapshots((Path(temporary),))
            )
            for name, shift in shifts.items():
                fired[name].update(held(shift(now, others, random)).broken & DRIFT)
        print(f"drift: {seed + 1} of {repetitions} repetitions", flush=True)
    return {
        "rows_before": len(rows) // 2,
        "rows_now": len(rows) // 2,
        "repetitions": repetitions,
        "rates": {
            name: {rule: counts[rule] / repetitions for rule in sorted(DRIFT)}
            for name, counts in fired.items()
        },
    }


def _fewer_of_a_label(share: float) -> Shift:
    def shift(half: Rows, others: Rows, random: Random) -> Rows:
        most = Counter(row["label"] for row in half).most_common(1)[0][0]
        return [row for row in half if row["label"] != most or random.random() > share]

    return shift


def _longer(half: Rows, others: Rows, random: Random) -> Rows:
    return [
        {**row, "text": f"{row['text']} {random.choice(half)['text']}"} if random.random() < 1 / 3 else row
        for row in half
    ]


def _from_elsewhere(share: float) -> Shift:
    def shift(half: Rows, others: Rows, random: Random) -> Rows:
        lines = iter(random.sample(others, len(half)))
        return [{**row, "text": next(lines)["prompt"]} if random.random() < share else row for row in half]

    return shift
