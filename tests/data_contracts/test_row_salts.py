"""A commitment binds a row's texts, tells nothing of them, and is the same wherever it is computed."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_contracts.records.base import canonical_json
from data_contracts.row_salts import (
    COMMITMENT,
    SALT,
    SALT_BYTES,
    commitment,
    names_of,
    opens,
    read_names,
    salt_fields,
    salted,
)

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
TURNS = st.lists(st.fixed_dictionaries({"role": TEXT, "content": TEXT}), max_size=3)
TEXTS = st.dictionaries(TEXT, st.one_of(TEXT, st.none(), TURNS), max_size=4)
SALTED = b"0123456789abcdef"


@given(TEXTS)
def test_it_is_the_digest_of_the_salt_and_canonical_json(texts: dict[str, Any]) -> None:
    expected = hashlib.sha256(SALTED + canonical_json(texts)).digest()
    assert commitment(SALTED, texts) == expected and opens(expected, SALTED, texts)


@pytest.mark.parametrize(
    ("salt", "texts"),
    [
        (b"0123456789abcdee", {"prompt": "a", "completion": "b"}),
        (SALTED, {"prompt": "a", "completion": "b "}),
        (SALTED, {"prompt": "ab", "completion": ""}),
        (SALTED, {"prompt": "a"}),
        (SALTED, {"prompt": "b", "completion": "a"}),
        (SALTED, {"prompt": "a", "completion": None}),
        (SALTED[:-1], {"prompt": "a", "completion": "b"}),
    ],
)
def test_nothing_else_opens_it(salt: bytes, texts: dict[str, Any]) -> None:
    committed = commitment(SALTED, {"completion": "b", "prompt": "a"})
    assert opens(committed, SALTED, {"prompt": "a", "completion": "b"})
    assert not opens(committed, salt, texts)


def test_each_row_gets_a_salt_of_its_own_and_equal_rows_other_commitments() -> None:
    table = salted(pa.table({"text": ["same"] * 500, "label": ["x"] * 500}), ["text"])
    rows = table.to_pylist()
    assert all(opens(row[COMMITMENT], row[SALT], {"text": "same"}) for row in rows)
    assert {len(row[SALT]) for row in rows} == {SALT_BYTES}
    for name in (SALT, COMMITMENT):
        assert len({row[name] for row in rows}) == 500
    assert [(field.name, field.type) for field in table.schema][2:] == salt_fields()
    assert salted(table.select(["text"]).slice(0, 0), ["text"]).num_rows == 0


def test_names_are_the_first_digits_of_the_commitments_wherever_a_table_was_cut(tmp_path: Path) -> None:
    table = salted(pa.table({"row_id": [str(n) for n in range(50)], "text": ["t"] * 50}), ["text"])
    expected = [value.hex()[:32] for value in table[COMMITMENT].to_pylist()]
    assert names_of(table[COMMITMENT]).to_pylist() == expected
    assert names_of(table.slice(7, 11)[COMMITMENT]).to_pylist() == expected[7:18]
    cut = pa.concat_tables([table.slice(30), table.slice(0, 3)])
    assert names_of(cut[COMMITMENT]).to_pylist() == expected[30:] + expected[:3]
    assert names_of(table.slice(0, 0)[COMMITMENT]).to_pylist() == []
    pq.write_table(table, tmp_path / "a.parquet")
    assert read_names(tmp_path / "a.parquet") == dict(zip(table["row_id"].to_pylist(), expected, strict=True))


def test_turns_read_from_parquet_open_it_as_they_were_written(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Wie heißt \u5b66\u6821? \U0001f6aa\n"}]
    kind = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    table = salted(pa.table({"messages": pa.array([turns, None], kind)}), ["messages"])
    pq.write_table(table, tmp_path / "a.parquet")
    first, second = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert opens(first[COMMITMENT], first[SALT], {"messages": json.loads(json.dumps(turns))})
    assert opens(second[COMMITMENT], second[SALT], {"messages": None})
