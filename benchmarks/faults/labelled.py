"""Faults in rows of a text and a label."""

from collections.abc import Sequence
from random import Random

from benchmarks.faults.planting import Fault, Plant, Planted, Rows, appended, each, set_to
from data_contracts.records.settings import SplitSettings
from tasks.data.rows.splitting import normalise, split_of

CARD = "4111 1111 1111 1111"
"""A test number of a card network: right by Luhn's formula, and nobody's."""

_BROKEN_UTF8 = "Caf\ufffd prices, please ?"
_MOJIBAKE = "What does â€œdÃ©jÃ  vuâ€\x9d mean in France ?".replace("\x9d", "")
_KEY = "AKIA" + "QYLPMN5HHHFPZAM2"
_TOKEN = "ghp_" + "x7Kq2mZ9vR4tB1nW8sL5pY3cD6fG0hJ2aEuT"
_PASSWORD = "password = 'hV7#kq92!Lm_x04Z'"


def equal_rows(rows: Rows, positions: Sequence[int], random: Random) -> Planted:
    """Each position becomes a copy of a row before it."""
    for position in positions:
        rows[position] = dict(rows[position - 7])
    return Planted.rows(positions)


def other_label(rows: Rows, positions: Sequence[int], random: Random) -> Planted:
    """Each position repeats an earlier text under another label."""
    groups = []
    for position in positions:
        twin = position - 7
        label = next(row["label"] for row in rows if row["label"] != rows[twin]["label"])
        rows[position] = {**rows[twin], "label": label}
        groups += [frozenset([position]), frozenset([twin])]
    return Planted(tuple(groups))


def nearly_equal(column: str, *, same_split: bool) -> Plant:
    """Each position nearly repeats an earlier row, in the same split or in another."""

    def plant(rows: Rows, positions: Sequence[int], random: Random) -> Planted:
        groups = []
        for position in positions:
            twin = position - 7
            # Long enough for a changed word to leave most triples of words as they are.
            lengthening = (rows[-1 - (4 * twin + n) % 300][column] for n in range(4))
            long = " ".join([rows[twin][column], *(str(text) for text in lengthening)])
            rows[twin] = {**rows[twin], column: long}
            rows[position] = {**rows[twin], column: _variant(long, same_split)}
            groups.append(frozenset([position, twin]))
        return Planted(tuple(groups))

    return plant


def _variant(text: str, same_split: bool) -> str:
    """``text`` with another last word, such that its split is the same or another one."""
    shares = SplitSettings()
    own = split_of(normalise(text), shares)
    words = text.split()
    for number in range(1000):
        changed = " ".join([*words[:-1], f"end{number}"])
        if (split_of(normalise(changed), shares) == own) is same_split:
            return changed
    raise AssertionError("a thousand variants all in one split")


def one_label(rows: Rows, positions: Sequence[int], random: Random) -> Planted:
    for row in rows:
        row["label"] = rows[0]["label"]
    return Planted(())


def few_rows(rows: Rows, positions: Sequence[int], random: Random) -> Planted:
    del rows[40:]
    return Planted(())


def rare_label(rows: Rows, positions: Sequence[int], random: Random) -> Planted:
    """A label of three rows only."""
    for position in positions[:3]:
        rows[position] = {**rows[position], "label": "ABBR"}
    kept = set(positions[:3])
    rows[:] = [row for index, row in enumerate(rows) if row["label"] != "ABBR" or index in kept]
    return Planted(())


TEXTS: tuple[tuple[str, str, str], ...] = (
    ("bytes lost in decoding", "replacement_characters", _BROKEN_UTF8),
    ("mojibake", "mojibake", _MOJIBAKE),
    ("terminal control characters", "control_characters", "\x1b[31mred\x1b[0m"),
    ("NUL byte", "control_characters", "a\x00b"),
    ("e-mail address", "email_addresses", "write to ada.lovelace@analytical-engine.org"),
    ("telephone number", "phone_numbers", "call +49 30 901820 today"),
    ("American telephone number", "phone_numbers", "call (202) 555-0143 today"),
    ("card number", "card_numbers", f"paid with {CARD}"),
    ("card number behind another number", "card_numbers", f"order 37 {CARD}"),
    ("card number with dashes", "card_numbers", "5500-0055-5555-5559"),
    ("cloud access key", "secrets", _KEY),
    ("access token", "secrets", f"git clone with {_TOKEN}"),
    ("password assignment", "secrets", _PASSWORD),
    ("private key", "secrets", "-----BEGIN RSA PRIVATE KEY----- MIIEow"),
    ("password in an address", "secrets", "postgres://admin:s3cr3tpw@db.internal:5432/app"),
)
"""Name of the fault, rule, and what is put behind a text."""

LABELLED: tuple[Fault, ...] = (
    Fault("null text", "text.required", set_to("text", None)),
    Fault("text left out", "text.required", each(lambda row: row.pop("text"))),
    Fault("empty text", "text.minLength", set_to("text", "")),
    Fault("text of blanks", "text.minLength", set_to("text", " \t\u00a0\n ")),
    Fault("text too long", "text.maxLength", set_to("text", "so " * 2000)),
    Fault("number for a text", "text.type", set_to("text", 42)),
    Fault("list for a text", "text.type", set_to("text", ["a", "b"])),
    Fault("object for a text", "text.type", set_to("text", {"body": "a"})),
    Fault("null label", "label.required", set_to("label", None)),
    Fault("empty label", "label.enum", set_to("label", "")),
    Fault("unknown label", "label.enum", set_to("label", "OTHER")),
    Fault("label in another case", "label.enum", each(lambda row: row.update(label=row["label"].lower()))),
    Fault("label with a blank behind", "label.enum", each(lambda row: row.update(label=row["label"] + " "))),
    Fault("number for a label", "label.enum", set_to("label", 3)),
    Fault("list for a label", "label.type", set_to("label", ["HUM"])),
    Fault("longer than the model reads", "max_tokens", set_to("text", "so it goes on " * 60)),
    Fault("row twice", "no_duplicates", equal_rows),
    Fault("text with two labels", "same_text_two_labels", other_label),
    Fault("nearly the same row in one split", "near_duplicates", nearly_equal("text", same_split=True)),
    Fault(
        "nearly the same row in two splits",
        "near_duplicates_across_splits",
        nearly_equal("text", same_split=False),
    ),
    *(Fault(name, rule, appended("text", text)) for name, rule, text in TEXTS),
    Fault("one label only", "at_least_two_labels", one_label, alone=True),
    Fault("too few rows to judge by", "enough_gate_rows", few_rows, alone=True),
    Fault("a label of three rows", "rows_per_label", rare_label, alone=True),
    Fault("a label of too small a share", "label_share", rare_label, alone=True),
)
