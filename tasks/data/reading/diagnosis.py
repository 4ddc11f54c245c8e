"""The slow look at one text file, line by line, that says exactly which rows are broken.

Loaders stop at the first fault and seldom say where; CSV loaders even pad short rows without a word.
Nothing here holds more than one row, and no row longer than ``MAX_ROW_BYTES``.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from data_contracts.errors import InputError, Problem

LISTED = 20
"""Faults listed per file; the rest are only counted."""

MAX_ROW_BYTES = 2**24
"""A row of 16 MiB is some four million tokens, thirty times what settings let a model read."""

BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class JsonStructure:
    """The keys of a JSON Lines file's records, and what is wrong with its lines."""

    columns: tuple[str, ...]
    """In the order in which they first appear."""
    rows: int
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class CsvStructure:
    """The header of a CSV file and what is wrong with its shape."""

    header: tuple[str, ...]
    rows: int
    problems: tuple[Problem, ...]


@dataclass
class _Faults:
    """The first faults of a file, and how many more there are."""

    name: str
    listed: list[Problem] = field(default_factory=list)
    unlisted: int = 0

    def add(self, problem: Problem) -> None:
        if len(self.listed) < LISTED:
            self.listed.append(problem)
        else:
            self.unlisted += 1

    def problems(self) -> tuple[Problem, ...]:
        if not self.unlisted:
            return tuple(self.listed)
        rest = Problem(
            where=self.name,
            expected="no broken rows",
            found=f"{self.unlisted} more broken rows like these",
            remedy="mend the ones listed and try again to see the next",
        )
        return (*self.listed, rest)


class _DuplicateKeyError(ValueError):
    pass


class _TooLongError(ValueError):
    """Stands for a line beyond ``MAX_ROW_BYTES``."""


def require_short_rows(path: Path, name: str) -> None:
    """Returns only if no line of a text file is longer than ``MAX_ROW_BYTES``, which loaders would hold.

    Raises:
        InputError: naming every such line, as far as they are listed.
    """
    faults = _Faults(name)
    with path.open("rb") as stream:
        for number, line in _lines(stream):
            if isinstance(line, _TooLongError):
                faults.add(_too_long(f"{name}, line {number}"))
    problems = faults.problems()
    if problems:
        raise InputError(problems)


def lines_of(path: Path | str) -> Iterator[tuple[int, bytes]]:
    """Number and content of each line that is not blank, of a file without a fault."""
    with Path(path).open("rb") as stream:
        for number, line in _lines(stream):
            if not isinstance(line, _TooLongError) and line.strip():
                yield number, line.strip()


def diagnose_jsonl(path: Path, name: str) -> JsonStructure:
    """The keys of all records, and a problem for each line that is not a JSON object of its own in UTF-8."""
    columns: dict[str, None] = {}
    faults = _Faults(name)
    row = 0
    with path.open("rb") as stream:
        for number, line in _lines(stream):
            if not isinstance(line, _TooLongError) and not line.strip():
                continue
            row += 1
            found = _record(line, _place(name, row, number))
            if isinstance(found, Problem):
                faults.add(found)
            else:
                columns.update(dict.fromkeys(found))
    return JsonStructure(tuple(columns), row, faults.problems())


def _record(line: bytes | _TooLongError, where: str) -> dict[str, object] | Problem:
    whole = "one whole JSON object on the line"
    if isinstance(line, _TooLongError):
        return _too_long(where)
    try:
        value = json.loads(line.decode("utf-8"), object_pairs_hook=_unique_keys)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except _DuplicateKeyError as fault:
        return _broken(where, "each key once in a record", f"key {fault} twice")
    except UnicodeDecodeError as fault:
        return _not_utf8(where, fault)
    except UnicodeEncodeError:
        return _broken(where, "text in valid Unicode", "half of a surrogate pair (\\ud800-\\udfff)")
    except json.JSONDecodeError as fault:
        return _broken(where, whole, f"broken JSON: {fault.msg} at character {fault.pos + 1}")
    except RecursionError:
        return _broken(where, whole, "JSON nested too deeply")
    except ValueError:
        return _broken(where, whole, "a number of more than 4,300 digits")
    if isinstance(value, dict):
        return value
    return _broken(where, "a JSON object {...}", "an array" if isinstance(value, list) else "a bare value")


