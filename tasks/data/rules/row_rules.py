"""The rules of our own about single rows: for each, which rows of a batch break it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tasks.data.contracts.checks import Check
from tasks.data.rows.row_batches import RowBatch
from tasks.data.rules.derived import RowFacts
from tasks.data.rules.privacy_rules import (
    has_card_numbers,
    has_email_addresses,
    has_phone_numbers,
    has_secrets,
)
from tasks.data.rules.text_rules import (
    Flags,
    has_control_characters,
    has_mojibake,
    has_replacement_characters,
)
from tasks.data.tokens.lengths import Cut

_TEXT_RULES: dict[str, Callable[[Any], Flags]] = {
    "replacement_characters": has_replacement_characters,
    "control_characters": has_control_characters,
    "mojibake": has_mojibake,
    "email_addresses": has_email_addresses,
    "phone_numbers": has_phone_numbers,
    "card_numbers": has_card_numbers,
    "secrets": has_secrets,
}

ANSWER_LOST = (Cut.ANSWER, Cut.PROMPT)

_FACT_RULES: dict[str, Callable[[RowFacts], Flags]] = {
    "token_boundary": lambda facts: ~facts.counts.joined,
    "template_renders": lambda facts: ~facts.counts.rendered,
    "max_tokens": lambda facts: facts.counts.cut != Cut.NOTHING,
    "answer_cut_away": lambda facts: np.isin(facts.counts.cut, ANSWER_LOST),
}


def broken_by_rule(check: Check, batch: RowBatch, facts: RowFacts) -> Flags:
    """Whether each row breaks ``check``, which is a rule of scope ``ROW``."""
    rule = str(check.rule)
    if rule in _FACT_RULES:
        return _FACT_RULES[rule](facts)
    texts = batch.written
    columns = check.columns or tuple(texts)
    broken: Flags = np.logical_or.reduce(
        [_TEXT_RULES[rule](texts[name]) for name in columns if name in texts]
    )
    return broken
