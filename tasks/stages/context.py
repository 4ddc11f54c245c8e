"""What every stage of one run shares."""

from dataclasses import dataclass
from pathlib import Path

from data_contracts.records.settings import RunSettings
from tasks.evidence.dossier import Dossier
from tasks.evidence.store import STORE_FOLDER, StageStore


@dataclass(frozen=True)
class RunContext:
    """One run: what was asked, and where things go."""

    run_id: str
    settings: RunSettings
    dossier: Dossier
    cache: Path
    """Where converted base models are kept."""
    memory_bytes: int
    """What each training process can have; a model that is parted over them needs less."""

    @property
    def store(self) -> StageStore:
        return StageStore(self.settings.output / STORE_FOLDER)
