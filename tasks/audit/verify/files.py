"""The manifest against the folder: every file, no other, and no way out of it; or what a redaction left."""

from collections.abc import Iterator

from data_contracts.records.verification import Check, FoundFault
from tasks.audit.verify.held import Held
from tasks.evidence.dossier import MANIFEST
from tasks.evidence.redaction import check_redacted, still_holding


def file_faults(held: Held) -> Iterator[FoundFault]:
    """What differs between the manifest and the folder."""
    if held.manifest is None:
        if not (held.folder / MANIFEST).is_file():
            yield _fault(MANIFEST, "it is not there: the run has not ended, or the dossier was cut short")
        return
    if held.manifest.run_id != held.run_id:
        yield _fault(MANIFEST, f"it is of the run {held.manifest.run_id}, and this is {held.run_id}")
    paths = [file.path for file in held.manifest.files]
    if len(set(paths)) != len(paths):
        yield _fault(MANIFEST, "it names a file twice")
    yield from check_redacted(held.dossier, held.digest)


def redaction_note(held: Held) -> str:
    """That texts were removed, by whom and why; empty where they were not."""
    redaction = held.redaction
    if redaction is None:
        return ""
    left = still_holding(held.dossier)
    broken_off = f"; broken off, {len(left)} files still hold theirs: start it again" if left else ""
    return (
        f"texts of {len(redaction.files)} files were removed by {redaction.redacted_by} at "
        f"{redaction.redacted_at[:19]}Z: {redaction.reason}{broken_off}"
    )


def _fault(where: str, what: str) -> FoundFault:
    return FoundFault(check=Check.FILES, where=where, what=what)
