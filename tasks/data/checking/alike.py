"""Rows that nearly repeat others: inside a split, across splits, and the gate rows of earlier snapshots.

Which of two such rows leaves does not depend on the order of the source: rows of earlier snapshots stay
before new ones, held-out rows before those to learn from, and then the row with the lower identity.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_contracts.records.snapshot import Split
from tasks.data.checking.first_pass import AllFacts
from tasks.data.checking.row_set_rules import Met
from tasks.data.likeness.earlier import EarlierSnapshots
from tasks.data.likeness.row_sketches import question_texts, whole_texts
from tasks.data.likeness.shingles import Hashes, jaccard, shingles_of
from tasks.data.likeness.sketches import Pairs, Sketches, candidate_pairs, cross_pairs, similarity
from tasks.data.reading.sources import SourceRows, within
from tasks.data.rows.row_batches import RowBatch
from tasks.data.rules.derived import SPLITS

_MARGIN = 0.15
"""About four standard errors of an estimate: pairs estimated this much below what is asked are compared."""
_COMPARED_ROWS = 300_000
"""Beyond so many suspects (about 0.5 GB of shingles) the estimates alone decide."""

_STAYS = {Split.RESERVE: 0, Split.GATE: 1, Split.TUNE: 2, Split.TRAIN: 3}
"""Held-out rows first, so that what was judged by before is judged by again."""
_RANK = np.array([_STAYS[split] for split in SPLITS] + [4], dtype=np.int64)

TextsOf = Callable[[RowBatch], Any]


@dataclass(frozen=True)
class Compared:
    """All that comparing rows needs."""

    rows: SourceRows
    facts: AllFacts
    left: np.ndarray[Any, np.dtype[np.bool_]]
    """The rows that no other rule has put aside."""
    known: np.ndarray[Any, np.dtype[np.bool_]]
    """The rows that an earlier snapshot holds."""
    earlier: EarlierSnapshots


def inside_splits(of: Compared, least: float) -> Met:
    """Rows of which another row of their split says nearly the same, each with that row."""
    chosen = np.flatnonzero(of.left & of.facts.usable)
    sketches = _likeness(of.facts).wholes.take(chosen)
    pairs = chosen[candidate_pairs(sketches)]
    pairs = pairs[of.facts.splits[pairs[:, 0]] == of.facts.splits[pairs[:, 1]]]
    pairs = _alike(pairs, _likeness(of.facts).wholes, of.rows, whole_texts, least)
    return _losers(pairs, of)


def across_splits(of: Compared, least: float) -> Met:
    """Rows that nearly ask, or in all nearly say, what a row of another split does, each with that row."""
    asked = _same_question_across(of, least)
    remaining = of.left.copy()
    remaining[asked.rows] = False
    chosen = np.flatnonzero(remaining & of.facts.usable)
    likeness = _likeness(of.facts)
    if likeness.wholes is likeness.questions:
        return asked
    pairs = chosen[candidate_pairs(likeness.wholes.take(chosen))]
    pairs = pairs[of.facts.splits[pairs[:, 0]] != of.facts.splits[pairs[:, 1]]]
    pairs = _alike(pairs, likeness.wholes, of.rows, whole_texts, least)
    said = _losers(pairs, of)
    rows, others = np.concatenate([asked.rows, said.rows]), np.concatenate([asked.others, said.others])
    ascending = np.argsort(rows)
    return Met(rows[ascending], others[ascending])


def in_earlier_gates(of: Compared, least: float) -> Met:
    """Rows to learn from that nearly ask, or nearly say, what a gate row of an earlier snapshot does."""
    learned = np.isin(of.facts.splits, [SPLITS.index(Split.TRAIN), SPLITS.index(Split.TUNE)])
    chosen = np.flatnonzero(of.left & of.facts.usable & learned)
    gates = of.earlier.gate_rows()
    found = np.zeros(len(of.facts), dtype=bool)
    if gates is None or not len(chosen):
        return Met(np.empty(0, np.int64), np.empty(0, np.int64))
    likeness = _likeness(of.facts)
    for ours, theirs, texts_of, their_shingles in (
        (likeness.questions, gates.likeness.questions, question_texts, gates.questions),
        (likeness.wholes, gates.likeness.wholes, whole_texts, gates.wholes),
    ):
        pairs = cross_pairs(ours.take(chosen), theirs)
        pairs[:, 0] = chosen[pairs[:, 0]]
        estimate = similarity(ours.take(pairs[:, 0]), theirs.take(pairs[:, 1]))
        pairs = pairs[estimate >= least - _MARGIN]
        sets = _shingle_sets(np.unique(pairs[:, 0]), of.rows, texts_of)
        for row, gate in pairs.tolist():
            if not found[row]:
                found[row] = jaccard(sets[row], their_shingles.of(gate)) >= least
    rows = np.flatnonzero(found)
    return Met(rows, np.full(len(rows), -1))


def known_rows(facts: AllFacts, earlier: EarlierSnapshots) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows an earlier snapshot holds, in any of its splits."""
    return np.isin(facts.row_ids, earlier.row_ids())


