"""The slow look at one text file, line by line, that says exactly which rows are broken.

Loaders stop at the first fault and seldom say where; CSV loaders even pad short rows without a word.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_contracts.errors import Problem

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

LISTED = 20
"""Faults listed per file; the rest are only counted."""


@dataclass(frozen=True)
class JsonStructure:
    """The keys of a JSON Lines file's records, and what is wrong with its lines."""

    columns: tuple[str, ...]
    """In the order in which they first appear."""
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class CsvStructure:
    """The header of a CSV file and what is wrong with its shape."""

    header: tuple[str, ...]
    rows: int
    problems: tuple[Problem, ...]


class _BrokenLineError(Exception):
    def __init__(self, expected: str, found: str) -> None:
        self.expected, self.found = expected, found
        super().__init__(found)


class _Problems:
    """The first ``LISTED`` problems of a file, and how many more there are."""

    def __init__(self, name: str) -> None:
        self.name, self.first, self.more = name, list[Problem](), 0

    def add(self, *problems: Problem) -> None:
        for problem in problems:
            if len(self.first) < LISTED:
                self.first.append(problem)
            else:
                self.more += 1

    def listed(self) -> tuple[Problem, ...]:
        if not self.more:
            return tuple(self.first)
        rest = Problem(
            where=self.name,
            expected="no broken rows",
            found=f"{self.more} more broken rows like these",
            remedy="mend the ones listed and try again to see the next",
        )
        return (*self.first, rest)


def lines_of(path: Path | str) -> Iterator[tuple[int, bytes]]:
    """The number, from 1, and the bytes of each line that is not blank, less a byte order mark."""
    with Path(path).open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            content = (line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line).strip()
            if content:
                yield number, content


def diagnose_jsonl(path: Path, name: str) -> JsonStructure:
    """The keys of all records, and a problem for each line that is not a JSON object of its own in UTF-8."""
    columns: dict[str, None] = {}
    problems = _Problems(name)
    for row, (number, line) in enumerate(lines_of(path), start=1):
        where = _place(name, row, number)
        try:
            columns.update(dict.fromkeys(_record(line)))
        except _BrokenLineError as fault:
            problems.add(_broken(where, fault.expected, fault.found))
        except UnicodeDecodeError as fault:
            problems.add(_not_utf8(where, fault))
    return JsonStructure(tuple(columns), problems.listed())


def _record(line: bytes) -> dict[str, object]:
    whole = "one whole JSON object on the line"
    try:
        value = json.loads(line.decode("utf-8"), object_pairs_hook=_unique_keys)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as fault:
        raise _BrokenLineError(whole, f"broken JSON: {fault.msg} at character {fault.pos + 1}") from fault
    except UnicodeEncodeError as fault:
        found = "half of a surrogate pair (\\ud800-\\udfff)"
        raise _BrokenLineError("text in valid Unicode", found) from fault
    except RecursionError as fault:
        raise _BrokenLineError(whole, "JSON nested too deeply") from fault
    if not isinstance(value, dict):
        found = "an array" if isinstance(value, list) else "a bare value"
        raise _BrokenLineError("a JSON object {...}", found)
    return value


def diagnose_csv(path: Path, name: str) -> CsvStructure:
    """The header, the number of rows, and a problem for each row with another number of fields."""
    undecodable = _undecodable_lines(path, name)
    if undecodable:
        return CsvStructure((), 0, undecodable)
    # A field may be as long as the file; csv's own limit of 128 KiB would refuse long documents.
    csv.field_size_limit(max(csv.field_size_limit(), path.stat().st_size + 1))
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return _csv_structure(csv.reader(stream, strict=True), name)


def _csv_structure(reader: Any, name: str) -> CsvStructure:
    problems = _Problems(name)
    header: tuple[str, ...] = ()
    row = 0
    try:
        for fields in reader:
            if not fields:
                continue
            if not header:
                # A table saved with its index has a first column without a name.
                header = tuple(column or f"Unnamed: {i}" for i, column in enumerate(fields))
                problems.add(*_header_problems(header, name))
                continue
            row += 1
            if len(fields) != len(header):
                found = f"{len(fields)} field{'s' * (len(fields) != 1)}"
                where = _place(name, row, reader.line_num)
                problems.add(_broken(where, f"{len(header)} fields, as in the header", found))
    except csv.Error as fault:
        where = _place(name, row + 1, reader.line_num)
        problems.add(_broken(where, "fields separated by commas, quotes closed", str(fault)))
    return CsvStructure(header, row, problems.listed())


def _unique_keys(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    keys: set[str] = set()
    for key, _ in pairs:
        if key in keys:
            raise _BrokenLineError("each key once in a record", f"key {key!r} twice")
        keys.add(key)
    return dict(pairs)


def _header_problems(header: tuple[str, ...], name: str) -> Iterator[Problem]:
    for column in sorted({column for column in header if header.count(column) > 1}):
        yield Problem(
            where=f"{name}, header",
            expected="each column once",
            found=f"column {column!r} {header.count(column)} times",
            remedy="rename one of them",
        )


def _undecodable_lines(path: Path, name: str) -> tuple[Problem, ...]:
    problems = _Problems(name)
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as fault:
                problems.add(_not_utf8(f"{name}, line {number}", fault))
    return problems.listed()


def _place(name: str, row: int, line: int) -> str:
    return f"{name}, row {row}" if row == line else f"{name}, row {row} (line {line})"


def _broken(where: str, expected: str, found: str) -> Problem:
    return Problem(where=where, expected=expected, found=found, remedy="correct or delete this row")


def _not_utf8(where: str, fault: UnicodeDecodeError) -> Problem:
    byte = fault.object[fault.start]
    return Problem(
        where=where,
        expected="text in UTF-8",
        found=f"byte 0x{byte:02x} at position {fault.start + 1}",
        remedy="convert the file, for example: iconv -f LATIN1 -t UTF-8 OLD > NEW",
    )
