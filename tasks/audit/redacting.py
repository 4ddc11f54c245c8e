"""Taking texts out of a dossier as somebody asks for it: what holds them, who asks, what else is to go."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from data_contracts.errors import InputError
from data_contracts.progress import Progress, silent
from data_contracts.records.base import FileRecord
from data_contracts.records.redaction import Copies, RedactionReport
from tasks.evidence.copies import find_copies
from tasks.evidence.dossier import Dossier, find_dossier
from tasks.evidence.environment import user_name
from tasks.evidence.redacting import Author, redact_dossier, require_redactable
from tasks.evidence.redaction import read_redaction
from tasks.evidence.store import STORE_FOLDER, StageStore


@dataclass(frozen=True)
class Redacting:
    """A redaction that was asked for; nothing is changed yet."""

    dossier: Dossier
    author: Author
    holding: tuple[str, ...]
    """Files that hold texts."""
    files: tuple[FileRecord, ...]
    """All that do or did, as they were."""
    copies: Copies
    """What else holds them."""

    @classmethod
    def of(cls, output: Path, run: str, *, by: str | None, reason: str) -> "Redacting":
        """Looks at the run named ``run``.

        Raises:
            InputError: there is no such run, it has not ended, or name or reason is empty.
            ArtifactDamagedError: its dossier is damaged.
        """
        dossier = find_dossier(output, run)
        author = Author(
            name=(by if by is not None else user_name()).strip(), reason=reason.strip(), at=datetime.now(UTC)
        )
        for option, text in (("--by", author.name), ("--reason", author.reason)):
            if not text:
                raise InputError.single(
                    option, expected="some words", found="none", remedy="say it; it stays in the dossier"
                )
        holding = require_redactable(dossier)
        files = _files(dossier, holding)
        return cls(dossier, author, holding, files, find_copies(dossier, files))

    @property
    def name(self) -> str:
        """Of the dossier."""
        return self.dossier.folder.name

    def carry_out(self, *, store: bool, progress: Progress = silent) -> RedactionReport:
        """Removes the texts, with ``store`` also the finished stages that hold them.

        Raises:
            InputError: somebody else is at it, or a run works on one of those stages.
            LorafirstError: as ``redact_dossier`` says.
        """
        redaction = redact_dossier(self.dossier, self.author, progress=progress)
        removed = self.copies.store if store else ()
        stages = StageStore(self.dossier.folder.resolve().parent / STORE_FOLDER)
        for name in removed:
            stages.discard(name)
        return RedactionReport(
            redaction=redaction,
            already=not self.holding,
            removed_from_store=removed,
            copies=find_copies(self.dossier, self.files),
        )


def _files(dossier: Dossier, holding: tuple[str, ...]) -> tuple[FileRecord, ...]:
    begun = read_redaction(dossier)
    listed = {each.before.path for each in begun.files} if begun else set()
    return tuple(file for file in dossier.manifest().files if file.path in {*holding, *listed})
