"""Full fine-tuning for benchmarks: a permit that says what it is, and can be taken for nothing else.

A benchmark must know what full fine-tuning would have reached where the pipeline did not allow it. Its
permit is bound to the run id ``laboratory``, which no run of the pipeline can have (theirs carry a date), and
its issuer is the laboratory: no run redeems it, no stage of the pipeline trains under it or takes what was
trained under it for its own, and the promotion gate refuses that.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from data_contracts.records.base import digest_json, utc_time
from data_contracts.records.decision import Decision, Gate, RuleResult, Verdict
from data_contracts.records.permit import Permit, PermitIssuer, Redemption
from data_contracts.records.settings import FullSettings
from tasks.training.rungs import FullRung

LABORATORY = "laboratory"


def laboratory_rung(
    *,
    snapshot: str,
    base_model: str,
    policy: str,
    seed: int,
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
    now = datetime.now(UTC)
    permit = Permit(
        issuer=PermitIssuer.LABORATORY,
        **work,
        rung=settings.method,
        seeds=(seed,),
        # Nobody was told a forecast, and nobody has set a limit.
        price_processor_hours=0.0,
        issued_at=utc_time(now),
        expires_at=utc_time(now + timedelta(days=1)),
        decision=escalation,
    )
    # No ledger holds it.
    redemption = Redemption(
        permit=permit.digest(), run_id=LABORATORY, seed=seed, training=digest_json(LABORATORY)
    )
    return FullRung(permit, redemption, **work, settings=settings, adapter=adapter)
