"""The authorisation to update base weights, what it is redeemed for, and the check that training makes.

A permit is bound to one run, one snapshot, one base model, one policy, one method, some seeds and one
decision of the escalation gate. Whoever can write a file can write such a record; what makes it count is its
signature, where there are keys, and its entry in the ledger, which are checked when it is redeemed. Here is
what needs neither: whether it covers a piece of work.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from data_contracts.errors import PermitRefusedError
from data_contracts.records.base import Digest, Record, UtcTime
from data_contracts.records.decision import Decision, Gate, Verdict
from data_contracts.records.rungs import Rung


class PermitIssuer(StrEnum):
    """Who issued a permit."""

    ESCALATION_GATE = "escalation gate"
    LABORATORY = "laboratory"
    """A benchmark. What was trained under it cannot be promoted."""


class Permit(Record):
    """Allows base weights to be updated once a seed: this base, on this data, under this policy, so."""

    issuer: PermitIssuer
    run_id: str
    snapshot: Digest
    base_model: Digest
    policy: Digest
    rung: Rung
    """``full``, ``layers``, ``hybrid``, or a method of an installed package."""
    seeds: Annotated[tuple[int, ...], Field(min_length=1)]
    """One training each."""
    price_processor_hours: Annotated[float, Field(ge=0.0)]
    """Forecast for all of these trainings, when it was issued."""
    issued_at: UtcTime
    expires_at: UtcTime
    """Until then it can be redeemed; a training for which it was goes on afterwards."""
    decision: Decision
    """The escalation gate's own decision, whole, so that the permit says why it exists."""

    @model_validator(mode="after")
    def _can_be_redeemed(self) -> Self:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds names one twice")
        if self.issued_at >= self.expires_at:
            raise ValueError("issued_at must lie before expires_at")
        return self

    @property
    def terms(self) -> str:
        """Seeds, price and time, in a few words."""
        seeds = ", ".join(str(seed) for seed in self.seeds)
        return (
            f"seed {seeds}, {self.price_processor_hours:.3g} processor hours, to be begun before "
            f"{self.expires_at[:16].replace('T', ' ')} UTC"
        )

    def faults(
        self, *, run_id: str, snapshot: str, base_model: str, policy: str, rung: str, seed: int
    ) -> tuple[str, ...]:
        """Every way in which this permit does not cover exactly that work; none where it does."""
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
        if seed not in self.seeds:
            covered = ", ".join(str(each) for each in self.seeds)
            faults.append(f"it is for seed {covered}, and this is seed {seed}")
        return (*faults, *_faults_of_decision(self.decision))

    def require(
        self, *, run_id: str, snapshot: str, base_model: str, policy: str, rung: str, seed: int
    ) -> None:
        """Returns only if this permit covers exactly that work.

        Raises:
            PermitRefusedError: naming every way in which it does not.
        """
        refuse_if(
            self.faults(
                run_id=run_id,
                snapshot=snapshot,
                base_model=base_model,
                policy=policy,
                rung=rung,
                seed=seed,
            )
        )


class Redemption(Record):
    """What a permit was redeemed for: one training. The ledger holds its digest, once."""

    permit: Digest
    run_id: str
    seed: int
    training: Digest
    """Of everything that was put into the training: base, rows, settings, rate, seed, policy."""


def refuse_if(faults: Iterable[str]) -> None:
    """Raises ``PermitRefusedError`` with all of ``faults`` if there is one."""
    told = [f"  - {fault}" for fault in faults]
    if told:
        raise PermitRefusedError(
            "Full fine-tuning was refused: no valid permit covers it.\n"
            + "\n".join(told)
            + "\n  to do: let the escalation gate of this run decide; permits cannot be reused."
        )


def _faults_of_decision(decision: Decision) -> list[str]:
    faults = []
    if decision.gate is not Gate.ESCALATION:
        faults.append(f"its decision is of the {decision.gate.value} gate, not of escalation")
    if decision.verdict is not Verdict.PASS:
        faults.append(f"its escalation decision says {decision.verdict.value}")
    if any(rule.verdict is not Verdict.PASS for rule in decision.rules):
        faults.append("a rule of its escalation decision did not pass")
    if not decision.rules:
        faults.append("its escalation decision holds no rules")
    return faults
