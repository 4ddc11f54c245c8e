"""Equal records have equal digests, whoever made them and in whatever order."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from data_contracts.records.base import FolderRecord, Record, canonical_json, digest_json
from data_contracts.records.metrics import METRICS
from data_contracts.records.settings import RunSettings

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=6))
def test_a_digest_does_not_depend_on_the_order_of_keys(value: dict[str, object]) -> None:
    assert digest_json(dict(reversed(value.items()))) == digest_json(value)


def test_canonical_json_is_rfc_8785() -> None:
    assert canonical_json({"b": 1.0, "a": [1e21, "é"]}) == '{"a":[1e+21,"é"],"b":1}'.encode()


def test_a_folders_record_does_not_depend_on_where_it_lies(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "file").write_bytes(b"content")
    assert FolderRecord.of(tmp_path / "one") == FolderRecord.of(tmp_path / "two")
    (tmp_path / "two" / "deep" / "file").write_bytes(b"Content")
    assert FolderRecord.of(tmp_path / "one").digest() != FolderRecord.of(tmp_path / "two").digest()


class Written(Record):
    """As an earlier version had it."""

    name: str
    rank: int = 4


class Today(Written):
    """With a field more."""

    layers: int = 0


class Whole(Record):
    part: Today
    seed: int = 1


def test_what_is_read_has_the_digest_of_what_was_written_also_as_a_part_of_what_is_made() -> None:
    written = Written(name="pilot")
    read = Today.as_written(written.canonical_json())
    assert (
        read.digest() == Today.as_written(json.loads(written.canonical_json())).digest() == written.digest()
    )
    assert read == Today(name="pilot") and read.digest() != Today(name="pilot").digest()
    whole = Whole(part=read)
    assert whole.part.digest() == written.digest()
    assert whole.json_value() == {"part": {"name": "pilot", "rank": 4}, "seed": 1}
    assert read.model_copy(update={"layers": 2}).json_value() == {"name": "pilot", "rank": 4, "layers": 2}


def _places(value: object, where: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield (*where, key)
            yield from _places(part, (*where, key))


SETTINGS = RunSettings.model_validate(
    {
        "name": "a-run",
        "task": "classification",
        "model": {"source": "model"},
        "data": {"source": "rows.jsonl"},
        "policy": {"extends": "strict", "metric": "accuracy", "target": 0.9, "margin": 0.01},
    }
)


@pytest.mark.parametrize("place", list(_places(SETTINGS.json_value())), ids=".".join)
def test_nothing_that_was_written_can_be_taken_away_unnoticed(place: tuple[str, ...]) -> None:
    """Not even where its absence means the same: by a default, a preset, or the policy that is extended."""
    content = json.loads(SETTINGS.canonical_json())
    assert RunSettings.as_written(content).digest() == SETTINGS.digest()
    *above, last = place
    part = content
    for name in above:
        part = part[name]
    del part[last]
    with suppress(ValidationError):
        assert RunSettings.as_written(content).digest() != SETTINGS.digest()


@pytest.mark.parametrize("metric", METRICS.values(), ids=str)
def test_gain_points_up_for_every_metric(metric: object) -> None:
    from data_contracts.records.metrics import Metric

    assert isinstance(metric, Metric)
    better, worse = (0.9, 0.1) if metric.higher_is_better else (0.1, 0.9)
    assert metric.gain(better) > metric.gain(worse)


def test_every_setting_has_a_description_for_the_form() -> None:
    schema = RunSettings.model_json_schema()
    undescribed = [
        f"{name}.{field}"
        for name, definition in schema["$defs"].items()
        for field, content in definition.get("properties", {}).items()
        if "description" not in content and "$ref" not in content
    ]
    assert undescribed == []
