"""A run by schedule, whose settings lie in a file of the served folder."""

from pathlib import Path
from typing import cast

from prefect import State, flow

from data_contracts.records.decision import RunReport
from data_contracts.served import settings_of_file
from flows.finetune import ended_as, finetune
from flows.served import require_deployed_version
from tasks.stages.notifying import tell_fault


@flow(name="nightly", persist_result=False, on_failure=[tell_fault], on_crashed=[tell_fault])
def nightly(settings: Path = Path("nightly.yaml")) -> State[RunReport]:
    """Run the pipeline with the settings in a file, as `lorafirst run` does.

    Args:
        settings: A settings file in the served folder; paths in it are relative to the file.
    """
    require_deployed_version()
    # Prefect hands out what the returned state carries.
    report = cast(RunReport, finetune(settings_of_file(settings, "settings")))
    return ended_as(report)
