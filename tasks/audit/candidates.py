"""What may be promoted: what a run accepted, whose dossier verifies."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from data_contracts.errors import PromotionRefusedError
from data_contracts.records.permit import Permit
from data_contracts.records.registry import Candidate
from data_contracts.records.verification import Verification
from tasks.audit.accepted import Accepted, read_accepted
from tasks.audit.verify.verifying import verify_dossier
from tasks.evidence.dossier import PERMIT, Dossier, read_permit
from tasks.evidence.ledger.book import ledger_location, open_ledger
from tasks.evidence.redaction import REDACTION
from tasks.evidence.signing.signers import trusted_keys


@dataclass(frozen=True)
class Offered:
    """What a run offers, with the dossier that vouches for it."""

    accepted: Accepted
    candidate: Candidate
    dossier: Dossier
    permit: Permit | None
    """That lies beside the weights; ``None`` where base weights stayed frozen."""

    @property
    def training_folder(self) -> str:
        """Inside the dossier."""
        return self.accepted.artifact.rpartition("/")[0]


def offered_by(dossier: Dossier) -> Offered:
    """What the dossier offers, unverified.

    Raises:
        PromotionRefusedError: its run has not ended, or accepted nothing.
        ArtifactDamagedError: something in it cannot be read.
    """
    report = dossier.report()
    name = dossier.folder.name
    if report is None:
        raise PromotionRefusedError(
            name, ["its run has not ended"], remedy="start the run again with the same command, to its end"
        )
    accepted = read_accepted(dossier, report)
    if accepted is None:
        raise PromotionRefusedError(
            name,
            [f"its run ended in {report.outcome.value}, and nothing was accepted"],
            remedy="promote a run that accepted a model; `lorafirst runs` lists them",
        )
    permit = dossier.folder / accepted.artifact.rpartition("/")[0] / PERMIT
    return Offered(
        accepted=accepted,
        candidate=Candidate(
            model=accepted.settings.name,
            run_id=report.run_id,
            dossier=str(dossier.folder.resolve()),
            artifact=accepted.artifact,
            artifact_digest=accepted.training.artifact.digest(),
            base_model=accepted.base.identity(),
            snapshot=accepted.snapshot.digest(),
            policy=accepted.settings.policy.digest(),
            metric=accepted.settings.policy.metric,
        ),
        dossier=dossier,
        permit=read_permit(permit.read_bytes()) if permit.is_file() else None,
    )


def require_verified(dossier: Dossier, output: Path) -> Verification:
    """Returns only if the dossier verifies by the ledger of ``output`` and the keys that are trusted here.

    Raises:
        PromotionRefusedError: with every fault.
    """
    with ExitStack() as stack:
        ledger = stack.enter_context(open_ledger(ledger_location(output), read_only=True))
        found = verify_dossier(dossier.folder, keyring=trusted_keys(), ledger=ledger)
    faults = [
        f"{fault.check.value}, {fault.where}: {fault.what}"
        for check in found.checks
        for fault in check.faults
    ]
    if (dossier.folder / REDACTION).exists():
        faults.append("its texts were removed, and nothing can be scored on its gate rows any more")
    if faults:
        raise PromotionRefusedError(
            dossier.folder.name,
            faults,
            remedy=f"`lorafirst verify {dossier.folder.name}` tells the same; restore it, or run anew",
        )
    return found
