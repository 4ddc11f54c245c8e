"""Faults in data that bring their own splits and groups."""

from collections.abc import Sequence
from random import Random

from benchmarks.faults.planting import Fault, Planted, Rows, set_to


def placed(rows: Rows) -> Rows:
    """``rows`` with a split by their position and a group of four neighbours."""
    splits = ["train"] * 12 + ["tune"] * 4 + ["gate"] * 8 + ["reserve"] * 8
    return [
        {**row, "split": splits[index % len(splits)], "group": f"group {index // 4}"}
        for index, row in enumerate(rows)
    ]


def question_twice(rows: Rows, positions: Sequence[int], random: Random) -> Planted:
    """Each position asks in another split what a row asks elsewhere, in other letters and spaces."""
    groups = []
    for position in positions:
        twin = _in_another_split(rows, position)
        rows[position] = {
            **rows[position],
            "text": f"  {rows[twin]['text'].upper()} ",
            "label": rows[twin]["label"],
        }
        groups += [frozenset([position]), frozenset([twin])]
    return Planted(tuple(groups))


def group_torn(rows: Rows, positions: Sequence[int], random: Random) -> Planted:
    """Each position joins a group that lies in another split."""
    groups = []
    for position in positions:
        twin = _in_another_split(rows, position)
        rows[position] = {**rows[position], "group": rows[twin]["group"]}
        members = [i for i, row in enumerate(rows) if row["group"] == rows[twin]["group"]]
        groups += [frozenset([position]), *(frozenset([i]) for i in members if i != position)]
    return Planted(tuple(dict.fromkeys(groups)))


def unseen_label(rows: Rows, positions: Sequence[int], random: Random) -> Planted:
    """A label that train never shows."""
    held_out = [position for position in range(len(rows)) if rows[position]["split"] == "gate"][
        : len(positions)
    ]
    for position in held_out:
        rows[position] = {**rows[position], "label": "ABBR"}
    for position, row in enumerate(rows):
        if row["label"] == "ABBR" and position not in held_out:
            rows[position] = {**row, "label": "DESC"}
    return Planted(())


def _in_another_split(rows: Rows, position: int) -> int:
    # Far enough away to belong to no other planted pair.
    return next(i for i in range(position - 3, 0, -1) if rows[i]["split"] != rows[position]["split"])


PLACED: tuple[Fault, ...] = (
    Fault("unknown split", "split_value", set_to("split", "test")),
    Fault("null split", "split_value", set_to("split", None)),
    Fault("question in two splits", "no_question_in_two_splits", question_twice),
    Fault("group in two splits", "no_group_in_two_splits", group_torn),
    Fault("label that train never shows", "labels_seen_in_train", unseen_label, alone=True),
)
