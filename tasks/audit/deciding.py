"""Deciding a gate on its basis: the one way, for the run that acts on it and for whoever checks it later."""

import numpy as np

from data_contracts.errors import ArtifactDamagedError
from data_contracts.records.bases import (
    Basis,
    ContractBasis,
    EscalationBasis,
    FairnessBasis,
    FitBasis,
    GuardrailBasis,
    JustificationBasis,
    NeedBasis,
    PowerBasis,
    PromotionBasis,
    QualityBasis,
    ServingBasis,
)
from data_contracts.records.decision import Decision
from data_contracts.records.evidence import DomainDistance, ServingCost
from data_contracts.records.lm_eval import LmEvalScores
from data_contracts.records.looks import Registration
from data_contracts.records.policy import Policy
from data_contracts.records.snapshot import ContractEvidence, Split
from tasks.audit.cited import CitedEvidence
from tasks.decisions.gates import (
    GuardrailEvidence,
    ScoredRows,
    ServingFacts,
    TaskScores,
    decide_contract,
    decide_escalation,
    decide_fairness,
    decide_fit,
    decide_justification,
    decide_need,
    decide_power,
    decide_promotion,
    decide_quality,
)


def decide(
    basis: Basis,
    *,
    cited: CitedEvidence,
    decisions: tuple[Decision, ...],
    registration: Registration | None,
    policy: Policy,
    run_id: str,
) -> Decision:
    """What the gate of ``basis`` concludes from it.

    Args:
        cited: the dossier's evidence.
        decisions: made before in this run; escalation rests on two of them.
        registration: of this run, once there is one.

    Raises:
        ArtifactDamagedError: evidence that the basis names is not there, or is something else.
        PairingError: scores of different rows were to be compared.
        ValueError: the basis lacks what the policy asks for, or rests on other decisions.
    """
    match basis:
        case ContractBasis():
            evidence = cited.record(basis.contract, ContractEvidence)
            return decide_contract(evidence, policy=policy, run_id=run_id)
        case PowerBasis():
            return decide_power(_registered(basis.registration, registration), policy=policy, run_id=run_id)
        case NeedBasis():
            return decide_need(
                cited.scored(basis.base, policy.metric),
                distance=_distance(basis.distance, cited),
                policy=policy,
                run_id=run_id,
                alpha=_alpha(_registered(basis.registration, registration), Split.GATE),
                registration=basis.registration,
            )
        case FitBasis():
            return decide_fit(
                basis.forecasts,
                available_memory_bytes=basis.available_memory_bytes,
                changes=basis.changes,
                evidence=basis.base_model,
                policy=policy,
                run_id=run_id,
            )
        case FairnessBasis():
            return decide_fairness(
                basis.trials,
                basis.sweep,
                unquantised_fits=basis.unquantised_fits,
                must_be_fair=basis.must_be_fair,
                policy=policy,
                run_id=run_id,
            )
        case QualityBasis():
            pilot = cited.scored(basis.pilot, policy.metric)
            return decide_quality(
                pilot,
                cited.scored(basis.baseline, policy.metric),
                policy=policy,
                run_id=run_id,
                alpha=_alpha(_registered(basis.registration, registration), basis.look),
                look=basis.look,
                guardrails=_guardrails(basis.guardrails, pilot, cited),
                registration=basis.registration,
            )
        case EscalationBasis():
            return decide_escalation(
                _made(basis.quality, decisions),
                _made(basis.fairness, decisions),
                basis.facts,
                distance=_distance(basis.distance, cited),
                policy=policy,
                run_id=run_id,
            )
        case JustificationBasis():
            full = cited.scored(basis.full, policy.metric)
            return decide_justification(
                full,
                cited.scored(basis.pilot, policy.metric),
                cited.scored(basis.baseline, policy.metric),
                policy=policy,
                run_id=run_id,
                alpha=_alpha(_registered(basis.registration, registration), basis.look),
                look=basis.look,
                guardrails=_guardrails(basis.guardrails, full, cited),
                registration=basis.registration,
            )
        case PromotionBasis():
            challenger = cited.scored(basis.challenger, policy.metric)
            return decide_promotion(
                challenger,
                None if basis.champion is None else cited.scored(basis.champion, policy.metric),
                cited.scored(basis.anchor, policy.metric),
                permit=basis.permit,
                slices={each.rule: _members(each.members.flags(), challenger) for each in basis.slices},
                policy=policy,
                run_id=run_id,
                alpha=_alpha(_registered(basis.registration, registration), Split.GATE),
                rows_champion_learned=basis.rows_champion_learned,
                terms=basis.terms,
                registration=basis.registration,
            )


