"""A person's answer to an escalation, kept beside the runs: recorded, not signed."""

from pathlib import Path

from pydantic import ValidationError

from data_contracts.errors import ArtifactDamagedError
from data_contracts.records.pilots import Approval
from tasks.evidence.files import write_atomically

_FOLDER = ".approvals"


def read_approval(output: Path, subject: str) -> Approval | None:
    """The answer to what has the digest ``subject``; ``None`` while nobody has answered.

    Raises:
        ArtifactDamagedError: the file is no approval.
    """
    path = _path(output, subject)
    try:
        return Approval.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise ArtifactDamagedError(f"{path} cannot be read as an approval: {error}") from error


def write_approval(output: Path, approval: Approval) -> None:
    """Keeps ``approval`` for the run that goes on."""
    path = _path(output, approval.subject)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, approval.canonical_json())


def _path(output: Path, subject: str) -> Path:
    return output / _FOLDER / f"{subject.removeprefix('sha256:')}.json"
