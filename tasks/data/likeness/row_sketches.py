"""Sketches of what rows ask and of what they say in all, by which rows nearly alike are found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.data.likeness.shingles import shingles_of
from tasks.data.likeness.sketches import Sketches, sketch
from tasks.data.rows.columns import ONE_TEXT, Form
from tasks.data.rows.row_batches import RowBatch
from tasks.data.rows.splitting import opening_turns

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Likeness:
    """Of each row, a sketch of its question and one of its whole text."""

    questions: Sketches
    wholes: Sketches
    """The same as ``questions`` for rows of one text."""

    def put(self, part: slice, other: "Likeness") -> None:
        """Fills in the sketches of a part of the rows."""
        self.questions.put(part, other.questions)
        if self.wholes is not self.questions:
            self.wholes.put(part, other.wholes)

    @classmethod
    def room_for(cls, rows: int, form: Form) -> "Likeness":
        """To be filled in; rows of one text have one sketch."""
        questions = Sketches.room_for(rows)
        return cls(questions, questions if form in ONE_TEXT else Sketches.room_for(rows))

    @classmethod
    def joined(cls, parts: Sequence["Likeness"]) -> "Likeness":
        questions = Sketches.joined([part.questions for part in parts])
        if all(part.wholes is part.questions for part in parts):
            return cls(questions, questions)
        return cls(questions, Sketches.joined([part.wholes for part in parts]))


def likeness_of(batch: RowBatch) -> Likeness:
    """The sketches of a batch's rows."""
    questions = sketch(shingles_of(question_texts(batch)))
    if batch.form in ONE_TEXT:
        return Likeness(questions, questions)
    return Likeness(questions, sketch(shingles_of(whole_texts(batch))))


def question_texts(batch: RowBatch) -> "pa.Array":
    """What each row asks: the text, the prompt, or the turns before the first answer."""
    import pyarrow as pa

    if batch.form is not Form.MESSAGES:
        return next(iter(batch.written.values()))
    return pa.array([_asked(turns) for turns in batch.conversations], pa.string())


def whole_texts(batch: RowBatch) -> "pa.Array":
    """All that a row says."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = list(batch.written.values())
    return texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, pa.scalar("\n"))


def _asked(turns: Any) -> str | None:
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        return None
    contents = (turn.get("content") for turn in opening_turns(turns))
    return "\n".join(content for content in contents if isinstance(content, str))