def serving_facts(trained: ServingCost, base: ServingCost) -> ServingFacts:
    """What serving takes beside the base.

    Per generated token: a base that rambles would make every trained model look quick by the answer.
    """
    ratio = _seconds_a_token(trained) / _seconds_a_token(base)
    return ServingFacts(latency_ratio=ratio, artifact_bytes=trained.artifact_bytes)


def _seconds_a_token(cost: ServingCost) -> float:
    return cost.median_seconds / max(1.0, cost.tokens_per_answer or 1.0)


def _guardrails(basis: GuardrailBasis, trained: ScoredRows, cited: CitedEvidence) -> GuardrailEvidence:
    return GuardrailEvidence(
        slices={each.rule: _members(each.members.flags(), trained) for each in basis.slices},
        base_losses=cited.general_losses("the base", (basis.base_losses,)) if basis.base_losses else None,
        trained_losses=(
            cited.general_losses("the trained model", basis.trained_losses) if basis.trained_losses else None
        ),
        predicts_text=basis.predicts_text,
        well_formed=_well_formed(basis, trained),
        serving=_serving(basis.serving, cited),
        tasks={
            each.rule: TaskScores(
                base=cited.task_scores("the base", (each.base,)),
                trained=cited.task_scores("the trained model", each.trained),
                higher_is_better=cited.record(each.base, LmEvalScores).higher_is_better,
            )
            for each in basis.tasks
        },
    )


def _members(flags: tuple[bool, ...], trained: ScoredRows) -> frozenset[str]:
    pairs = zip(trained.row_ids, flags, strict=True)
    return frozenset(row_id for row_id, member in pairs if member)


def _well_formed(basis: GuardrailBasis, trained: ScoredRows) -> ScoredRows | None:
    if not basis.well_formed:
        return None
    flags = np.array([mask.flags() for mask in basis.well_formed], dtype=np.float64)
    return ScoredRows("the answers", trained.row_ids, flags, trained.evidence)


def _serving(basis: ServingBasis | None, cited: CitedEvidence) -> ServingFacts | None:
    if basis is None:
        return None
    trained, base = (cited.record(digest, ServingCost) for digest in (basis.trained, basis.base))
    return serving_facts(trained, base)


def _distance(digest: str | None, cited: CitedEvidence) -> DomainDistance | None:
    return None if digest is None else cited.record(digest, DomainDistance)


def _registered(digest: str, registration: Registration | None) -> Registration:
    if registration is None or registration.digest() != digest:
        raise ArtifactDamagedError(f"no registration with the digest {digest}, which a decision names")
    return registration


def _alpha(registration: Registration, split: Split) -> float:
    alphas = [look.alpha for look in registration.looks if look.split is split]
    if not alphas:
        raise ArtifactDamagedError(f"no look at {split.value} is registered")
    return alphas[0]


def _made(digest: str, decisions: tuple[Decision, ...]) -> Decision:
    found = [decision for decision in decisions if decision.digest() == digest]
    if not found:
        raise ArtifactDamagedError(f"no decision before this one has the digest {digest}, which it names")
    return found[-1]
