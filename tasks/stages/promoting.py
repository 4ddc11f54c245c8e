"""Giving the champion's place: the registry is changed after gate and ledger have spoken."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.errors import PromotionRefusedError
from data_contracts.records.base import utc_time
from data_contracts.records.decision import Interval, Verdict
from data_contracts.records.registry import (
    Alias,
    Crowning,
    ModelVersion,
    PromotionOutcome,
    PromotionReport,
)
from tasks.audit.candidates import Offered, offered_by, require_verified
from tasks.audit.rollbacks import require_reason
from tasks.evidence.dossier import find_dossier
from tasks.registry.locking import changing
from tasks.registry.models import Registry, called, champion_of, open_registry
from tasks.stages.promotion import Promotion, promotion_gate
from tasks.stages.recording import record_promotion


@dataclass(frozen=True)
class _Standing:
    """Who is what, when a comparison begins."""

    challenger: ModelVersion
    champion: ModelVersion | None
    anchor: ModelVersion | None


@task(name="verify", cache_policy=NO_CACHE)
def find_offered(run: str, output: Path) -> Offered:
    """What the run ``run`` offers, its dossier verified.

    Raises:
        InputError: there is no such run.
        PromotionRefusedError: nothing was accepted, or the dossier does not verify, with every fault.
    """
    dossier = find_dossier(output, run)
    offered = offered_by(dossier)
    require_verified(dossier, output)
    return offered


def promote_offered(offered: Offered, *, output: Path, by: str, reason: str) -> PromotionReport:
    """Makes the run's model champion if the gate lets it, and says how it ended.

    Where somebody else changes the champion meanwhile, the comparison is made anew.
    """
    reason = require_reason(reason, needed=False)
    registry = open_registry(output)
    while True:
        with changing(output, offered.candidate.model):
            standing = _announce(registry, offered)
        champion = standing.champion
        same = champion is not None and champion.candidate.artifact_digest
        if same == offered.candidate.artifact_digest:
            return _already(offered, champion)
        promotion = promotion_gate(offered, champion=champion, anchor=standing.anchor, output=output, by=by)
        with changing(output, offered.candidate.model):
            versions = registry.versions(offered.candidate.model)
            now = champion_of(versions)
            if (now and now.version) != (champion and champion.version):
                continue
            runs = {each.candidate.run_id for each in versions}
            record_promotion(promotion.context, promotion.record, promotion.subjects, runs=runs)
            if promotion.judgement.decision.verdict is Verdict.PASS:
                _crown(registry, standing, _crowning(promotion, by, reason))
        return _report(promotion, standing)


def _announce(registry: Registry, offered: Offered) -> _Standing:
    """The run's model as a version, called challenger unless it is champion already.

    A promotion that broke off after the champion's alias was given may have left the challenger's.
    """
    candidate = offered.candidate
    versions = registry.versions(candidate.model)
    for each in versions:
        if each.withdrawn is not None and each.candidate.artifact_digest == candidate.artifact_digest:
            raise PromotionRefusedError(
                candidate.run_id,
                [f"it is version {each.version}, which was rolled back from: {each.withdrawn}"],
                remedy=f"`lorafirst rollback {candidate.model} --to {each.version}` puts it back",
            )
    version = registry.add(candidate, offered.accepted.training.curve)
    champion = champion_of(versions)
    if champion is None or champion.candidate.artifact_digest != candidate.artifact_digest:
        registry.call(version, Alias.CHALLENGER)
    else:
        registry.uncall(version, Alias.CHALLENGER)
    return _Standing(version, champion, called(versions, Alias.ANCHOR))


def _crown(registry: Registry, standing: _Standing, crowning: Crowning) -> None:
    registry.crown(standing.challenger, crowning)
    if standing.anchor is None:
        registry.call(standing.challenger, Alias.ANCHOR)
    registry.call(standing.challenger, Alias.CHAMPION)
    registry.uncall(standing.challenger, Alias.CHALLENGER)


def _crowning(promotion: Promotion, by: str, reason: str) -> Crowning:
    return Crowning(at=utc_time(datetime.now(UTC)), by=by, reason=reason, score=_score(promotion))


def _score(promotion: Promotion) -> Interval:
    """The challenger's level, which the floor is held against by the gate's first rule."""
    interval = promotion.judgement.decision.rules[0].interval
    assert interval is not None
    return interval


def _already(offered: Offered, champion: ModelVersion | None) -> PromotionReport:
    assert champion is not None
    return PromotionReport(
        model=offered.candidate.model,
        run_id=offered.candidate.run_id,
        outcome=PromotionOutcome.CHAMPION_KEPT,
        sentence=f"It is the champion already, version {champion.version}; nothing was to be decided.",
        version=champion.version,
        champion_version=champion.version,
        decision=None,
        folder=None,
    )


def _report(promotion: Promotion, standing: _Standing) -> PromotionReport:
    decision = promotion.judgement.decision
    promoted = decision.verdict is Verdict.PASS
    before = standing.champion and standing.champion.version
    version = standing.challenger.version
    instead = "" if before is None else f" in the place of version {before}"
    kept = "There is no champion yet." if before is None else f"Version {before} stays champion."
    return PromotionReport(
        model=standing.challenger.candidate.model,
        run_id=promotion.context.run_id,
        outcome=PromotionOutcome.PROMOTED if promoted else PromotionOutcome.CHAMPION_KEPT,
        sentence=f"Version {version} is champion{instead}." if promoted else f"{kept} {decision.sentence}",
        version=version,
        champion_version=version if promoted else before,
        decision=decision,
        folder=str(promotion.context.dossier.folder),
    )
