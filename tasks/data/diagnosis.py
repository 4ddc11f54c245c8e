"""The slow look at one text file, line by line, that says exactly which rows are broken.

Loaders stop at the first fault and seldom say where; CSV loaders even pad short rows without a word.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_contracts.errors import Problem

LISTED = 20
"""Faults listed per file; the rest are only counted."""


@dataclass(frozen=True)
class JsonLines:
    """What a JSON Lines file holds."""

    records: tuple[dict[str, object], ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class CsvStructure:
    """The header of a CSV file and what is wrong with its shape."""

    header: tuple[str, ...]
    rows: int
    problems: tuple[Problem, ...]


class _DuplicateKeyError(ValueError):
    pass


def diagnose_jsonl(path: Path, name: str) -> JsonLines:
    """Every record, and a problem for each line that is not one JSON object of its own in UTF-8."""
    records: list[dict[str, object]] = []
    problems = []
    row = 0
    for number, line in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        row += 1
        where = _place(name, row, number)
        try:
            value = json.loads(line.decode("utf-8"), object_pairs_hook=_unique_keys)
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except _DuplicateKeyError as fault:
            problems.append(_broken(where, "each key once in a record", f"key {fault} twice"))
        except UnicodeDecodeError as fault:
            problems.append(_not_utf8(where, fault))
        except UnicodeEncodeError:
            problems.append(
                _broken(where, "text in valid Unicode", "half of a surrogate pair (\\ud800-\\udfff)")
            )
        except json.JSONDecodeError as fault:
            found = f"broken JSON: {fault.msg} at character {fault.pos + 1}"
            problems.append(_broken(where, "one whole JSON object on the line", found))
        except RecursionError:
            problems.append(_broken(where, "one whole JSON object on the line", "JSON nested too deeply"))
        else:
            if isinstance(value, dict):
                records.append(value)
            else:
                kind = "an array" if isinstance(value, list) else "a bare value"
                problems.append(_broken(where, "a JSON object {...}", kind))
    return JsonLines(tuple(records), _at_most_listed(problems, name))


def diagnose_csv(path: Path, name: str) -> CsvStructure:
    """The header, the number of rows, and a problem for each row with another number of fields."""
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    undecodable = _undecodable_lines(content, name)
    if undecodable:
        return CsvStructure((), 0, _at_most_listed(undecodable, name))
    # A field may be as long as the file; csv's own limit of 128 KiB would refuse long documents.
    csv.field_size_limit(max(csv.field_size_limit(), len(content) + 1))
    reader = csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True)
    problems: list[Problem] = []
    header: tuple[str, ...] = ()
    row = 0
    try:
        for fields in reader:
            if not fields:
                continue
            if not header:
                # A table saved with its index has a first column without a name.
                header = tuple(column or f"Unnamed: {i}" for i, column in enumerate(fields))
                problems.extend(_header_problems(header, name))
                continue
            row += 1
            if len(fields) != len(header):
                found = f"{len(fields)} field{'s' * (len(fields) != 1)}"
                where = _place(name, row, reader.line_num)
                problems.append(_broken(where, f"{len(header)} fields, as in the header", found))
    except csv.Error as fault:
        where = _place(name, row + 1, reader.line_num)
        problems.append(_broken(where, "fields separated by commas, quotes closed", str(fault)))
    return CsvStructure(header, row, _at_most_listed(problems, name))


def _unique_keys(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    keys: set[str] = set()
    for key, _ in pairs:
        if key in keys:
            raise _DuplicateKeyError(repr(key))
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


def _undecodable_lines(content: bytes, name: str) -> list[Problem]:
    problems = []
    for number, line in enumerate(content.split(b"\n"), start=1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as fault:
            problems.append(_not_utf8(f"{name}, line {number}", fault))
    return problems


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


def _at_most_listed(problems: list[Problem], name: str) -> tuple[Problem, ...]:
    if len(problems) <= LISTED:
        return tuple(problems)
    rest = Problem(
        where=name,
        expected="no broken rows",
        found=f"{len(problems) - LISTED} more broken rows like these",
        remedy="mend the ones listed and try again to see the next",
    )
    return (*problems[:LISTED], rest)
