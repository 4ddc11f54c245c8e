"""The dossier behind a version of the registry."""

from pathlib import Path

from data_contracts.errors import ArtifactDamagedError
from data_contracts.records.base import FolderRecord
from data_contracts.records.registry import ModelVersion
from tasks.evidence.dossier import REQUEST, Dossier


def dossier_of(version: ModelVersion, output: Path) -> Dossier:
    """The dossier that a version lies in: where it was registered, or among the runs of ``output``.

    Raises:
        ArtifactDamagedError: it is gone, or its artifact is no longer the one that was registered.
    """
    candidate = version.candidate
    places = [Path(candidate.dossier), output / candidate.run_id]
    folder = next((each for each in places if (each / REQUEST).is_file()), None)
    what = f"{candidate.model}, version {version.version}"
    remedy = f"  to do: restore the dossier {candidate.run_id} in {output}"
    if folder is None:
        raise ArtifactDamagedError(f"{what}: its dossier is neither {places[0]} nor {places[1]}\n{remedy}")
    artifact = folder / candidate.artifact
    if FolderRecord.of(artifact).digest() != candidate.artifact_digest:
        raise ArtifactDamagedError(
            f"{what}: {artifact} is not what was registered: its digest is another\n{remedy}"
        )
    return Dossier(folder)
