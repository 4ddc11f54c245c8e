"""Challenger, champion and anchor on the same rows, each loaded as it is served."""

from dataclasses import dataclass

from data_contracts.errors import InputError, Problem
from data_contracts.records.bases import ScoredBasis
from data_contracts.records.decision import Gate
from data_contracts.records.evidence import BaselineEvidence, BaseModelRecord
from data_contracts.records.registry import ModelVersion
from data_contracts.records.snapshot import Split
from tasks.audit.candidates import Offered, offered_by
from tasks.audit.cited import CitedEvidence
from tasks.audit.registered import dossier_of
from tasks.evidence.records import read_record
from tasks.evidence.store import RECORD_FILE, Stored
from tasks.stages.context import RunContext
from tasks.stages.findings import Findings, Subject
from tasks.stages.scoring import score_artifact
from tasks.training.base_model import resolve_base_model


@dataclass(frozen=True)
class Rival:
    """A version that the challenger is held against."""

    version: ModelVersion
    offered: Offered


def rival_of(version: ModelVersion | None, challenger: Offered, context: RunContext) -> Rival | None:
    """``version`` as a rival; ``None`` where there is none.

    Raises:
        ArtifactDamagedError: its dossier is gone, or its artifact is another than was registered.
        InputError: it does other work than the challenger, with every difference.
    """
    if version is None:
        return None
    offered = offered_by(dossier_of(version, context.settings.output))
    mine, theirs = challenger.accepted, offered.accepted
    problems = [
        Problem(
            where=f"{version.candidate.model}, version {version.version}",
            expected=f"the {what} of the challenger, {one}",
            found=other,
            remedy="give the new work a name of its own: it is another model, and begins without a champion",
        )
        for what, one, other in (
            ("task", mine.settings.task.value, theirs.settings.task.value),
            ("labels", ", ".join(mine.snapshot.labels), ", ".join(theirs.snapshot.labels)),
            ("metric", mine.settings.policy.metric, theirs.settings.policy.metric),
        )
        if one != other
    ]
    if problems:
        raise InputError(problems)
    return Rival(version, offered)


def score_offered(
    context: RunContext, findings: Findings, offered: Offered, *, folder: str, name: str
) -> ScoredBasis:
    """What a run offers, on the gate rows of ``findings``; scores of the same code are not taken twice."""
    settings = offered.accepted.settings
    served = {"model": settings.model, "generation": settings.generation}
    own = RunContext(
        run_id=context.run_id,
        settings=context.settings.model_copy(update=served),
        dossier=context.dossier,
        cache=context.cache,
        memory_bytes=context.memory_bytes,
    )
    training = offered.accepted.training
    subject = Subject(
        training.rung, offered.dossier.folder / offered.accepted.artifact, training.artifact.digest()
    )
    base = base_of(own, offered)
    scored = score_artifact(
        own,
        Findings(base=base, snapshot=findings.snapshot, registration=findings.registration),
        subject,
        folder,
        Split.GATE,
    )
    return ScoredBasis(name=name, evidence=(scored.record.digest(),))


def score_base_of(context: RunContext, findings: Findings, challenger: Offered) -> ScoredBasis:
    """The challenger's own base, asked in the way that its need gate was told of."""
    records = challenger.dossier.decision_records()
    basis = next(r.judgement.basis for r in records if r.judgement.decision.gate is Gate.NEED)
    asked = basis.base  # type: ignore[union-attr]
    at = CitedEvidence(challenger.dossier.folder).folder(asked.evidence[0])
    way = at.parent.name
    probe = challenger.dossier.folder / "baseline"
    if (probe / RECORD_FILE).is_file():
        findings.probe = Stored(read_record(probe / RECORD_FILE, BaselineEvidence), probe, True)
    scored = score_artifact(
        context,
        findings,
        findings.baseline_subject(),
        "anchor",
        Split.GATE,
        examples_in_prompt=int(way.split("-")[1]) if way.startswith("baseline-") else 0,
    )
    return ScoredBasis(name=asked.name, evidence=(scored.record.digest(),))


def base_of(context: RunContext, offered: Offered) -> BaseModelRecord:
    """The base of what a run offers, as it lies on this machine.

    Raises:
        InputError: it is another one here.
    """
    source = context.settings.model.source
    base = resolve_base_model(source, context.cache)
    if base.identity() != offered.candidate.base_model:
        raise InputError.single(
            f"base model {source}",
            expected=f"{offered.candidate.base_model}, which {offered.candidate.run_id} was trained from",
            found=base.identity(),
            remedy="put back the model that it was trained from",
        )
    return base
