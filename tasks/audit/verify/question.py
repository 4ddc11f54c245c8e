"""What was to be decided, and that it stood before the first score."""

from collections.abc import Iterator
from datetime import datetime

from data_contracts.records.snapshot import Split
from data_contracts.records.verification import Check, FoundFault
from tasks.audit.verify.data import row_ids
from tasks.audit.verify.held import Held
from tasks.decisions.gates.rules import alpha_of_look
from tasks.decisions.looks import guardrails_of, hypothesis_of, sketch_rows
from tasks.evidence.dossier import REGISTRATION
from tasks.evidence.redaction import is_redacted


def question_faults(held: Held) -> Iterator[FoundFault]:
    registration = held.registration
    asked = [each for each in held.decisions if each.decision.registration is not None]
    if registration is None:
        if asked:
            yield _fault("it is not there, and decisions name it")
        return
    for each in asked:
        if each.decision.registration != registration.digest():
            yield FoundFault(check=Check.QUESTION, where=each.file, what="it names another registration")
        if datetime.fromisoformat(each.record.made_at) < registration.registered_at:
            what = "it was made before its question was registered"
            yield FoundFault(check=Check.QUESTION, where=each.file, what=what)
    policy, snapshot = held.policy, held.snapshot
    if policy is None or snapshot is None:
        return
    reserve = snapshot.split(Split.RESERVE).rows > 0
    splits = (Split.GATE, Split.RESERVE) if reserve else (Split.GATE,)
    expected: dict[str, object] = {
        "policy": policy.digest(),
        "snapshot": snapshot.digest(),
        "metric": policy.metric,
        "target": policy.target,
        "margin": policy.margin,
        "minimum_uplift": policy.minimum_uplift,
        "minimum_gain_of_full": policy.minimum_gain_of_full,
        "guardrails": tuple(guardrails_of(policy)),
        "hypothesis": hypothesis_of(policy),
        "gate_rows": sketch_rows(row_ids(held, snapshot, Split.GATE)).digest(),
    }
    gate = snapshot.split(Split.GATE).file
    if is_redacted(held.folder / "snapshot" / gate.path, gate):
        # It is of identities that went with the texts; the snapshot's digest stands for the rows.
        del expected["gate_rows"]
    if held.base is not None:
        expected["base_model"] = held.base.identity()
    for name, value in expected.items():
        if getattr(registration, name) != value:
            yield _fault(f"its {name} is {getattr(registration, name)!s:.80}, and the run's {value!s:.80}")
    for split, look in zip(splits, registration.looks, strict=False):
        alpha = alpha_of_look(policy, second=split is Split.RESERVE, reserve=reserve)
        if (look.split, look.rows, look.alpha) != (split, snapshot.split(split).rows, alpha):
            yield _fault(
                f"its look at {look.split} has {look.rows} rows and alpha {look.alpha:g}; "
                f"by the policy it is {split}, {snapshot.split(split).rows} and {alpha:g}"
            )
    if len(registration.looks) != len(splits):
        yield _fault(f"it registers {len(registration.looks)} looks; there can be {len(splits)}")


def _fault(what: str) -> FoundFault:
    return FoundFault(check=Check.QUESTION, where=REGISTRATION, what=what)
