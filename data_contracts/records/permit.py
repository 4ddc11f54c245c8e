"""The authorisation to update base weights, and the check that every way into training makes.

A permit is bound to one run, one snapshot, one base model, one policy, one method and one decision of the
escalation gate. It is a plain record so far: whoever can write a file can write one. Signing it is
the work of the record's own issue; binding and checking are here from the first day.
"""

from data_contracts.errors import PermitRefusedError
from data_contracts.records.base import Digest, Record
from data_contracts.records.decision import Decision, Gate, Verdict
from data_contracts.records.rungs import Rung


class Permit(Record):
    """Allows base weights to be updated once: this base, on this data, under this policy, by this method."""

    run_id: str
    snapshot: Digest
    base_model: Digest
    policy: Digest
    rung: Rung
    """``full``, ``layers``, ``hybrid``, or a method of an installed package."""
    decision: Decision
    """The escalation gate's own decision, whole, so that the permit says why it exists."""

    def require(self, *, run_id: str, snapshot: str, base_model: str, policy: str, rung: str) -> None:
        """Returns only if this permit covers exactly that work.

        Raises:
            PermitRefusedError: naming every way in which it does not.
        """
        faults = [
            f"it is for {name} {allowed}, and this is {name} {actual}"
            for name, allowed, actual in (
                ("run", self.run_id, run_id),
                ("snapshot", self.snapshot, snapshot),
                ("base model", self.base_model, base_model),
                ("policy", self.policy, policy),
                ("method", self.rung, rung),
                ("decision of run", self.decision.run_id, run_id),
                ("decision under policy", self.decision.policy, policy),
            )
            if allowed != actual
        ]
        if self.decision.gate is not Gate.ESCALATION:
            faults.append(f"its decision is of the {self.decision.gate.value} gate, not of escalation")
        if self.decision.verdict is not Verdict.PASS:
            faults.append(f"its escalation decision says {self.decision.verdict.value}")
        if any(rule.verdict is not Verdict.PASS for rule in self.decision.rules):
            faults.append("a rule of its escalation decision did not pass")
        if not self.decision.rules:
            faults.append("its escalation decision holds no rules")
        if faults:
            raise PermitRefusedError(
                "Full fine-tuning was refused: the permit does not cover it.\n"
                + "\n".join(f"  - {fault}" for fault in faults)
                + "\n  to do: let the escalation gate of this run decide; permits cannot be reused."
            )
