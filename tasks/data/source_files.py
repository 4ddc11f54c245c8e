"""Finding the files that ``data.source`` names."""

import difflib
import glob
import os
from dataclasses import dataclass
from pathlib import Path

from data_contracts.errors import InputError, Problem
from data_contracts.hub_names import is_hub_name
from data_contracts.package_paths import PREFIX, resolve_package_path

SUFFIXES = (".jsonl", ".csv", ".parquet")


@dataclass(frozen=True)
class DataFile:
    """One file to read."""

    path: Path
    name: str
    """How rows of it are spoken of: the file name, with folders only where names would collide."""


def is_hub_id(source: str) -> bool:
    """Whether ``source`` can only be meant as ``org/name`` or ``org/name@revision`` on a hub."""
    return is_hub_name(source) and Path(source).suffix not in SUFFIXES and not Path(source).exists()


def find_data_files(source: str) -> tuple[DataFile, ...]:
    """The files of a path, a glob or ``package:NAME/PATH``, sorted by name.

    Raises:
        InputError: nothing is there, or a file is of a kind that is not read; all of them at once.
    """
    if source.startswith(PREFIX):
        paths = [resolve_package_path(source)]
    elif Path(source).exists() or not glob.has_magic(source):
        paths = [Path(source)]
    else:
        paths = sorted(Path(match) for match in glob.glob(source, recursive=True) if Path(match).is_file())
        if not paths:
            raise InputError([_nothing(Path(source), "a file that matches this pattern")])
    problems = [problem for path in paths for problem in _unusable(path)]
    if problems:
        raise InputError(problems)
    return _named(paths)


def _named(paths: list[Path]) -> tuple[DataFile, ...]:
    if len({path.name for path in paths}) == len(paths):
        return tuple(DataFile(path, path.name) for path in paths)
    root = Path(os.path.commonpath([path.parent for path in paths]))
    return tuple(DataFile(path, path.relative_to(root).as_posix()) for path in paths)


def _unusable(path: Path) -> list[Problem]:
    if not path.exists():
        return [_nothing(path, "a file")]
    kinds = ", ".join(SUFFIXES)
    if path.is_dir():
        return [
            Problem(
                where=str(path),
                expected=f"a file ({kinds})",
                found="a folder",
                remedy=f"name the files in it, for example {path / '*.jsonl'}",
            )
        ]
    if path.suffix not in SUFFIXES:
        return [
            Problem(
                where=str(path),
                expected=f"a file that ends in {kinds}",
                found=f"suffix {path.suffix!r}",
                remedy="convert it to JSON Lines, CSV with commas and a header, or parquet, and name it so",
            )
        ]
    if path.stat().st_size == 0:
        return [
            Problem(
                where=str(path),
                expected="at least one row",
                found="an empty file",
                remedy="write the data into it, or name another file",
            )
        ]
    return []


def _nothing(path: Path, expected: str) -> Problem:
    folder = path.parent
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.4)
    data = [name for name in names if Path(name).suffix in SUFFIXES][:5]
    if not folder.is_dir():
        remedy = f"check the path: the folder {folder} does not exist"
    elif near or data:
        remedy = f"nearest names there: {', '.join(near or data)}"
    else:
        remedy = f"put the data there: {folder} holds no {', '.join(SUFFIXES)} file"
    return Problem(where=str(path), expected=expected, found="nothing there", remedy=remedy)
