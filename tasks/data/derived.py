"""Columns computed from the rows, so that rules can speak of lengths, roles, identities and splits."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from data_contracts.records.settings import SplitSettings
from tasks.data.columns import CONTENT_COLUMNS, Form
from tasks.data.splitting import content_keys, row_ids, split_of
from tasks.data.tokenization import measure_tokens

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedTokenizerBase


def places_of(frame: "pd.DataFrame") -> list[str]:
    """``FILE, row N`` for each row."""
    return [f"{f}, row {n}" for f, n in zip(frame["source_file"], frame["source_row"], strict=True)]


def with_derived_columns(
    frame: "pd.DataFrame",
    form: Form,
    *,
    tokenizer: "PreTrainedTokenizerBase",
    max_tokens: int,
    shares: SplitSettings,
    places: Sequence[str],
) -> "pd.DataFrame":
    """``frame`` with ``row_id``, ``split``, ``usable``, the lengths, and for messages their shape.

    A row that cannot be encoded has no lengths; ``usable`` says so.

    Raises:
        InputError: the model's chat template refuses a row.
    """
    import pandas as pd

    frame = frame.reset_index(drop=True)
    columns: dict[str, Any] = {"row_id": row_ids(frame, form), "content_key": content_keys(frame, form)}
    if "split" not in frame:
        columns["split"] = [split_of(key, shares).value for key in columns["content_key"]]
    if form is Form.MESSAGES:
        columns["turns_well_formed"] = [_well_formed(turns) for turns in frame["messages"]]
        columns["role_order_ok"] = [_roles_in_order(turns) for turns in frame["messages"]]
        columns["assistant_turns"] = [_roles(turns).count("assistant") for turns in frame["messages"]]
        usable = [
            a and b for a, b in zip(columns["turns_well_formed"], columns["role_order_ok"], strict=True)
        ]
    else:
        content = [frame[name] for name in CONTENT_COLUMNS[form]]
        usable = [all(isinstance(value, str) for value in values) for values in zip(*content, strict=True)]
    columns["usable"] = usable
    columns.update(_lengths(frame, columns["row_id"], form, usable, tokenizer, max_tokens, places))
    derived = {name: pd.Series(values, dtype=object) for name, values in columns.items()}
    return pd.concat([frame, pd.DataFrame(derived)], axis=1)


def _lengths(
    frame: "pd.DataFrame",
    identities: Sequence[str],
    form: Form,
    usable: Sequence[bool],
    tokenizer: "PreTrainedTokenizerBase",
    max_tokens: int,
    places: Sequence[str],
) -> dict[str, list[int | None]]:
    chosen = [index for index, flag in enumerate(usable) if flag]
    # Equal rows have equal lengths; data with many duplicates would otherwise be tokenised many times.
    first: dict[str, int] = {}
    for index in chosen:
        first.setdefault(identities[index], index)
    measured = list(first.values())
    counts = measure_tokens(
        frame.iloc[measured],
        form=form,
        tokenizer=tokenizer,
        max_tokens=max_tokens,
        places=[places[index] for index in measured],
    )
    position_of = {index: position for position, index in enumerate(measured)}
    tokens: list[int | None] = [None] * len(frame)
    supervised: list[int | None] = [None] * len(frame)
    prompts: list[int | None] = [None] * len(frame)
    for index in chosen:
        position = position_of[first[identities[index]]]
        tokens[index] = counts.tokens[position]
        supervised[index] = counts.supervised_tokens[position]
        prompts[index] = counts.prompt_tokens[position]
    return {"tokens": tokens, "supervised_tokens": supervised, "prompt_tokens": prompts}


def _well_formed(turns: Any) -> bool:
    return (
        isinstance(turns, list)
        and bool(turns)
        and all(
            isinstance(turn, dict)
            and set(turn) == {"role", "content"}
            and isinstance(turn["role"], str)
            and isinstance(turn["content"], str)
            and bool(turn["content"].strip())
            for turn in turns
        )
    )


def _roles_in_order(turns: Any) -> bool:
    """After at most one system turn: user, assistant, user, ..., assistant."""
    roles = _roles(turns)
    talk = roles[1:] if roles[:1] == ["system"] else roles
    pairs, odd = divmod(len(talk), 2)
    return pairs > 0 and not odd and talk == ["user", "assistant"] * pairs


def _roles(turns: Any) -> list[object]:
    if not isinstance(turns, list):
        return []
    return [turn.get("role") if isinstance(turn, dict) else None for turn in turns]
