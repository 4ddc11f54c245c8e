"""The newest permit of a run, and what its permits were redeemed for, kept beside the runs.

The dossier of a run that goes on is cleared; here the run finds them again.
"""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from data_contracts.records.base import Digest
from data_contracts.records.permit import Redemption
from tasks.evidence.files import write_atomically

FOLDER = ".permits"
"""Below the output folder."""


@dataclass(frozen=True)
class KeptPermits:
    """Those of one run."""

    folder: Path

    @classmethod
    def of(cls, output: Path, run_id: str) -> "KeptPermits":
        return cls(output / FOLDER / run_id)

    def keep(self, envelope: bytes) -> None:
        write_atomically(self.folder / "permit.json", envelope)

    def newest(self) -> bytes | None:
        try:
            return (self.folder / "permit.json").read_bytes()
        except OSError:
            return None

    def keep_redemption(self, redemption: Redemption) -> None:
        write_atomically(self._redemption(redemption.digest()), redemption.canonical_json())

    def redemption(self, digest: Digest) -> Redemption | None:
        """``None`` if it is not there, or is something else."""
        try:
            found = Redemption.as_written(self._redemption(digest).read_bytes())
        except (OSError, ValidationError):
            return None
        return found if found.digest() == digest else None

    def _redemption(self, digest: Digest) -> Path:
        return self.folder / "redemptions" / f"{digest.removeprefix('sha256:')}.json"
