"""Scores, trials and policies of made-up runs."""

from typing import Any

import numpy as np

from data_contracts.records.base import Cost
from data_contracts.records.bases import EscalationFacts
from data_contracts.records.pilots import Approval, PilotTrial, SweepPoint
from data_contracts.records.policy import Policy
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import PilotSettings
from tasks.decisions.gates import ScoredRows

RUN = "run-1"
DIGEST = "sha256:" + "0" * 64
ACCURACY = Policy(metric="accuracy", target=0.9, margin=0.02, minimum_uplift=0.05)
ERROR_RATE = Policy(metric="word_error_rate", target=0.5, margin=0.05, minimum_uplift=0.05)
ISSUED: dict[str, Any] = {
    "snapshot": DIGEST,
    "base_model": DIGEST,
    "rung": Rung.FULL,
    "seeds": (17,),
    "price_processor_hours": 2.0,
    "issued_at": "2026-11-25T08:00:00.000000Z",
    "expires_at": "2026-12-02T08:00:00.000000Z",
}
"""What a permit is issued for."""
ENOUGH = EscalationFacts(
    train_rows=10_000,
    processor_hours_spent=1.0,
    processor_hours_of_full=1.0,
    peak_memory_bytes_of_full=1,
    available_memory_bytes=2,
    requested_by="somebody",
    approval=None,
)
"""Under which nothing but a person could refuse."""
NO_COST = Cost(seconds=1.0, cpu_seconds=1.0, peak_memory_bytes=1)


def right(share: float, rows: int = 1000, *, seeds: int = 1, name: str = "the LoRA pilot") -> ScoredRows:
    """``rows`` rows of which this share is answered rightly, from every seed."""
    hits = round(share * rows)
    ids = tuple(f"row-{index}" for index in range(rows))
    line = np.repeat([1.0, 0.0], [hits, rows - hits])
    return ScoredRows(name, ids, np.stack([line] * seeds), (DIGEST,) * seeds)


def errors(mean: float, rows: int = 400, *, seeds: int = 1, spread: float = 0.2) -> ScoredRows:
    """Error rates whose mean is exactly ``mean`` from every seed."""
    noise = np.random.default_rng(0).normal(0, spread, size=(seeds, rows))
    noise -= noise.mean(axis=1, keepdims=True)
    ids = tuple(f"row-{index}" for index in range(rows))
    return ScoredRows("the LoRA pilot", ids, mean + noise, (DIGEST,) * seeds)


def trial(number: int = 1, **changes: Any) -> PilotTrial:
    """A pilot of rank 16 at 1e-3, short of 0.9 on tune."""
    pilot = {"learning_rate": 1e-3, **changes.pop("settings", {})}
    values: dict[str, Any] = {
        "number": number,
        "settings": PilotSettings(**pilot),
        "remedy": None,
        "learning_rate": pilot["learning_rate"],
        "steps": 100,
        "full_steps": 100,
        "tune_score": 0.8,
        "tune_loss": 0.5,
        "lowest_train_loss": 0.2,
        "supervised_tokens": 1000,
        "truncated_share": 0.0,
        "adapter_parameters": 1_000_000,
        "information_bits": 10_000.0,
        "evidence": (DIGEST,),
    }
    return PilotTrial(**{**values, **changes})


def answer(**changes: Any) -> Approval:
    """Ada's, recorded, to nothing in particular."""
    values: dict[str, Any] = {
        "approved": True,
        "name": "Ada",
        "reason": "because",
        "subject": DIGEST,
        "requested_by": "somebody",
        "answered_at": "2026-01-02T03:04:05.000006Z",
        "key": None,
    }
    return Approval(**{**values, **changes})


def points(**losses: float | None) -> list[SweepPoint]:
    """``points(r3e4=0.7)``: the loss that the rate 3e-4 came to in a third of the steps."""
    return [
        SweepPoint(learning_rate=float(name[1:].replace("e", "e-")), steps=33, tune_loss=loss, cost=NO_COST)
        for name, loss in losses.items()
    ]


BRACKETED = {"r3e4": 0.9, "r1e3": 0.5, "r3e3": 0.7}
