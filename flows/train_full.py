"""Full fine-tuning in a pool of its own, for a run that has a permit for it."""

from pathlib import Path

from prefect import flow

from data_contracts.records.settings import RunId
from flows.served import in_served, require_deployed_version
from flows.stopping import broken_off_told, cancelling_told
from tasks.evidence.dossier import Dossier
from tasks.stages.elsewhere import train_for_run


@flow(name="train-full", flow_run_name="{run} seed {seed}", persist_result=False)
def train_full(
    run: RunId, pilot: RunId, learning_rate: float, seed: int, stage: RunId, output: Path = Path("runs")
) -> None:
    """Train in full for a run that asks for it. Refused without the run's permit for exactly this training.

    Nobody needs to fill in this form: runs with `compute.full_on: train-full/train-full` do.

    Args:
        run: The id of the run.
        pilot: The folder of its best pilot in its dossier.
        learning_rate: Peak rate.
        seed: One of those that the permit names.
        stage: The name under which the run will look for what is trained.
        output: The folder of dossiers, in the served folder.
    """
    require_deployed_version()
    dossier = Dossier(in_served(output, "output") / run)
    with broken_off_told(), cancelling_told():
        train_for_run(dossier, pilot=pilot, learning_rate=learning_rate, seed=seed, stage=stage)
