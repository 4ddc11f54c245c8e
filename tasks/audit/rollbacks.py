"""A person puts an earlier champion back: checked, kept and entered first, and then the registry is changed.

The alias moves last. Until then the champion that is left is still the champion, so that the same command
finishes a rollback that broke off, wherever that was.
"""

from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from data_contracts.errors import EnvelopeRefusedError, InputError
from data_contracts.records.base import utc_time
from data_contracts.records.ledger import EntryKind
from data_contracts.records.registry import REASON_LENGTH, Alias, Rollback
from data_contracts.records.statements import ROLLBACK_PREDICATE
from tasks.audit.registered import dossier_of
from tasks.decisions.champions import rollback_target
from tasks.evidence.files import write_atomically
from tasks.evidence.ledger.book import ledger_location, open_ledger
from tasks.evidence.ledger.crownings import last_crowning
from tasks.evidence.signing.envelopes import envelope_bytes, sign_statement
from tasks.evidence.signing.payloads import predicate_of, unverified_statement
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
        runs = {each.candidate.run_id for each in versions}
        rollback = _begun(output, rollback, runs) or _record(output, rollback)
        registry.withdraw(left, rollback.reason)
        registry.restore(target)
        registry.call(target, Alias.CHAMPION)
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


def _begun(output: Path, rollback: Rollback, runs: Collection[str]) -> Rollback | None:
    """The same rollback, where the ledger's last word is that it was made."""
    with open_ledger(ledger_location(output)) as ledger:
        last = last_crowning(ledger, runs)
    if last is None or last.kind is not EntryKind.ROLLBACK:
        return None
    for path in _folder(output, rollback).glob("rollback-*.json"):
        try:
            kept = predicate_of(unverified_statement(path.read_bytes()), ROLLBACK_PREDICATE, Rollback)
        except EnvelopeRefusedError:
            continue  # it is not the one that the ledger names
        if kept.digest() == last.about and kept.model_copy(update={"at": rollback.at}) == rollback:
            return kept
    return None


def _record(output: Path, rollback: Rollback) -> Rollback:
    """Keeps it before it is entered: the ledger never holds what nobody can read."""
    subjects = {"champion": rollback.artifact, "left": rollback.left_artifact}
    envelope = envelope_bytes(sign_statement(rollback, subjects, ROLLBACK_PREDICATE, pipeline_signer()))
    digest = rollback.digest()
    write_atomically(_folder(output, rollback) / f"rollback-{digest[7:15]}.json", envelope)
    with open_ledger(ledger_location(output)) as ledger:
        ledger.append(EntryKind.ROLLBACK, run_id=rollback.run_id, about=digest, actor=rollback.by)
    return rollback


def _folder(output: Path, rollback: Rollback) -> Path:
    return output / PROMOTIONS / rollback.model
