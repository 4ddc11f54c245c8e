"""Personal data and secrets in texts. Only whether and where is returned, never what was found.

Every function returns, for each text of an Arrow array, whether something of its kind is in it. The cheap
expressions run in RE2 over all texts; what they leave is looked at one by one.
"""

import itertools
import math
import re
from collections import Counter
from typing import TYPE_CHECKING

from tasks.data.rules.text_rules import Flags, confirmed, flags, matching

if TYPE_CHECKING:
    import pyarrow as pa

_EMAIL = r"[A-Za-z0-9._%+\-]+@[A-Za-z0-9\-]+(\.[A-Za-z0-9\-]+)*\.[A-Za-z]{2,24}\b"

_PHONE = re.compile(
    r"(?<![\w.,+-])(?:"
    r"\+\d{1,3}(?:[ .\-/]?\(?\d{1,4}\)?){2,6}"  # +49 30 123456, +1 (555) 123-4567
    r"|\(\d{3}\) ?\d{3}[ .\-]\d{4}|\d{3}[.\-]\d{3}[.\-]\d{4}"  # (555) 123-4567, 555-123-4567
    r"|0\d{1,4}[ /\-]\d{3,4}(?:[ \-]?\d{2,4}){1,2}"  # 030 1234567, 0171/123 45 67
    r")(?![\w]|[.,]\d)"
)
_PHONE_DIGITS = range(8, 16)
"""At most 15: ITU-T E.164."""

_CARD = re.compile(r"(?<![\d.,\-])(?:\d[ \-]?){12,18}\d(?![\d\-]|[.,]\d)")
_GROUPED_CARD = re.compile(
    r"(?<![\d.,\-])(?:"
    r"\d{4}[ \-]\d{4}[ \-]\d{4}[ \-]\d{4}(?:[ \-]\d{1,3})?"  # 4111 1111 1111 1111
    r"|\d{4}[ \-]\d{6}[ \-]\d{4,5}"  # 3782 822463 10005
    r")(?![\d\-]|[.,]\d)"
)
"""As cards print it: found also behind another number, which the expression above takes as part of it."""
_CARD_OPENINGS = "23456"
"""First digits of payment networks (ISO/IEC 7812)."""

_KNOWN_SECRETS = "|".join(
    (
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----",
        r"\b(AKIA|ASIA|AROA|AIDA)[0-9A-Z]{16}\b",
        r"\bgh[pousr]_[0-9A-Za-z]{36,}",
        r"\bgithub_pat_[0-9A-Za-z_]{22,}",
        r"\bglpat-[0-9A-Za-z_\-]{20,}",
        r"\bxox[abeoprs]-[0-9A-Za-z\-]{10,}",
        r"\b[rs]k_(live|test)_[0-9A-Za-z]{16,}",
        r"\bsk-(ant-|proj-)?[0-9A-Za-z_\-]{20,}",
        r"\bAIza[0-9A-Za-z_\-]{35}",
        r"\bhf_[0-9A-Za-z]{30,}",
        r"\bnpm_[0-9A-Za-z]{36}",
        r"\bpypi-AgE[0-9A-Za-z_\-]{16,}",
        r"\bSG\.[0-9A-Za-z_\-]{16,}\.[0-9A-Za-z_\-]{16,}",
        r"\beyJ[0-9A-Za-z_\-]{10,}\.eyJ[0-9A-Za-z_\-]{10,}\.[0-9A-Za-z_\-]{10,}",
        r"\b[a-z][a-z0-9+.\-]*://[^\s/:@]+:[^\s/:@]+@[^\s/]+",
    )
)
_NAMED = r"(?i)(api|access|secret|private|auth|client)?[_\- ]?(key|secret|token|passw(or)?d|pwd)\b.{0,3}[:=]"
_ASSIGNED = re.compile(
    r"(?i)(?:key|secret|token|passw(?:or)?d|pwd)[\"']?\s{0,3}[:=]\s{0,3}[\"']?([0-9A-Za-z+/_\-=.~!@#$%^&*]{12,})"
)
_BITS_PER_CHARACTER = 3.5
"""Above what English words reach in a dozen letters; random base-16 text has up to 4, base-64 up to 6."""


def has_email_addresses(texts: "pa.Array") -> Flags:
    """An address such as name@host.org."""
    import pyarrow.compute as pc

    return flags(pc.match_substring(texts, "@")) & matching(texts, _EMAIL)


def has_phone_numbers(texts: "pa.Array") -> Flags:
    """A number written as telephone numbers are: with a country code, or in groups with an area code."""
    return confirmed(matching(texts, r"\d{2}"), texts, _has_phone_number)


def has_card_numbers(texts: "pa.Array") -> Flags:
    """13 to 19 digits of a payment network whose last one is right by Luhn's formula (ISO/IEC 7812-1)."""
    return confirmed(matching(texts, r"(\d[ \-]?){12}\d"), texts, _has_card_number)


def has_secrets(texts: "pa.Array") -> Flags:
    """Private keys, access tokens by their well-known forms, passwords in addresses, and random-looking
    values assigned to something called a key, secret, token or password."""
    return matching(texts, _KNOWN_SECRETS) | confirmed(matching(texts, _NAMED), texts, _assigns_a_secret)


def luhn_holds(digits: str) -> bool:
    """Whether the last digit is the check digit of the others."""
    doubled = [int(digit) * (2 if index % 2 else 1) for index, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def bits_per_character(text: str) -> float:
    """Shannon entropy of the characters' frequencies."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


def _has_phone_number(text: str) -> bool:
    return any(sum(c.isdigit() for c in found.group()) in _PHONE_DIGITS for found in _PHONE.finditer(text))


def _has_card_number(text: str) -> bool:
    for found in itertools.chain(_CARD.finditer(text), _GROUPED_CARD.finditer(text)):
        digits = "".join(character for character in found.group() if character.isdigit())
        # One digit over and over has a right check digit now and then, and is no card.
        if digits[0] in _CARD_OPENINGS and len(set(digits)) > 1 and luhn_holds(digits):
            return True
    return False


def _assigns_a_secret(text: str) -> bool:
    return any(
        bits_per_character(value) >= _BITS_PER_CHARACTER and any(c.isdigit() for c in value)
        for value in _ASSIGNED.findall(text)
    )
