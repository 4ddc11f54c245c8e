"""What a run came to, in a form that two runs can be held against each other in."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from data_contracts.records.ledger import EntryKind, LedgerEntry
from tasks.audit.verify.chain import superseded

OFTEN = (EntryKind.ATTEMPT, EntryKind.FAULT)
"""What the ledger tells of every attempt; everything else it holds once."""

TIMES = "forecast within the budget"
"""The one rule that observes how long something took."""


def decisions_of(report: dict[str, Any], *, but: Collection[str] = (TIMES,)) -> list[Any]:
    """Gate, verdict and what each rule observed, of an ``outcome.json``; without the rules ``but``."""
    return [
        [
            each["gate"],
            each["verdict"],
            [[rule["name"], rule["observed"]] for rule in each["rules"] if rule["name"] not in but],
        ]
        for each in report["decisions"]
    ]


def trained_in(dossier: Path) -> list[Any]:
    """Where in the dossier something trained lies, and its files with their digests."""
    found = {}
    for path in dossier.rglob("evidence.json"):
        artifact = json.loads(path.read_bytes()).get("artifact")
        # Of a scoring it is a digest alone, of a training the files.
        if isinstance(artifact, dict):
            found[str(path.parent.relative_to(dossier))] = artifact
    return sorted(([place, artifact] for place, artifact in found.items()), key=json.dumps)


def told_once(own: Sequence[LedgerEntry]) -> list[LedgerEntry]:
    """A run's entries without what every attempt tells.

    An attempt that is killed between the entry of its outcome and the last file is followed by one that ends
    the run anew, and says so; the outcome of the last one counts.
    """
    return [
        each
        for each in own
        if each.kind not in OFTEN and not (each.kind is EntryKind.OUTCOME and superseded(own, each))
    ]


def entries_twice(entries: Iterable[LedgerEntry]) -> int:
    """How often a run's ledger holds what is to stand there once."""
    once = Counter((each.run_id, each.kind, each.about) for each in entries if each.kind not in OFTEN)
    return sum(count - 1 for count in once.values())
