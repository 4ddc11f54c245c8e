"""MinHash sketches, and pairs of texts that are probably alike.

A sketch holds, for each of ``HASHES`` hash functions, the least hash of a text's shingles; the share of equal
entries of two sketches estimates their Jaccard similarity (Broder, 1997). Sketches are cut into ``BANDS``
bands, and texts that agree in a whole band are compared: with similarity s a pair is found with probability
1 - (1 - s**5)**20, which is 0.9996 at 0.8, 0.975 at 0.7 and 0.47 at 0.5 (Leskovec, Rajaraman and Ullman,
Mining of Massive Datasets, section 3.4).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.data.likeness.shingles import Shingles

BANDS = 20
ROWS_PER_BAND = 5
HASHES = BANDS * ROWS_PER_BAND


_SLICE = 200_000
"""Shingles hashed together: they and their hashes then stay in the processor's cache."""
_SMALL_BUCKET = 16
_GENERATOR = np.random.Generator(np.random.PCG64(20040604))
_FACTORS = _GENERATOR.integers(0, 2**31, size=HASHES, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
_SHIFTS = _GENERATOR.integers(0, 2**32, size=HASHES, dtype=np.uint32)

Pairs = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Sketches:
    """The sketches of many texts, compact: 180 bytes a text."""

    bands: np.ndarray[Any, np.dtype[np.uint32]]  # (texts, BANDS)
    """A hash of each band."""
    digits: np.ndarray[Any, np.dtype[np.uint8]]  # (texts, HASHES)
    """The lowest byte of each least hash (b-bit minwise hashing; Li and König, 2010)."""
    empty: np.ndarray[Any, np.dtype[np.bool_]]
    """Texts without a single shingle, which are like nothing."""

    def __len__(self) -> int:
        return len(self.empty)

    def take(self, index: np.ndarray[Any, Any]) -> "Sketches":
        return Sketches(self.bands[index], self.digits[index], self.empty[index])

    def put(self, part: slice, other: "Sketches") -> None:
        """Fills in the sketches of a part of the texts."""
        self.bands[part], self.digits[part], self.empty[part] = other.bands, other.digits, other.empty

    @classmethod
    def room_for(cls, texts: int) -> "Sketches":
        """To be filled in."""
        bands, digits = np.empty((texts, BANDS), np.uint32), np.empty((texts, HASHES), np.uint8)
        return cls(bands, digits, np.empty(texts, np.bool_))

    @classmethod
    def joined(cls, parts: "list[Sketches]") -> "Sketches":
        return cls(
            np.concatenate([part.bands for part in parts]),
            np.concatenate([part.digits for part in parts]),
            np.concatenate([part.empty for part in parts]),
        )


def sketch(shingles: Shingles) -> Sketches:
    """The sketch of each text."""
    texts = len(shingles.offsets) - 1
    least = np.zeros((texts, HASHES), dtype=np.uint32)
    filled = np.flatnonzero(shingles.counts())
    starts = shingles.offsets[filled]
    hashes = (shingles.hashes >> np.uint64(32)).astype(np.uint32)
    for part in _slices(starts, len(hashes)):
        begin = starts[part.start]
        end = starts[part.stop] if part.stop < len(starts) else len(hashes)
        _least(hashes[begin:end], starts[part] - begin, least, filled[part])
    return Sketches(_band_hashes(least), (least & 0xFF).astype(np.uint8), shingles.counts() == 0)


def similarity(left: Sketches, right: Sketches) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Estimated Jaccard similarity of texts beside each other; standard error 0.04 at 0.8.

    Lowest bytes agree by chance once in 256, which is taken off: (share - 1/256) / (1 - 1/256).
    """
    equal = (left.digits == right.digits).mean(axis=1)
    estimate: np.ndarray[Any, np.dtype[np.float64]] = np.clip((equal - 1 / 256) / (1 - 1 / 256), 0.0, 1.0)
    return estimate


def candidate_pairs(sketches: Sketches) -> Pairs:
    """Pairs of texts that agree in a band, each once, the lower position first; shape (pairs, 2).

    In a band shared by more than 16 texts each is paired with the first of them and with the one before, as
    all pairs of a thousand equal openings would be half a million.
    """
    codes = np.flatnonzero(~sketches.empty)
    found = [_bucket_pairs(sketches.bands[codes, band], codes) for band in range(BANDS)]
    return _unique_pairs(found)


def cross_pairs(left: Sketches, right: Sketches) -> Pairs:
    """Pairs of a text of ``left`` with one of ``right`` that agree in a band, each once; shape (pairs, 2).

    Of texts of ``right`` that share a band, at most 16 are paired.
    """
    found = []
    ours, theirs = np.flatnonzero(~left.empty), np.flatnonzero(~right.empty)
    for band in range(BANDS):
        order = theirs[np.argsort(right.bands[theirs, band], kind="stable")]
        keys = right.bands[order, band]
        values = left.bands[ours, band]
        low, high = np.searchsorted(keys, values, "left"), np.searchsorted(keys, values, "right")
        for step in range(_SMALL_BUCKET):
            hit = low + step < high
            if not hit.any():
                break
            found.append(np.stack([ours[hit], order[low[hit] + step]], axis=1))
    return _unique_pairs(found)


def _least(
    hashes: np.ndarray[Any, Any],
    starts: np.ndarray[Any, Any],
    least: np.ndarray[Any, Any],
    rows: np.ndarray[Any, Any],
) -> None:
    # Multiply-add modulo 2**32 keeps its high bits random, which decide what is least (Dietzfelbinger, 1997).
    scratch = np.empty(len(hashes), dtype=np.uint32)
    for index in range(HASHES):
        np.multiply(hashes, _FACTORS[index], out=scratch)
        np.add(scratch, _SHIFTS[index], out=scratch)
        least[rows, index] = np.minimum.reduceat(scratch, starts)


def _slices(starts: np.ndarray[Any, Any], total: int) -> list[slice]:
    slices = []
    first = 0
    while first < len(starts):
        last = int(np.searchsorted(starts, starts[first] + _SLICE, "left"))
        last = max(first + 1, last)
        slices.append(slice(first, last))
        first = last
    return slices


def _band_hashes(least: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    parts = least.reshape(len(least), BANDS, ROWS_PER_BAND).astype(np.uint64)
    whole = np.zeros((len(least), BANDS), dtype=np.uint64)
    with np.errstate(over="ignore"):
        for index in range(ROWS_PER_BAND):
            whole = (whole ^ parts[:, :, index]) * np.uint64(0x9E3779B97F4A7C15)
            whole ^= whole >> np.uint64(29)
    return (whole >> np.uint64(32)).astype(np.uint32)


def _bucket_pairs(keys: np.ndarray[Any, Any], codes: np.ndarray[Any, Any]) -> Pairs:
    order = np.argsort(keys, kind="stable")
    sorted_keys, members = keys[order], codes[order]
    fresh = np.concatenate([[True], sorted_keys[1:] != sorted_keys[:-1]]) if len(keys) else np.empty(0, bool)
    heads = np.flatnonzero(fresh)
    sizes = np.diff(np.append(heads, len(keys)))
    found = []
    rank = np.arange(len(keys)) - np.repeat(heads, sizes)
    size = np.repeat(sizes, sizes)
    later = np.flatnonzero(rank > 0)
    found.append(np.stack([members[later - 1], members[later]], axis=1))
    big = later[size[later] > _SMALL_BUCKET]
    found.append(np.stack([members[big - rank[big]], members[big]], axis=1))
    for step in range(2, _SMALL_BUCKET):
        small = np.flatnonzero((rank >= step) & (size <= _SMALL_BUCKET))
        found.append(np.stack([members[small - step], members[small]], axis=1))
    return np.concatenate(found)


def _unique_pairs(found: list[Pairs]) -> Pairs:
    if not found:
        return np.empty((0, 2), np.int64)
    pairs = np.concatenate(found).astype(np.int64)
    # One number a pair sorts ten times faster than two.
    keys = np.unique((pairs[:, 0] << 32) | pairs[:, 1])
    return np.stack([keys >> 32, keys & 0xFFFFFFFF], axis=1)
