"""What will be decided is written down, and every look at the gate rows is counted, before it is taken."""

from collections.abc import Sequence
from datetime import UTC, datetime

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_contracts.errors import LookRefusedError
from data_contracts.records.base import digest_json
from data_contracts.records.looks import Look, RegisteredLook, Registration
from data_contracts.records.policy import OnBreach
from data_contracts.records.snapshot import Split
from tasks.data.rows.slices import read_slice_columns
from tasks.decisions.gates.rules import alpha_of_look
from tasks.decisions.looks import (
    guardrails_of,
    hypothesis_of,
    looks_are_left,
    looks_of_others,
    sketch_rows,
)
from tasks.evidence.dossier import REGISTRATION
from tasks.evidence.environment import TRAINING_PACKAGES, code_digest, package_versions
from tasks.evidence.looks import LookBook
from tasks.stages.context import RunContext
from tasks.stages.findings import Findings
from tasks.stages.methods import method_identity
from tasks.stages.recording import record_look, record_registration
from tasks.stages.replay import replay_digest
from tasks.stages.scorers import find_scorers
from tasks.stages.training import CODE

LOOK_BOOK = ".looks/looks.jsonl"
"""Below the output folder; shared by all runs there."""


def has_reserve(findings: Findings) -> bool:
    """Whether rows were set aside for a second look."""
    return findings.snapshot is not None and findings.snapshot.record.split(Split.RESERVE).rows > 0


@task(name="registration", cache_policy=NO_CACHE)
def register(context: RunContext, findings: Findings) -> Registration:
    """Fixes the question of this run in its dossier; nothing on the gate rows is scored before."""
    assert findings.snapshot is not None
    policy, snapshot = context.settings.policy, findings.snapshot.record
    gate = snapshot.split(Split.GATE)
    ids = read_slice_columns(findings.snapshot.folder, gate, snapshot.task).row_ids
    sketch = sketch_rows(ids)
    reserve = has_reserve(findings)
    splits = (Split.GATE, Split.RESERVE) if reserve else (Split.GATE,)
    inputs, hypothesis = inputs_of(context, findings), hypothesis_of(policy)
    book = look_book(context)
    with book.locked():
        registration = book.registration(inputs)
        if registration is None:
            others = looks_of_others(book.read(), sketch, hypothesis=hypothesis, inputs=inputs)
            registration = Registration(
                run_id=context.run_id,
                policy=policy.digest(),
                policy_name=policy.full_name,
                snapshot=snapshot.digest(),
                base_model=findings.base.identity(),
                metric=policy.metric,
                target=policy.target,
                margin=policy.margin,
                minimum_uplift=policy.minimum_uplift,
                minimum_gain_of_full=policy.minimum_gain_of_full,
                guardrails=tuple(guardrails_of(policy)),
                looks=tuple(
                    RegisteredLook(
                        split=split,
                        rows=snapshot.split(split).rows,
                        alpha=alpha_of_look(policy, second=split is Split.RESERVE, reserve=reserve),
                    )
                    for split in splits
                ),
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


@task(name="look", task_run_name="look at {split.value}", cache_policy=NO_CACHE)
def reserve_look(context: RunContext, findings: Findings, split: Split) -> None:
    """Notes a look in the book before anything is scored; the same work again is no new look.

    Raises:
        LookRefusedError: other runs have used the rows up since this one was registered.
    """
    registration, snapshot = findings.registration, findings.snapshot
    assert registration is not None and snapshot is not None
    ids = read_slice_columns(snapshot.folder, snapshot.record.split(split), snapshot.record.task).row_ids
    take_look(context, registration, ids, split, inputs_of(context, findings))


def take_look(
    context: RunContext, registration: Registration, row_ids: Sequence[str], split: Split, inputs: str
) -> None:
    """Notes a look at ``row_ids`` by whatever ``inputs`` names, unless it is there already.

    Raises:
        LookRefusedError: others have used the rows up.
    """
    policy, sketch = context.settings.policy, sketch_rows(row_ids)
    own = sum(look.alpha for look in registration.looks)
    book = look_book(context)
    with book.locked():
        looks = book.read()
        asked = [look for look in looks if look.hypothesis == registration.hypothesis]
        taken = next((look for look in asked if look.inputs == inputs and look.split is split), None)
        if taken is not None:
            record_look(context, taken)
            return
        others = looks_of_others(looks, sketch, hypothesis=registration.hypothesis, inputs=inputs)
        blocks = policy.looks.on_exhausted is OnBreach.BLOCK
        if blocks and not looks_are_left(others.alpha, own, policy):
            raise LookRefusedError(
                f"The {split.value} rows were looked at {others.count} times for {registration.hypothesis}, "
                "some of them since this run was registered, and may not be again.\n"
                "  to do: raise splits.rotation to draw new gate rows, and run again"
            )
        look = Look(
            run_id=context.run_id,
            hypothesis=registration.hypothesis,
            split=split,
            sketch=sketch,
            inputs=inputs,
            alpha_of_run=own,
            registration=registration.digest(),
            taken_at=datetime.now(UTC),
        )
        book.append(look)
        record_look(context, look)


def look_book(context: RunContext) -> LookBook:
    return LookBook(context.settings.output / LOOK_BOOK)


def inputs_of(context: RunContext, findings: Findings) -> str:
    """Digest of everything the artifacts of a run depend on."""
    assert findings.snapshot is not None
    settings = context.settings
    return digest_json(
        {
            "base": findings.base.identity(),
            "snapshot": findings.snapshot.record.digest(),
            "replay": replay_digest(findings),
            "policy": settings.policy.digest(),
            "code": code_digest(*CODE),
            "packages": package_versions(TRAINING_PACKAGES),
            # A function of the user's own that was changed asks the rows another question.
            "scorers": find_scorers(settings.scoring).key(),
            "training": settings.training.decisive(),
            "methods": [method_identity(name) for name in (settings.pilot.method, settings.full.method)],
            "settings": settings.model_dump(
                mode="json", include={"model", "pilot", "full", "generation", "seed"}
            ),
        }
    )