def diagnose_csv(path: Path, name: str) -> CsvStructure:
    """The header, the number of rows, and a problem for each row with another number of fields."""
    faults = _Faults(name)
    header: tuple[str, ...] = ()
    row = 0
    # A field may span many lines; csv's own limit of 128 KiB would refuse long documents.
    csv.field_size_limit(MAX_ROW_BYTES)
    with path.open("rb") as stream:
        reader = csv.reader(_text_lines(stream, name, faults), strict=True)
        try:
            for fields in reader:
                if not fields:
                    continue
                if not header:
                    # A table saved with its index has a first column without a name.
                    header = tuple(column or f"Unnamed: {i}" for i, column in enumerate(fields))
                    for problem in _header_problems(header, name):
                        faults.add(problem)
                    continue
                row += 1
                if len(fields) != len(header):
                    found = f"{len(fields)} field{'s' * (len(fields) != 1)}"
                    where = _place(name, row, reader.line_num)
                    faults.add(_broken(where, f"{len(header)} fields, as in the header", found))
        except csv.Error as fault:
            where = _place(name, row + 1, reader.line_num)
            faults.add(_broken(where, "fields separated by commas, quotes closed", str(fault)))
    return CsvStructure(header, row, faults.problems())


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes | _TooLongError]]:
    """Number and content of each line, its end included; an overlong one is passed over unread."""
    number = 0
    while line := stream.readline(MAX_ROW_BYTES + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(BOM)
        if len(line) <= MAX_ROW_BYTES or line.endswith(b"\n"):
            yield number, line
            continue
        while (more := stream.readline(MAX_ROW_BYTES)) and not more.endswith(b"\n"):
            pass
        yield number, _TooLongError()


def _text_lines(stream: IO[bytes], name: str, faults: _Faults) -> Iterator[str]:
    """The lines as text; those that are none are told to ``faults`` and come as they are with marks."""
    for number, line in _lines(stream):
        if isinstance(line, _TooLongError):
            faults.add(_too_long(f"{name}, line {number}"))
            yield "\n"
            continue
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as fault:
            faults.add(_not_utf8(f"{name}, line {number}", fault))
            yield line.decode("utf-8", errors="replace")


def _unique_keys(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    keys: set[str] = set()
    for key, _ in pairs:
        if key in keys:
            raise _DuplicateKeyError(repr(key[:40]))
        keys.add(key)
    return dict(pairs)


def _header_problems(header: tuple[str, ...], name: str) -> Iterator[Problem]:
    for column, count in sorted(Counter(header).items()):
        if count == 1:
            continue
        yield Problem(
            where=f"{name}, header",
            expected="each column once",
            found=f"column {column[:40]!r} {count} times",
            remedy="rename one of them",
        )


def _place(name: str, row: int, line: int) -> str:
    return f"{name}, row {row}" if row == line else f"{name}, row {row} (line {line})"


def _broken(where: str, expected: str, found: str) -> Problem:
    return Problem(where=where, expected=expected, found=found, remedy="correct or delete this row")


def _too_long(where: str) -> Problem:
    return Problem(
        where=where,
        expected=f"at most {MAX_ROW_BYTES // 2**20} MiB in one row",
        found="a longer line",
        remedy="shorten or delete this row; check that the file has line ends",
    )


def _not_utf8(where: str, fault: UnicodeDecodeError) -> Problem:
    byte = fault.object[fault.start]
    source = "UTF-16" if fault.object.startswith(_UTF16_BOMS) else "LATIN1"
    return Problem(
        where=where,
        expected="text in UTF-8",
        found=f"byte 0x{byte:02x} at position {fault.start + 1}",
        remedy=f"convert the file, for example: iconv -f {source} -t UTF-8 OLD > NEW",
    )
