"""lorafirst: ``tasks.training.fit.fit``, as the pipeline calls it."""

from pathlib import Path
from typing import Any

from benchmarks.training_arms.job import Job

_DIGEST = "sha256:" + "0" * 64


def train(job: Job) -> dict[str, Any]:
    from datasets import Dataset

    from benchmarks.laboratory import laboratory_rung
    from data_contracts.records.metrics import Task
    from data_contracts.records.settings import PilotSettings, TrainingSettings
    from tasks.data.tokens.tokenization import load_tokenizer
    from tasks.training.fit import fit
    from tasks.training.inputs import TrainingInputs
    from tasks.training.loading import Head
    from tasks.training.rungs import PilotRung

    rung = (
        laboratory_rung(snapshot=_DIGEST, base_model=_DIGEST, policy=_DIGEST, seed=job.seed)
        if job.method == "full"
        else PilotRung(PilotSettings.model_validate(
            {"method": job.method, "rank": job.rank, "alpha": job.alpha}
        ))
    )  # fmt: skip
    tokenizer = load_tokenizer(Path(job.model))
    artifact = Path(job.output) / "artifact"
    fit(
        TrainingInputs(
            base=Path(job.model),
            base_name="benchmark",
            base_digest=_DIGEST,
            head=Head(Task.INSTRUCTION, (), tokenizer.pad_token_id),
            rung=rung,
            train=Dataset.from_parquet(f"{job.rows}/pool.parquet"),
            # One row: the loss that is compared is taken by the meter, for all arms alike.
            tune=Dataset.from_parquet(f"{job.rows}/judge.parquet").select([0]),
            tokenizer=tokenizer,
            training=TrainingSettings(
                epochs=1_000,
                max_steps=job.steps,
                effective_batch_size=job.effective_batch_size,
                micro_batch_size=job.micro_batch_size,
                warmup_share=job.warmup_steps / job.steps,
                maximum_gradient_norm=job.maximum_gradient_norm,
                curve_points=1,
                **job.options,
            ),
            learning_rate=job.learning_rate,
            seed=job.seed,
        ),
        artifact=artifact,
    )
    return {"artifact_bytes": sum(path.stat().st_size for path in artifact.rglob("*") if path.is_file())}
