"""What may be shown of rows: nothing in which personal data or secrets are found, whatever contracts ask."""

from collections.abc import Iterable, Sequence

import pyarrow as pa

from tasks.data.rules.privacy_rules import (
    has_card_numbers,
    has_email_addresses,
    has_phone_numbers,
    has_secrets,
)

WITHHELD = "(withheld)"


def private(texts: Sequence[str]) -> list[bool]:
    """For each text, whether an address, a telephone or card number or a secret was found in it."""
    array = pa.array(texts, pa.string())
    found = (
        has_email_addresses(array) | has_phone_numbers(array) | has_card_numbers(array) | has_secrets(array)
    )
    return [bool(flag) for flag in found]


def shown_values(values: Iterable[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """Values with their counts, as they may be shown."""
    listed = tuple(values)
    flags = private([value for value, _ in listed])
    return tuple(
        (WITHHELD if flag else value, count) for (value, count), flag in zip(listed, flags, strict=True)
    )
