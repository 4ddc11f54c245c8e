"""Texts as sets of hashed word triples, computed on whole Arrow arrays at once.

A word is a run of letters and digits; a character of a script written without spaces is a word of its own.
Texts are compared after Unicode NFKC in lower case; white space and ASCII's punctuation do not count. The
hash of a word is a polynomial of its bytes modulo 2**64 (Karp and Rabin, 1987), by Horner's rule over all
words at once, so that no text is ever touched in Python.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

Hashes = np.ndarray[Any, np.dtype[np.uint64]]

WORDS = 3
"""Words in a shingle. A changed word changes three shingles: in a text of 40 words the Jaccard similarity
falls to about 0.85."""

_BASE = np.uint64(0x9E3779B97F4A7C15)
_SALT = np.uint64(0xD6E8FEB86659FD93)
_IDEOGRAPHS = (0xE3, 0xED)
"""First and last leading byte, in UTF-8, of kana, ideographs and Hangul."""


@dataclass(frozen=True)
class Shingles:
    """The shingles of some texts, one text behind the other."""

    hashes: Hashes
    offsets: np.ndarray[Any, np.dtype[np.int64]]
    """Where each text's shingles begin, and at the end their number. A text without words has none; one of
    fewer words than ``WORDS`` has one, of all of them."""

    def of(self, index: int) -> Hashes:
        return self.hashes[self.offsets[index] : self.offsets[index + 1]]

    def counts(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        return np.diff(self.offsets)


def shingles_of(texts: "pa.Array") -> Shingles:
    """The shingles of each text; nulls have none."""
    data, offsets = _lower_bytes(texts)
    starts, ends = _words(data, offsets)
    words = _hashes(data, starts, ends)
    first = np.searchsorted(starts, offsets)
    return _triples(words, first)


def jaccard(left: Hashes, right: Hashes) -> float:
    """Size of the intersection over size of the union of two sets of shingles; 0 where both are empty."""
    a, b = np.unique(left), np.unique(right)
    common = len(np.intersect1d(a, b, assume_unique=True))
    union = len(a) + len(b) - common
    return common / union if union else 0.0


def _lower_bytes(texts: "pa.Array") -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = pc.fill_null(texts, "")
    if not pc.all(pc.string_is_ascii(whole)).as_py():
        whole = pc.utf8_normalize(whole, form="NFKC")
    lower = pc.utf8_lower(whole).cast(pa.large_string())
    _, offsets, data = lower.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int64)[lower.offset : lower.offset + len(lower) + 1]
    content = np.frombuffer(data, dtype=np.uint8) if data is not None else np.empty(0, np.uint8)
    return content[bounds[0] : bounds[-1]], bounds - bounds[0]


def _words(
    data: np.ndarray[Any, Any], offsets: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """First byte of each word, and the byte behind its last."""
    inside = _WORD_BYTES[data]
    starts = inside.copy()
    starts[1:] &= ~inside[:-1]
    ends = inside.copy()
    ends[:-1] &= ~inside[1:]
    # A word does not run on from one text into the next.
    borders = offsets[1:-1][(offsets[1:-1] > 0) & (offsets[1:-1] < len(data))]
    starts[borders] = inside[borders]
    ends[borders - 1] |= inside[borders - 1]
    if len(data) and int(data.max()) >= _IDEOGRAPHS[0]:
        lead = (data >= _IDEOGRAPHS[0]) & (data <= _IDEOGRAPHS[1])
        single = np.flatnonzero(lead)
        starts[single] = True
        ends[np.minimum(single + 2, len(data) - 1)] = True
        behind = single[single + 3 < len(data)] + 3
        starts[behind] |= inside[behind]
        ends[single[single > 0] - 1] |= inside[single[single > 0] - 1]
    return np.flatnonzero(starts), np.flatnonzero(ends) + 1


def _hashes(data: np.ndarray[Any, Any], starts: np.ndarray[Any, Any], ends: np.ndarray[Any, Any]) -> Hashes:
    if not len(starts):
        return np.empty(0, np.uint64)
    with np.errstate(over="ignore"):
        hashes = np.zeros(len(starts), dtype=np.uint64)
        lengths = ends - starts
        # Horner's rule over all words at once, one byte position at a time; few words are long.
        active = np.arange(len(starts))
        position = 0
        while len(active):
            hashes[active] = hashes[active] * _BASE + data[starts[active] + position] + np.uint64(1)
            position += 1
            active = active[lengths[active] > position]
    return _mixed(hashes)


def _triples(words: Hashes, first: np.ndarray[Any, Any]) -> Shingles:
    counts = np.diff(first)
    sizes = np.where(counts >= WORDS, counts - WORDS + 1, np.minimum(counts, 1))
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    with np.errstate(over="ignore"):
        padded = np.concatenate([words, np.zeros(WORDS, np.uint64)])
        rolled = padded[: len(words)].copy()
        for step in range(1, WORDS):
            rolled = rolled * _BASE + padded[step : len(words) + step]
    # The last words of a text open no shingle, except in a text that is shorter than one.
    text = np.repeat(np.arange(len(counts)), counts)
    index = np.arange(len(words)) - first[text] if len(words) else np.empty(0, np.int64)
    hashes = rolled[index < sizes[text]] if len(words) else np.empty(0, np.uint64)
    short = np.flatnonzero((counts > 0) & (counts < WORDS))
    hashes[offsets[short]] = _all_of(words, first[short], counts[short])
    return Shingles(_mixed(hashes), offsets.astype(np.int64))


def _all_of(words: Hashes, first: np.ndarray[Any, Any], counts: np.ndarray[Any, Any]) -> Hashes:
    """One hash for each text that is shorter than a shingle."""
    whole = np.full(len(first), _SALT, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for step in range(WORDS - 1):
            more = counts > step
            whole[more] = whole[more] * _BASE + words[first[more] + step]
    return whole


def _mixed(hashes: Hashes) -> Hashes:
    """Every bit dependent on every other (the finaliser of SplitMix64; Steele, Lea and Flood, 2014)."""
    with np.errstate(over="ignore"):
        mixed = hashes + _SALT
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))


def _word_bytes() -> np.ndarray[Any, np.dtype[np.bool_]]:
    table = np.zeros(256, dtype=bool)
    table[ord("0") : ord("9") + 1] = True
    table[ord("a") : ord("z") + 1] = True
    table[128:] = True
    return table


_WORD_BYTES = _word_bytes()
