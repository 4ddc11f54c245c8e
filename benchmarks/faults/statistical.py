"""Rules that estimate, by their rates: how often they speak where something is wrong, and where nothing is.

Shifts of a stated size are put into one half of the data; thresholds are the catalogue's own.
"""

import dataclasses
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.faults.checking import Checker
from benchmarks.faults.planting import Rows
from benchmarks.faults.strict import STATISTICAL
from data_contracts.records.drift import DriftAspect
from tasks.data.contracts.rule_catalogue import CATALOGUE
from tasks.data.likeness.earlier import EarlierSnapshots
from tasks.data.rules.drift import drift_between

DRIFT = frozenset({"label_drift", "length_drift", "vocabulary_drift", "two_sample_drift"})
SHARES = (0.0, 0.05, 0.1, 0.2, 0.5)
ALPHA = 0.01
_RULE_OF = {
    DriftAspect.LENGTHS: "length_drift",
    DriftAspect.VOCABULARY: "vocabulary_drift",
    DriftAspect.ROWS: "two_sample_drift",
}


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
        "a tenth of the texts from another source": _from_elsewhere(1 / 10),
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


def mixtures(sources: Mapping[str, Sequence[str]], *, repetitions: int) -> dict[str, Any]:
    """One half of a source as the old rows; as new ones the other half, with a share of its texts replaced by
    those of the next source. How often each rule counts it as drift at its own thresholds."""
    names = list(sources)
    rates: dict[str, dict[str, dict[str, float]]] = {}
    areas: dict[str, dict[str, float]] = {}
    for name, elsewhere in zip(names, [*names[1:], names[0]], strict=True):
        pair = f"{name}, mixed with {elsewhere}"
        rates[pair], areas[pair] = {}, {}
        for share in SHARES:
            fired: Counter[str] = Counter()
            area = 0.0
            for seed in range(repetitions):
                random = Random(seed)
                before, now = _mixed(sources[name], sources[elsewhere], share, random)
                for figure in drift_between(before, now).figures:
                    rule = _RULE_OF[figure.aspect]
                    fired[rule] += figure.drifted(largest_value=_default(rule, "largest"), alpha=ALPHA)
                    area += figure.value if figure.aspect is DriftAspect.ROWS else 0.0
            percent = f"{share:.0%}"
            rates[pair][percent] = {rule: fired[rule] / repetitions for rule in sorted(_RULE_OF.values())}
            areas[pair][percent] = round(area / repetitions, 3)
        print(f"mixtures: {pair} {rates[pair]}", flush=True)
    return {
        "rows_of_each_side": {name: len(texts) // 2 for name, texts in sources.items()},
        "repetitions": repetitions,
        "rates": rates,
        "mean_area_of_two_sample_drift": areas,
    }


def _mixed(
    texts: Sequence[str], others: Sequence[str], share: float, random: Random
) -> tuple[list[str], list[str]]:
    order = random.sample(texts, len(texts))
    before, now = order[: len(order) // 2], order[len(order) // 2 :]
    wanted = set(random.sample(range(len(now)), round(share * len(now))))
    strangers = iter(random.sample(others, len(wanted)))
    return before, [next(strangers) if index in wanted else text for index, text in enumerate(now)]


def _default(rule: str, argument: str) -> float:
    value = CATALOGUE[rule].arguments[argument].default
    assert value is not None
    return value


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
