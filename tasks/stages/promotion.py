"""The promotion gate around what a run offers: registered, scored on the same rows, decided, recorded."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.cache import cache_folder
from data_contracts.records.base import Digest, digest_file, digest_json, utc_time
from data_contracts.records.bases import DecisionRecord, JudgedInputs, Judgement, PromotionBasis, SliceBasis
from data_contracts.records.evidence import Environment, ScoringEvidence
from data_contracts.records.looks import RegisteredLook, Registration
from data_contracts.records.policy import PromotionTerms
from data_contracts.records.registry import ModelVersion
from data_contracts.records.snapshot import Split
from tasks.audit.candidates import Offered
from tasks.audit.cited import CitedEvidence
from tasks.audit.deciding import decide
from tasks.data.rows.slices import SliceColumns, read_slice_columns, rows_of
from tasks.decisions.alternatives import alternatives_to
from tasks.decisions.gates.promotion import strictest
from tasks.decisions.gates.rules import alpha_of_look
from tasks.decisions.looks import looks_of_others, sketch_rows
from tasks.evidence.dossier import REGISTRATION, REQUEST, Dossier
from tasks.evidence.environment import capture_environment
from tasks.evidence.records import read_record
from tasks.evidence.redacting import drop_texts
from tasks.evidence.store import RECORD_FILE, Stored
from tasks.registry.place import PROMOTIONS
from tasks.stages.artifacts import show_decision
from tasks.stages.context import RunContext
from tasks.stages.continuing import rows_learned
from tasks.stages.findings import Findings
from tasks.stages.looks import look_book, take_look
from tasks.stages.recording import record_registration
from tasks.stages.rivals import Rival, base_of, rival_of, score_base_of, score_offered
from tasks.stages.watching import listener


@dataclass(frozen=True)
class Promotion:
    """One decided promotion, not yet acted upon."""

    context: RunContext
    record: DecisionRecord
    subjects: dict[str, Digest]
    """What the signed statement is about, digests by name."""

    @property
    def judgement(self) -> Judgement:
        return self.record.judgement


@task(name="gate promotion", cache_policy=NO_CACHE)
def promotion_gate(
    challenger: Offered,
    *,
    champion: ModelVersion | None,
    anchor: ModelVersion | None,
    output: Path,
    by: str,
) -> Promotion:
    """Holds what a run offers against champion and anchor, on the gate rows of that run.

    Raises:
        LookRefusedError: these rows were asked as often as the policy lets them be.
        InputError: champion or anchor do other work than the challenger.
        ArtifactDamagedError: champion or anchor are gone or damaged.
    """
    environment = capture_environment()
    inputs = _inputs(challenger, champion, anchor)
    context = _context(challenger, output, inputs, environment)
    against = {"champion": champion, "anchor": anchor}
    rivals = {name: rival_of(version, challenger, context) for name, version in against.items()}
    snapshot = challenger.accepted.snapshot
    folder = challenger.dossier.folder / "snapshot"
    columns = read_slice_columns(folder, snapshot.split(Split.GATE), snapshot.task)
    registration = _register(context, challenger, columns.row_ids, inputs)
    findings = Findings(
        base=base_of(context, challenger),
        snapshot=Stored(snapshot, folder, True),
        registration=registration,
    )
    take_look(context, registration, columns.row_ids, Split.GATE, inputs)
    basis = _basis(context, findings, challenger, rivals, columns)
    _drop_texts(context.dossier.folder)
    decision = decide(
        basis,
        cited=CitedEvidence(context.dossier.folder),
        decisions=(),
        registration=registration,
        policy=context.settings.policy,
        run_id=context.run_id,
    )
    show_decision(decision)
    listener().decided(decision)
    judgement = Judgement(decision=decision, basis=basis)
    return Promotion(context, _record(judgement, challenger, environment, by), _subjects(challenger, rivals))


def _context(challenger: Offered, output: Path, inputs: str, environment: Environment) -> RunContext:
    candidate = challenger.candidate
    folder = output / PROMOTIONS / candidate.model / f"{candidate.run_id}-{inputs[7:15]}"
    folder.mkdir(parents=True, exist_ok=True)
    return RunContext(
        run_id=candidate.run_id,
        settings=challenger.accepted.settings.model_copy(update={"output": output}),
        dossier=Dossier(folder),
        cache=cache_folder(),
        memory_bytes=environment.memory_bytes,
    )


def _inputs(challenger: Offered, champion: ModelVersion | None, anchor: ModelVersion | None) -> str:
    """Digest of all that is compared: the same again is no new look."""
    compared = {"champion": champion, "anchor": anchor}
    return digest_json(
        {
            "challenger": challenger.candidate.artifact_digest,
            "snapshot": challenger.candidate.snapshot,
            "policy": challenger.candidate.policy,
            **{name: each and each.candidate.artifact_digest for name, each in compared.items()},
        }
    )


def _register(
    context: RunContext, challenger: Offered, row_ids: tuple[str, ...], inputs: str
) -> Registration:
    """Fixes the question before champion or anchor are scored on these rows."""
    policy, candidate = context.settings.policy, challenger.candidate
    hypothesis = f"promotion by {policy.metric}"
    sketch = sketch_rows(row_ids)
    look = RegisteredLook(
        split=Split.GATE, rows=len(row_ids), alpha=alpha_of_look(policy, second=False, reserve=False)
    )
    book = look_book(context)
    with book.locked():
        registration = book.registration(inputs)
        if registration is None:
            others = looks_of_others(book.read(), sketch, hypothesis=hypothesis, inputs=inputs)
            registration = Registration(
                run_id=context.run_id,
                policy=candidate.policy,
                policy_name=policy.full_name,
                snapshot=candidate.snapshot,
                base_model=candidate.base_model,
                metric=policy.metric,
                target=policy.target,
                margin=policy.margin,
                minimum_uplift=policy.minimum_uplift,
                minimum_gain_of_full=policy.minimum_gain_of_full,
                guardrails=tuple(
                    f"slice {rule.name}: no worse than champion and anchor by more than {rule.margin:g}, on "
                    f"at least {rule.minimum_rows} rows"
                    for rule in policy.guardrails.slices
                ),
                looks=(look,),
                hypothesis=hypothesis,
                gate_rows=sketch.digest(),
                earlier_looks=others.count,
                alpha_spent=others.alpha,
                registered_at=datetime.now(UTC),
            )
            book.register(inputs, registration)
    context.dossier.write_record(REGISTRATION, registration)
    record_registration(context, registration)
    return registration


def _basis(
    context: RunContext,
    findings: Findings,
    challenger: Offered,
    rivals: dict[str, Rival | None],
    columns: SliceColumns,
) -> PromotionBasis:
    assert findings.registration is not None
    scored = score_offered(context, findings, challenger, folder="challenger", name="the challenger")
    others = {
        name: rival
        and score_offered(
            context,
            findings,
            rival.offered,
            folder=name,
            name=f"the {name} (version {rival.version.version})",
        )
        for name, rival in rivals.items()
    }
    champion = rivals["champion"]
    return PromotionBasis(
        challenger=scored,
        champion=others["champion"],
        anchor=others["anchor"] or score_base_of(context, findings, challenger),
        slices=tuple(
            SliceBasis(rule=rule.name, members=rows_of(rule, columns))
            for rule in context.settings.policy.guardrails.slices
        ),
        permit=challenger.permit,
        rows_champion_learned=champion and rows_learned(champion.offered, frozenset(columns.row_ids)),
        terms=_terms(rivals),
        registration=findings.registration.digest(),
    )


def _terms(rivals: dict[str, Rival | None]) -> PromotionTerms | None:
    policies = [each.offered.accepted.settings.policy for each in rivals.values() if each is not None]
    return strictest(policies)


def _drop_texts(folder: Path) -> None:
    """Scores alone decide. Answers stay in the dossiers, from which a redaction can take them."""
    for path in folder.glob(f"*/*/{RECORD_FILE}"):
        drop_texts(path.parent, read_record(path, ScoringEvidence).scores)


def _record(judgement: Judgement, challenger: Offered, environment: Environment, by: str) -> DecisionRecord:
    accepted = challenger.accepted
    return DecisionRecord(
        judgement=judgement,
        inputs=JudgedInputs(
            request=digest_file(challenger.dossier.folder / REQUEST),
            base_model=challenger.candidate.base_model,
            tokenizer=accepted.base.tokenizer_digest(),
            contract=accepted.contract.digest(),
            snapshot=challenger.candidate.snapshot,
            seeds=(accepted.training.seed,),
        ),
        alternatives=alternatives_to(judgement),
        requested_by=by,
        answered_by=None,
        environment=environment,
        made_at=utc_time(datetime.now(UTC)),
    )


def _subjects(challenger: Offered, rivals: dict[str, Rival | None]) -> dict[str, Digest]:
    compared = {
        name: rival.offered.candidate.artifact_digest for name, rival in rivals.items() if rival is not None
    }
    return {
        "challenger": challenger.candidate.artifact_digest,
        "policy": challenger.candidate.policy,
        "snapshot": challenger.candidate.snapshot,
        **compared,
    }
