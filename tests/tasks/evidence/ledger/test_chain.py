"""Every way to tamper with one row is found, in any ledger, whatever tool was used."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_contracts.records.base import digest_json
from data_contracts.records.ledger import NOTHING_BEFORE, EntryKind, LedgerEntry
from tasks.evidence.ledger.chain import check_chain, checkpoint_of
from tasks.evidence.ledger.merkle import MerkleTree

Row = dict[str, Any]
NOW = datetime(2026, 11, 25, tzinfo=UTC)


def chained(rows: list[Row]) -> list[Row]:
    """``rows`` with links and digests made anew, as somebody who can compute them would."""
    previous, result = NOTHING_BEFORE, []
    for row in rows:
        draft = LedgerEntry.model_validate({**row, "previous": previous, "entry_digest": NOTHING_BEFORE})
        previous = draft.own_digest()
        result.append({**draft.model_dump(mode="json"), "entry_digest": previous})
    return result


def ledger_of(count: int) -> list[Row]:
    return chained(
        [
            {
                "sequence": number,
                "kind": EntryKind.DECISION.value,
                "run_id": f"run-{number % 7}",
                "about": digest_json(number),
                "actor": "gate need",
                "at": f"2026-11-25T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.000000Z",
                "clock_set_back": False,
            }
            for number in range(1, count + 1)
        ]
    )


def known(rows: list[Row]) -> Any:
    return checkpoint_of([(row["sequence"], row["entry_digest"]) for row in rows], NOW)


def faults(rows: list[Row], checkpoint: Any = None) -> list[str]:
    return [str(fault) for fault in check_chain(rows, checkpoint)[1]]


CHANGES: dict[str, Any] = {
    "sequence": 99,
    "previous": digest_json("other"),
    "kind": "approval",
    "run_id": "run-other",
    "about": digest_json("other"),
    "actor": "somebody else",
    "at": "2026-11-24T00:00:00.000000Z",
    "clock_set_back": True,
    "entry_digest": digest_json("other"),
}


@given(count=st.integers(0, 40))
@settings(max_examples=15, deadline=None)
def test_an_untouched_chain_has_no_fault(count: int) -> None:
    rows = ledger_of(count)
    assert check_chain(rows, known(rows)) == (count, ())
    for shorter in range(count):
        assert faults(rows, known(rows[:shorter])) == []


@pytest.mark.parametrize("field", CHANGES)
@pytest.mark.parametrize("place", range(8))
def test_a_changed_field_is_found_where_it_is(field: str, place: int) -> None:
    rows = ledger_of(8)
    rows[place][field] = CHANGES[field]
    assert check_chain(rows)[1], "found without any checkpoint"


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_any_change_of_any_character_is_found(data: st.DataObject) -> None:
    rows = ledger_of(6)
    row = data.draw(st.sampled_from(rows))
    field = data.draw(st.sampled_from([name for name, value in row.items() if isinstance(value, str)]))
    changed = data.draw(st.text(max_size=80).filter(lambda text: text != row[field]))
    row[field] = changed
    assert faults(rows)


@pytest.mark.parametrize("field", [name for name in CHANGES if name not in ("previous", "entry_digest")])
@pytest.mark.parametrize("place", range(8))
def test_a_changed_row_with_its_digest_made_anew_is_found(field: str, place: int) -> None:
    """The last row of all needs the checkpoint; the others are held by the row that follows."""
    rows = ledger_of(8)
    checkpoint = known(rows)
    rows[place][field] = CHANGES[field]
    unsigned = LedgerEntry.model_validate(rows[place])
    rows[place]["entry_digest"] = unsigned.own_digest()
    assert faults(rows, checkpoint)
    if place < 7:
        assert faults(rows)


@pytest.mark.parametrize("place", range(8))
def test_removed(place: int) -> None:
    rows = ledger_of(8)
    checkpoint = known(rows)
    del rows[place]
    found = faults(rows, checkpoint)
    assert "the checkpoint knows 8 entries, and 7 are there" in found
    assert bool(faults(rows)) == (place < 7), "from the end it takes a checkpoint"


@given(data=st.data(), order=st.permutations(range(6)))
@settings(max_examples=60, deadline=None)
def test_reordered(data: st.DataObject, order: list[int]) -> None:
    rows = ledger_of(6)
    changed = [rows[place] for place in order]
    assert bool(faults(changed)) == (order != list(range(6)))
    renumbered = [{**row, "sequence": place + 1} for place, row in enumerate(changed)]
    assert bool(faults(renumbered)) == (order != list(range(6)))


@pytest.mark.parametrize("place", range(9))
def test_inserted(place: int) -> None:
    rows = ledger_of(8)
    checkpoint = known(rows)
    replay = dict(rows[min(place, 7)])
    rows.insert(place, replay)
    assert faults(rows), "a row that is there twice"
    assert faults(rows, checkpoint)


@pytest.mark.parametrize("kept", range(8))
def test_truncated_with_a_checkpoint_outside(kept: int) -> None:
    rows = ledger_of(8)
    assert faults(rows[:kept], known(rows)) == [f"the checkpoint knows 8 entries, and {kept} are there"]


@pytest.mark.parametrize("place", range(8))
def test_a_chain_written_anew_from_any_place_differs_from_the_checkpoint(place: int) -> None:
    rows = ledger_of(8)
    checkpoint = known(rows)
    rows[place]["actor"] = "somebody else"
    anew = chained(rows)
    assert faults(anew) == [], "the chain alone can't know"
    assert faults(anew, checkpoint) == [
        "entry 8: its digest is not the checkpoint's head",
        "entry 8: the entries so far do not have the Merkle root of the checkpoint",
    ]


def test_a_clock_set_back_is_a_fault_unless_it_is_marked() -> None:
    rows = ledger_of(3)
    rows[2]["at"] = "2026-11-24T00:00:00.000000Z"
    assert "no mark says so" in faults(chained(rows))[0]
    rows[2]["clock_set_back"] = True
    assert faults(chained(rows)) == []
    rows[1]["clock_set_back"] = True
    assert faults(chained(rows)) == [
        "entry 2: its mark says that the clock was set back, and its time does not"
    ]


def test_a_gap_in_a_chain_that_links_is_a_fault() -> None:
    rows = ledger_of(3)
    rows[2]["sequence"] = 4
    assert faults(chained(rows)) == ["entry 4: it stands after entry 2"]


ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
"""Of the leaves below, as Certificate Transparency's own tests have them."""
LEAVES = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")


@pytest.mark.parametrize("count", range(9))
def test_merkle_roots_are_those_of_certificate_transparency(count: int) -> None:
    tree = MerkleTree(bytes.fromhex(leaf) for leaf in LEAVES[:count])
    assert tree.root() == "sha256:" + ROOTS[count]


@pytest.mark.slow
def test_a_hundred_thousand_entries(capsys: pytest.CaptureFixture[str]) -> None:
    rows = chained([{**row, "at": "2026-11-25T00:00:00.000000Z"} for row in ledger_of(100_000)])
    checkpoint = known(rows)
    began = time.process_time()
    assert check_chain(rows, checkpoint) == (100_000, ())
    with capsys.disabled():
        print(f"\n100,000 entries checked in {time.process_time() - began:.1f} processor seconds")
    rows[77_777]["actor"] = "somebody else"
    assert [fault.sequence for fault in check_chain(rows)[1]] == [77_778]
