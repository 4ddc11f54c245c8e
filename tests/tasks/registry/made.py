"""Versions for tests that need no run."""

from pathlib import Path

from data_contracts.records.base import digest_json
from data_contracts.records.decision import Interval
from data_contracts.records.registry import Alias, Candidate, Crowning, ModelVersion

SCORE = Interval(mean=0.9, lower=0.87, upper=0.92, alpha=0.05, rows=400, method="clopper-pearson")


def candidate(run: str, model: str = "topics", output: Path = Path("runs")) -> Candidate:
    return Candidate(
        model=model,
        run_id=run,
        dossier=str(output / run),
        artifact="pilot-1-lora-r8/adapter",
        artifact_digest=digest_json(["artifact", run]),
        base_model=digest_json("base"),
        snapshot=digest_json("snapshot"),
        policy=digest_json("policy"),
        metric="accuracy",
    )


def crowning(day: int) -> Crowning:
    return Crowning(at=f"2026-11-{day:02}T00:00:00.000000Z", by="Ada", reason="", score=SCORE)


def version(
    number: int, *aliases: Alias, day: int | None = None, withdrawn: str | None = None
) -> ModelVersion:
    return ModelVersion(
        candidate=candidate(f"topics-{number}"),
        version=number,
        aliases=aliases,
        crowned=None if day is None else crowning(day),
        withdrawn=withdrawn,
    )
