"""Commitments to the texts of single rows: they bind a text without telling it.

A row's commitment is the sha256 of a salt of its own and of the canonical JSON (RFC 8785) of its text
columns. Whoever knows salt and texts can show that the row was there; without the salt, 128 random bits, a
guessed text cannot be held against the commitment. A redaction therefore removes both.
"""

import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

ROW_ID = "row_id"
SALT = "row_salt"
COMMITMENT = "row_commitment"
NAME = "row_name"
"""In files whose commitments are of other texts than the snapshot's: the row's name there."""

SALT_BYTES = 16
COMMITMENT_BYTES = 32
_NAME_BYTES = 16


def salt_fields() -> "list[tuple[str, pa.DataType]]":
    """Names and types of both columns."""
    import pyarrow as pa

    return [(SALT, pa.binary(SALT_BYTES)), (COMMITMENT, pa.binary(COMMITMENT_BYTES))]


def commitment(salt: bytes, texts: Mapping[str, Any]) -> bytes:
    """The commitment to ``texts``, by column: strings, nulls, or lists of turns."""
    return hashlib.sha256(salt + _canonical(texts)).digest()


def opens(committed: bytes, salt: bytes, texts: Mapping[str, Any]) -> bool:
    """Whether ``salt`` and ``texts`` are what was committed to: they show that the row was in the data."""
    return hmac.compare_digest(committed, commitment(salt, texts))


def salted(table: "pa.Table", texts: Sequence[str]) -> "pa.Table":
    """``table`` with a fresh salt and the commitment to the columns ``texts`` in each row."""
    import pyarrow as pa

    columns = {name: table[name].to_pylist() for name in texts}
    drawn = secrets.token_bytes(SALT_BYTES * table.num_rows)
    salts = [drawn[at : at + SALT_BYTES] for at in range(0, len(drawn), SALT_BYTES)]
    committed = [
        commitment(salt, {name: values[row] for name, values in columns.items()})
        for row, salt in enumerate(salts)
    ]
    for (name, kind), values in zip(salt_fields(), (salts, committed), strict=True):
        table = table.append_column(name, pa.array(values, kind))
    return table


def names_of(commitments: "pa.ChunkedArray") -> "pa.Array":
    """What a row is called once its texts are gone: the first 32 hexadecimal digits of its commitment.

    Its identity is a digest of the texts alone, by which a short text could be guessed.
    """
    import numpy as np
    import pyarrow as pa

    whole = commitments.combine_chunks()
    rows = len(whole)
    if not rows:
        return pa.array([], pa.string())
    raw = np.frombuffer(whole.buffers()[1], np.uint8).reshape(-1, COMMITMENT_BYTES)
    digits = binascii.hexlify(raw[whole.offset : whole.offset + rows, :_NAME_BYTES].tobytes())
    offsets = np.arange(rows + 1, dtype=np.int32) * 2 * _NAME_BYTES
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(digits))


def read_names(path: Path) -> dict[str, str]:
    """The name of each row of a snapshot's file, by its identity."""
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=[ROW_ID, COMMITMENT])
    return dict(zip(table[ROW_ID].to_pylist(), names_of(table[COMMITMENT]).to_pylist(), strict=True))


def _canonical(texts: Mapping[str, Any]) -> bytes:
    # Of strings, nulls, lists and objects with names in ASCII this is RFC 8785, at many times the speed;
    # the outer names can be anybody's, and are put into its order by hand.
    names = sorted(texts, key=lambda name: name.encode("utf-16-be"))
    parts = (f"{_quoted(name)}:{_written(texts[name])}" for name in names)
    return f"{{{','.join(parts)}}}".encode()


def _quoted(text: str) -> str:
    return json.encoder.encode_basestring(text)


def _written(value: Any) -> str:
    if isinstance(value, str):
        return _quoted(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
