"""A checkpoint is whole or absent, the last two are kept, and a damaged one is passed over by name."""

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.evidence.checkpoints import MANIFEST, CheckpointFolder


def content(step: int) -> Callable[[Path], None]:
    def fill(folder: Path) -> None:
        (folder / "weights").write_bytes(bytes([step % 256]) * 100)
        (folder / "progress").write_text(str(step), encoding="utf-8")

    return fill


def saved(root: Path, *steps: int) -> CheckpointFolder:
    place = CheckpointFolder(root)
    for step in steps:
        place.save(step, content(step))
    return place


def test_nothing_is_found_where_nothing_was_saved(tmp_path: Path) -> None:
    found = CheckpointFolder(tmp_path / "none").find()
    assert found.newest is None and found.damaged == ()


def test_the_last_two_are_kept_and_the_newest_is_found(tmp_path: Path) -> None:
    place = saved(tmp_path, 5, 999_999, 1_000_000)
    assert {path.name for path in tmp_path.iterdir()} == {"step-999999", "step-1000000"}
    newest = place.find().newest
    assert newest is not None and newest.step == 1_000_000
    assert (newest.folder / "progress").read_text(encoding="utf-8") == "1000000"


def cut_short(folder: Path) -> None:
    (folder / "weights").write_bytes((folder / "weights").read_bytes()[:60])


def altered(folder: Path) -> None:
    (folder / "weights").write_bytes(b"x" * 100)


def bereft(folder: Path) -> None:
    (folder / "weights").unlink()


def without_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut_short, "weights has 60 of 100 bytes"),
        (altered, "weights has other content"),
        (bereft, "weights is missing"),
        (without_manifest, "manifest.json cannot be read"),
    ],
)
def test_a_damaged_one_is_passed_over_for_the_one_before(
    damage: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    place = saved(tmp_path, 1, 2)
    damage(tmp_path / "step-000002")
    found = place.find()
    assert found.newest is not None and found.newest.step == 1
    (sentence,) = found.damaged
    assert "step-000002" in sentence and said in sentence
    # It no longer counts as one of the two.
    place.save(3, content(3))
    assert {path.name for path in tmp_path.iterdir()} == {"step-000001", "step-000003"}


def test_one_that_cannot_be_written_leaves_those_before_and_no_rest(tmp_path: Path) -> None:
    place = saved(tmp_path, 1, 2)

    def full(folder: Path) -> None:
        (folder / "weights").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        place.save(3, full)
    assert {path.name for path in tmp_path.iterdir()} == {"step-000001", "step-000002"}
    newest = place.find().newest
    assert newest is not None and newest.step == 2


def test_what_a_killed_process_left_half_written_is_never_found(tmp_path: Path) -> None:
    place = saved(tmp_path, 1)
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial" / "weights").write_bytes(b"half")
    newest = place.find().newest
    assert newest is not None and newest.step == 1
    place.save(2, content(2))
    assert {path.name for path in tmp_path.iterdir()} == {"step-000001", "step-000002"}


def test_the_same_step_may_be_saved_again(tmp_path: Path) -> None:
    place = saved(tmp_path, 1)
    place.save(1, content(7))
    newest = place.find().newest
    assert newest is not None and (newest.folder / "progress").read_text(encoding="utf-8") == "7"
