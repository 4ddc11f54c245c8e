"""Full fine-tuning for benchmarks: a permit that says what it is, and can be taken for nothing else.

A benchmark must know what full fine-tuning would have reached where the pipeline did not allow it. Its
permit is bound to the run id ``laboratory``, which no run of the pipeline can have (theirs carry a date), so
that no dossier accepts it and nothing it trains can be promoted.
"""

from pathlib import Path

from data_contracts.records.decision import Decision, Gate, RuleResult, Verdict
from data_contracts.records.permit import Permit
from data_contracts.records.settings import FullSettings
from tasks.training.rungs import FullRung

LABORATORY = "laboratory"


def laboratory_rung(
    *,
    snapshot: str,
    base_model: str,
    policy: str,
    settings: FullSettings | None = None,
    adapter: Path | None = None,
) -> FullRung:
    """A rung that updates base weights, on exactly this data and base, for measuring only."""
    settings = settings or FullSettings()
    rule = RuleResult(
        name="for a benchmark",
        observed="no gate was asked",
        interval=None,
        threshold="none",
        verdict=Verdict.PASS,
        sentence="This training measures what full fine-tuning would reach; nothing of it may be used.",
    )
    escalation = Decision(
        gate=Gate.ESCALATION,
        verdict=Verdict.PASS,
        rules=(rule,),
        sentence="Issued by a benchmark, for measuring only.",
        run_id=LABORATORY,
        policy=policy,
        evidence=(),
    )
    work = {"run_id": LABORATORY, "snapshot": snapshot, "base_model": base_model, "policy": policy}
    permit = Permit(**work, rung=settings.method, decision=escalation)
    return FullRung(**work, permit=permit, settings=settings, adapter=adapter)
