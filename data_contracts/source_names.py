"""What the name of a data file says: its kind, how it is packed, and whether it lies on another machine."""

import re
from pathlib import PurePosixPath

KINDS = (".jsonl", ".json", ".csv", ".parquet")
"""Kinds of file that are read; the first two may hold an object on each line, or one array of objects."""

PACKINGS = (".gz", ".zst")
"""What a file may be packed with; parquet packs its own columns."""

PROTOCOLS = ("s3", "gs", "file", "memory")
"""Where files can lie, besides paths; the last two need nothing installed and serve for trying things out."""

ACCEPTED = f"{', '.join(KINDS)}; all but parquet also with {' or '.join(PACKINGS)} behind it"
"""For messages."""

_URL = re.compile(r"(?P<protocol>[a-zA-Z][a-zA-Z0-9+.-]*)(::|://)")


def kind_of(name: str) -> str | None:
    """``.jsonl`` for ``questions.jsonl.gz``; ``None`` for what is not read."""
    suffix = PurePosixPath(unpacked_name(name)).suffix
    if suffix not in KINDS or (suffix == ".parquet" and packing_of(name) is not None):
        return None
    return suffix


def packing_of(name: str) -> str | None:
    """``.gz`` for ``questions.jsonl.gz``; ``None`` for a plain file."""
    suffix = PurePosixPath(name).suffix
    return suffix if suffix in PACKINGS else None


def unpacked_name(name: str) -> str:
    """``questions.jsonl`` for ``questions.jsonl.gz``."""
    packing = packing_of(name)
    return name.removesuffix(packing) if packing else name


def protocol_of(source: str) -> str | None:
    """``s3`` for ``s3://bucket/rows.jsonl``; ``None`` for a path, a package or a hub id."""
    match = _URL.match(source)
    return match["protocol"].lower() if match else None