def _same_question_across(of: Compared, least: float) -> Met:
    """Rows that ask the same in one split stand or fall together."""
    chosen = np.flatnonzero(of.left & of.facts.usable)
    keys = np.char.add(of.facts.questions[chosen], of.facts.splits[chosen].astype("S3"))
    _, first, back = np.unique(keys, return_index=True, return_inverse=True)
    heads = chosen[first]
    sketches = _likeness(of.facts).questions
    pairs = heads[candidate_pairs(sketches.take(heads))]
    pairs = pairs[of.facts.splits[pairs[:, 0]] != of.facts.splits[pairs[:, 1]]]
    same = of.facts.questions[pairs[:, 0]] == of.facts.questions[pairs[:, 1]]
    alike = _alike(pairs[~same], sketches, of.rows, question_texts, least)
    pairs = np.concatenate([pairs[same], _equal_questions(of.facts, heads), alike])
    known = np.zeros(len(of.facts), dtype=bool)
    known[heads] = np.bincount(back, weights=of.known[chosen], minlength=len(heads)) > 0
    met = _losers(pairs, of, known)
    lost = np.full(len(of.facts), -1)
    lost[met.rows] = met.others
    partner = lost[heads][back]
    hit = partner >= 0
    return Met(chosen[hit], partner[hit])


def _equal_questions(facts: AllFacts, heads: np.ndarray[Any, Any]) -> Pairs:
    """Heads of one question in several splits, which only a group's name or the data's own splits allow."""
    order = heads[np.argsort(facts.questions[heads], kind="stable")]
    found = []
    for step in range(1, len(SPLITS)):
        same = facts.questions[order[step:]] == facts.questions[order[:-step]]
        found.append(np.stack([order[:-step][same], order[step:][same]], axis=1))
    return np.concatenate(found)


def _losers(pairs: Pairs, of: Compared, known: np.ndarray[Any, Any] | None = None) -> Met:
    """Rows that leave so that no pair is left: in the order of precedence, a row leaves if one that stays is
    its like."""
    neighbours: dict[int, list[int]] = {}
    for left, right in pairs.tolist():
        neighbours.setdefault(left, []).append(right)
        neighbours.setdefault(right, []).append(left)
    rank = _precedence(np.unique(pairs), of, of.known if known is None else known)
    stays: set[int] = set()
    lost: dict[int, int] = {}
    for row in rank:
        kept = [other for other in neighbours[row] if other in stays]
        if kept:
            lost[row] = min(kept, key=lambda position: rank[position])
        else:
            stays.add(row)
    rows = np.array(sorted(lost), dtype=np.int64)
    return Met(rows, np.array([lost[row] for row in rows.tolist()], dtype=np.int64))


def _precedence(positions: np.ndarray[Any, Any], of: Compared, known: np.ndarray[Any, Any]) -> dict[int, int]:
    """The positions with their rank, in the order of it: the lower one stays."""
    order = np.lexsort((of.facts.row_ids[positions], _RANK[of.facts.splits[positions]], ~known[positions]))
    return {position: rank for rank, position in enumerate(positions[order].tolist())}


def _alike(pairs: Pairs, sketches: Sketches, rows: SourceRows, texts_of: TextsOf, least: float) -> Pairs:
    """Those of the pairs whose similarity is at ``least`` so much: estimated first, then computed."""
    estimate = similarity(sketches.take(pairs[:, 0]), sketches.take(pairs[:, 1]))
    suspects = pairs[estimate >= least - _MARGIN]
    positions = np.unique(suspects)
    if len(positions) > _COMPARED_ROWS:
        return np.asarray(pairs[estimate >= least])
    sets = _shingle_sets(positions, rows, texts_of)
    found = [jaccard(sets[left], sets[right]) >= least for left, right in suspects.tolist()]
    return np.asarray(suspects[np.array(found, dtype=bool)])


def _shingle_sets(positions: np.ndarray[Any, Any], rows: SourceRows, texts_of: TextsOf) -> dict[int, Hashes]:
    import pyarrow as pa

    sets: dict[int, Hashes] = {}
    if not len(positions):
        return sets
    for batch in rows.batches(positions):
        wanted = within(positions, batch.start, batch.start + len(batch))
        shingles = shingles_of(texts_of(batch).take(pa.array(wanted - batch.start)))
        sets |= {int(row): shingles.of(index) for index, row in enumerate(wanted)}
    return sets


def _likeness(facts: AllFacts) -> Any:
    assert facts.likeness is not None
    return facts.likeness


COMPARERS: dict[str, Callable[[Compared, float], Met]] = {
    "near_duplicates": inside_splits,
    "near_duplicates_across_splits": across_splits,
    "seen_in_earlier_gate": in_earlier_gates,
}
"""By the name of the rule."""
