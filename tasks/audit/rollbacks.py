"""A person puts an earlier champion back: checked and entered first, and then the registry is changed."""

from datetime import UTC, datetime
from pathlib import Path

from data_contracts.errors import InputError
from data_contracts.records.base import utc_time
from data_contracts.records.ledger import EntryKind
from data_contracts.records.registry import REASON_LENGTH, Alias, Rollback
from data_contracts.records.statements import ROLLBACK_PREDICATE
from tasks.audit.registered import dossier_of
from tasks.decisions.champions import rollback_target
from tasks.evidence.files import write_atomically
from tasks.evidence.ledger.book import ledger_location, open_ledger
from tasks.evidence.signing.envelopes import envelope_bytes, sign_statement
from tasks.evidence.signing.signers import pipeline_signer
from tasks.registry.locking import changing
from tasks.registry.models import champion_of, registry_at_hand
from tasks.registry.place import PROMOTIONS


def roll_back(model: str, *, output: Path, to: int | None, by: str, reason: str) -> Rollback:
    """Puts version ``to`` back into the champion's place; unset, the champion before the present one.

    Raises:
        InputError: no reason, no such model or version, or one that was never champion.
        ArtifactDamagedError: its artifact is gone or damaged.
        LedgerError: it could not be entered, and nothing was changed.
    """
    reason = require_reason(reason, needed=True)
    registry = registry_at_hand(output)
    if registry is None:
        raise InputError.single(
            f"model {model!r}",
            expected=f"a model that was promoted in {output}",
            found="none: nothing was registered there",
            remedy="`lorafirst models` lists models; --output names another folder",
        )
    with changing(output, model):
        versions = registry.versions(model)
        target = rollback_target(versions, model=model, to=to)
        left = champion_of(versions)
        assert left is not None
        dossier_of(target, output)
        rollback = Rollback(
            model=model,
            left_version=left.version,
            left_artifact=left.candidate.artifact_digest,
            version=target.version,
            run_id=target.candidate.run_id,
            artifact=target.candidate.artifact_digest,
            reason=reason,
            by=by,
            at=utc_time(datetime.now(UTC)),
        )
        _record(output, rollback)
        registry.call(target, Alias.CHAMPION)
        registry.withdraw(left, rollback.reason)
        registry.restore(target)
    return rollback


def require_reason(reason: str, *, needed: bool) -> str:
    """The reason without spaces around it.

    Raises:
        InputError: one is needed and it is empty, or it is too long to be kept.
    """
    reason = reason.strip()
    length = len(reason)
    if length > REASON_LENGTH or (needed and not length):
        raise InputError.single(
            "--reason",
            expected=f"{'some words, ' if needed else ''}at most {REASON_LENGTH:,} characters",
            found=f"{length:,} characters",
            remedy="say in a sentence or two why",
        )
    return reason


def _record(output: Path, rollback: Rollback) -> None:
    subjects = {"champion": rollback.artifact, "left": rollback.left_artifact}
    envelope = envelope_bytes(sign_statement(rollback, subjects, ROLLBACK_PREDICATE, pipeline_signer()))
    with open_ledger(ledger_location(output)) as ledger:
        entry = ledger.append(
            EntryKind.ROLLBACK, run_id=rollback.run_id, about=rollback.digest(), actor=rollback.by
        )
    folder = output / PROMOTIONS / rollback.model
    write_atomically(folder / f"rollback-{entry.sequence:06}.json", envelope)
