"""Finding the files that ``data.source`` names, as plain files on this machine."""

import difflib
import glob
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from data_contracts.errors import InputError, Problem
from data_contracts.hub_names import is_hub_name
from data_contracts.package_paths import PREFIX, resolve_package_path
from data_contracts.source_names import ACCEPTED, KINDS, kind_of, packing_of, protocol_of, unpacked_name
from tasks.data.reading.local_copies import unpacked
from tasks.data.reading.remote_files import list_remote_files

_PARTITION = re.compile(r"(?P<key>[A-Za-z_]\w*)=(?P<value>.*)")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_BESIDE_DATA = (".md", ".yaml", ".yml", ".crc", "")
"""Suffixes of what lies in folders of data without being data: a README, a licence, checksums."""


@dataclass(frozen=True)
class DataFile:
    """One file to read."""

    path: Path
    """Plain and on this machine: a copy, where the file is packed or lies elsewhere."""
    name: str
    """How rows of it are spoken of: the file name, with folders only where names would collide."""
    partitions: tuple[tuple[str, str | None], ...] = ()
    """Columns that the folders' names give every row of it, as in ``language=en/part-0.parquet``."""


@dataclass(frozen=True)
class _Found:
    """One file before it is fetched."""

    place: str
    """Path or URL path, with forward slashes."""
    size_bytes: int
    fetch: Callable[[str], Path]
    """Takes the name for messages and returns a local file, which may still be packed."""


@dataclass(frozen=True)
class _Listing:
    root: str
    """The folder that partitions are counted from."""
    files: tuple[_Found, ...]
    by_folder: bool
    """Whether a folder was named, so that files which are no data may lie among them."""


def is_hub_id(source: str) -> bool:
    """Whether ``source`` can only be meant as ``org/name`` or ``org/name@revision`` on a hub."""
    return is_hub_name(source) and kind_of(source) is None and not Path(source).exists()


def find_data_files(source: str) -> tuple[DataFile, ...]:
    """The files of a path, a pattern, a folder, ``package:NAME/PATH`` or a URL, sorted by name.

    Packed and remote files are copied beside the models in the cache, once for each content.

    Raises:
        InputError: nothing is there, a file is of a kind that is not read, or one cannot be fetched or
            unpacked; all of them at once.
    """
    remote = protocol_of(source) is not None and not source.startswith(PREFIX)
    listing = _listed_elsewhere(source) if remote else _listed_here(source)
    files = _data_among(listing, source)
    problems = [problem for file in files for problem in _unusable(file)]
    if problems:
        raise InputError(problems)
    data: list[DataFile] = []
    faults: list[Problem] = []
    for file, name in zip(files, _names([file.place for file in files]), strict=True):
        try:
            data.append(
                DataFile(unpacked(file.fetch(name), name), name, _partitions(file.place, listing.root))
            )
        except InputError as fault:
            faults.extend(fault.problems)
    if faults:
        raise InputError(faults)
    return tuple(data)


def _listed_here(source: str) -> _Listing:
    if source.startswith(PREFIX):
        paths, root = [resolve_package_path(source)], ""
    elif Path(source).is_dir():
        root = source
        paths = sorted(path for path in Path(source).rglob("*") if path.is_file())
    elif Path(source).exists() or not glob.has_magic(source):
        paths, root = [Path(source)], ""
    else:
        paths = sorted(Path(match) for match in glob.glob(source, recursive=True) if Path(match).is_file())
        if not paths:
            raise InputError([_nothing(Path(source), "a file that matches this pattern")])
        root = _fixed_folder(source)
    absent = [_nothing(path, "a file") for path in paths if not path.exists()]
    if absent:
        raise InputError(absent)
    files = tuple(_Found(path.as_posix(), path.stat().st_size, _as_it_is(path)) for path in paths)
    return _Listing(Path(root).as_posix() if root else "", files, by_folder=Path(source).is_dir())


def _as_it_is(path: Path) -> Callable[[str], Path]:
    return lambda name: path


def _listed_elsewhere(source: str) -> _Listing:
    listed = list_remote_files(source)
    files = tuple(_Found(file.place, file.size_bytes, file.copy) for file in listed.files)
    named = len(files) == 1 and files[0].place == listed.root
    return _Listing("" if named else listed.root, files, by_folder=not named and not glob.has_magic(source))


def _fixed_folder(pattern: str) -> str:
    """The folders of a pattern before its first one with a wildcard."""
    parts = Path(pattern).parts
    fixed = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    return str(Path(*parts[:fixed])) if fixed else "."


def _data_among(listing: _Listing, source: str) -> tuple[_Found, ...]:
    """All files, or for a folder those that are not hidden, marked with ``_`` or documentation."""
    if not listing.by_folder:
        return listing.files
    chosen = []
    for file in listing.files:
        path = PurePosixPath(os.path.relpath(file.place, listing.root))
        hidden = any(part.startswith((".", "_")) and "=" not in part for part in path.parts)
        if not hidden and (kind_of(path.name) or path.suffix.lower() not in _BESIDE_DATA):
            chosen.append(file)
    if not chosen:
        raise InputError.single(
            source,
            expected=f"a folder with files of data ({ACCEPTED})",
            found=f"{len(listing.files)} files, none of them of these kinds",
            remedy="put the data there, or name another folder",
        )
    return tuple(chosen)


def _partitions(place: str, root: str) -> tuple[tuple[str, str | None], ...]:
    if not root:
        return ()
    folders = PurePosixPath(os.path.relpath(place, root)).parent.parts
    matches = [match for part in folders if (match := _PARTITION.fullmatch(part))]
    return tuple(
        (match["key"], None if match["value"] == _NO_VALUE else unquote(match["value"])) for match in matches
    )


def _names(places: Sequence[str]) -> list[str]:
    names = [PurePosixPath(place).name for place in places]
    if len(set(names)) == len(names):
        return names
    root = os.path.commonpath([PurePosixPath(place).parent for place in places])
    return [PurePosixPath(place).relative_to(root).as_posix() for place in places]


def _unusable(file: _Found) -> list[Problem]:
    name = PurePosixPath(file.place).name
    if kind_of(name) is None:
        packed = packing_of(name) is not None and PurePosixPath(unpacked_name(name)).suffix == ".parquet"
        return [
            Problem(
                where=file.place,
                expected=f"a file that ends in {ACCEPTED}",
                found="a packed parquet file" if packed else f"suffix {PurePosixPath(name).suffix!r}",
                remedy="unpack it; parquet packs its columns itself"
                if packed
                else "convert it to JSON Lines, CSV with commas and a header, or parquet, and name it so; or "
                "name the files that are meant with a pattern",
            )
        ]
    if file.size_bytes == 0:
        return [
            Problem(
                where=file.place,
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
    data = [name for name in names if kind_of(name) is not None][:5]
    if not folder.is_dir():
        remedy = f"check the path: the folder {folder} does not exist"
    elif near or data:
        remedy = f"nearest names there: {', '.join(near or data)}"
    else:
        remedy = f"put the data there: {folder} holds no {', '.join(KINDS)} file"
    return Problem(where=str(path), expected=expected, found="nothing there", remedy=remedy)
