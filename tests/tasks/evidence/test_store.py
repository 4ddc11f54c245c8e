"""A stage is done once, is whole or absent, and is never reused once its files have changed."""

import threading
from pathlib import Path

import pytest

from data_contracts.records.base import Cost
from tasks.evidence.store import RECORD_FILE, StageKey, StageStore

RECORD = Cost(seconds=1.0, cpu_seconds=2.0, peak_memory_bytes=3)


def key(**inputs: object) -> StageKey:
    return StageKey(stage="stage", inputs=inputs, code="sha256:" + "0" * 64, packages={"torch": "2"})


class Build:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, folder: Path) -> Cost:
        self.calls += 1
        (folder / "weights").mkdir()
        (folder / "weights" / "file").write_bytes(b"weights")
        return RECORD


def test_an_unchanged_stage_is_reused(tmp_path: Path) -> None:
    store, build = StageStore(tmp_path), Build()
    first = store.reuse_or_build(key(a=1), Cost, build)
    second = store.reuse_or_build(key(a=1), Cost, build)
    assert (first.reused, second.reused, build.calls) == (False, True, 1)
    assert second.record == RECORD
    assert (second.folder / "weights" / "file").read_bytes() == b"weights"


@pytest.mark.parametrize(
    "changed",
    [
        key(a=2),
        StageKey("other", {"a": 1}, "sha256:" + "0" * 64, {"torch": "2"}),
        StageKey("stage", {"a": 1}, "sha256:" + "1" * 64, {"torch": "2"}),
        StageKey("stage", {"a": 1}, "sha256:" + "0" * 64, {"torch": "3"}),
    ],
    ids=["inputs", "stage", "code", "packages"],
)
def test_a_changed_stage_is_done_again(tmp_path: Path, changed: StageKey) -> None:
    store, build = StageStore(tmp_path), Build()
    store.reuse_or_build(key(a=1), Cost, build)
    assert not store.reuse_or_build(changed, Cost, build).reused
    assert build.calls == 2


@pytest.mark.parametrize("name", ["weights/file", RECORD_FILE])
def test_a_damaged_stage_is_done_again(tmp_path: Path, name: str) -> None:
    store, build = StageStore(tmp_path), Build()
    stored = store.reuse_or_build(key(a=1), Cost, build)
    path = stored.folder / name
    path.write_bytes(path.read_bytes().replace(b"1", b"7") + b" ")
    assert not store.reuse_or_build(key(a=1), Cost, build).reused
    assert store.reuse_or_build(key(a=1), Cost, build).record == RECORD


def test_a_file_too_many_is_damage_as_well(tmp_path: Path) -> None:
    store, build = StageStore(tmp_path), Build()
    stored = store.reuse_or_build(key(a=1), Cost, build)
    (stored.folder / "weights" / "planted").write_bytes(b"")
    assert not store.reuse_or_build(key(a=1), Cost, build).reused


def test_a_stage_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> Cost:
        (folder / "half").write_bytes(b"half")
        raise RuntimeError("out of memory")

    store, build = StageStore(tmp_path), Build()
    with pytest.raises(RuntimeError):
        store.reuse_or_build(key(a=1), Cost, fail)
    assert [path for path in tmp_path.rglob("*") if path.is_dir()] == []
    assert not store.reuse_or_build(key(a=1), Cost, build).reused


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    store, build = StageStore(tmp_path), Build()
    partial = tmp_path / f".{key(a=1).folder_name}.partial"
    partial.mkdir()
    (partial / "half").write_bytes(b"half")
    stored = store.reuse_or_build(key(a=1), Cost, build)
    assert not (stored.folder / "half").exists()
    assert not partial.exists()


def test_two_at_once_do_the_work_once(tmp_path: Path) -> None:
    store, build = StageStore(tmp_path), Build()
    threads = [threading.Thread(target=lambda: store.reuse_or_build(key(a=1), Cost, build)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert build.calls == 1
