"""One JSON array of objects as JSON Lines, an element at a time: how instruction data are mostly shipped.

Loaders parse the whole array at once; here nothing longer than a chunk and one element is held.
"""

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NoReturn

from data_contracts.errors import InputError
from tasks.data.reading.diagnosis import BOM, MAX_ROW_BYTES
from tasks.data.reading.local_copies import stored_copy

_CHUNK_BYTES = 2**20
_BLANK = re.compile(r"[ \t\r\n]*")
_CUT_SHORT = re.compile(r'[\w.+\-\\"]*')
"""A word, a number or an escape without its end."""

# Numbers stay text here: they are only passed over, and one of many digits is for the next reader to name.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)


def holds_array(path: Path) -> bool:
    """Whether the first thing in the file is the opening of an array."""
    with path.open("rb") as stream:
        return stream.read(_CHUNK_BYTES).removeprefix(BOM).lstrip(b" \t\r\n").startswith(b"[")


def as_json_lines(path: Path, name: str, sha256: str) -> Path:
    """A copy with each element of the array on a line of its own, found again by the file's digest.

    Element N is line N, whatever it is; whether it is an object is for the reader of the lines to say.

    Raises:
        InputError: the array ends early or is broken; it says in which element and line.
    """

    def write(stream: IO[bytes]) -> None:
        for element in _elements(path, name):
            stream.write(element + b"\n")

    return stored_copy(f"array-{sha256.removeprefix('sha256:')[:32]}", f"{path.stem}.jsonl", name, write)


def _elements(path: Path, name: str) -> Iterator[bytes]:
    with path.open("rb") as stream:
        window = _Window(stream, name)
        window.next_mark()
        window.pass_over(1)
        mark = window.next_mark()
        while mark != "]":
            window.row += 1
            yield window.element()
            mark = window.next_mark()
            if mark == ",":
                window.pass_over(1)
                window.next_mark()
            elif mark != "]":
                window.refuse("a comma or the closing ] behind this element", mark)
        window.pass_over(1)
        mark = window.next_mark()
        if mark:
            window.refuse("nothing behind the closing ]", mark)


@dataclass
class _Window:
    """The part of a file that is being looked at, as text."""

    stream: IO[bytes]
    name: str
    text: str = ""
    at: int = 0
    row: int = 0
    line: int = 1
    """Of ``text[at]``, from 1."""
    read_bytes: int = 0
    ended: bool = False
    unreadable: str = ""
    """Which byte is no text, behind all that is in ``text``; empty if none is."""
    decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8-sig")()
    )

    def more(self) -> bool:
        """Whether there was more to read. Reads as much again as is still looked at, so that a long element
        is not parsed from its start too often."""
        if self.unreadable:
            self.line += self.text.count("\n", self.at)
            raise self._error("text in UTF-8", self.unreadable)
        if self.ended:
            return False
        chunk = self.stream.read(max(_CHUNK_BYTES, len(self.text) - self.at))
        self.read_bytes += len(chunk)
        self.ended = not chunk
        try:
            more = self.decoder.decode(chunk, final=self.ended)
        except UnicodeDecodeError as fault:
            # Told only when everything before it was looked at, so that the element is known.
            more = fault.object[: fault.start].decode("utf-8").removeprefix("\ufeff")
            position = self.read_bytes - len(fault.object) + fault.start + 1
            self.unreadable = f"byte 0x{fault.object[fault.start]:02x} at position {position} of the file"
        self.text, self.at = self.text[self.at :] + more, 0
        return True

    def pass_over(self, count: int) -> None:
        self.line += self.text.count("\n", self.at, self.at + count)
        self.at += count

    def next_mark(self) -> str:
        """The next character that is not blank; empty at the end of the file."""
        while True:
            blank = _BLANK.match(self.text, self.at)
            assert blank is not None
            self.pass_over(blank.end() - self.at)
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""

    def element(self) -> bytes:
        """The element that starts here, on one line."""
        while True:
            try:
                _, end = _DECODER.raw_decode(self.text, self.at)
            except json.JSONDecodeError as fault:
                if len(self.text) - self.at > MAX_ROW_BYTES:
                    self._refuse_length()
                # What is broken here may only be cut off by the end of what was read so far.
                if not self.more():
                    self._refuse_element(fault)
                continue
            except RecursionError:
                raise self._error("an object", "JSON nested too deeply") from None
            # A number may go on behind the end of what was read so far.
            if end == len(self.text) and self.more():
                continue
            # Outside of texts a line break is but blank; inside it would have been refused.
            whole = self.text[self.at : end].replace("\r", " ").replace("\n", " ").encode("utf-8")
            if len(whole) > MAX_ROW_BYTES:
                self._refuse_length()
            self.pass_over(end - self.at)
            return whole

    def refuse(self, expected: str, found: str) -> NoReturn:
        """Ends the reading here, where the character ``found`` stands, or nothing at all."""
        raise self._error(expected, repr(found) if found else "the file ends before the array is closed")

    def _refuse_element(self, fault: json.JSONDecodeError) -> NoReturn:
        cut = fault.msg.startswith("Unterminated") or _CUT_SHORT.fullmatch(self.text, fault.pos)
        self.line += self.text.count("\n", self.at, fault.pos)
        raise self._error(
            "a whole JSON object and, behind the last one, the closing ]",
            "the file ends inside this element" if cut else f"broken JSON: {fault.msg}",
        )

    def _refuse_length(self) -> NoReturn:
        raise self._error(f"at most {MAX_ROW_BYTES // 2**20} MiB in one element", "a longer one")

    def _error(self, expected: str, found: str) -> InputError:
        return InputError.single(
            f"{self.name}, row {max(1, self.row)} (line {self.line})",
            expected=expected,
            found=found,
            remedy="correct this element, or write the file again; an interrupted copy ends early",
        )
