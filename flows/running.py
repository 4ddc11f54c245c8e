"""One run in this process: on the server that ``PREFECT_API_URL`` names, or on Prefect's ephemeral API."""

import logging
import warnings
from contextlib import AbstractContextManager, ExitStack
from typing import cast

from data_contracts.records.decision import RunReport
from data_contracts.records.settings import RunSettings
from flows.local_api import start_unless_configured


def run_here(settings: RunSettings, *, quiet: bool = False) -> RunReport:
    """Runs the flow and returns how it ended; shows stages and progress on the terminal unless ``quiet``.

    Raises:
        LorafirstError: what the flow raised.
    """
    with ExitStack() as stack:
        api = start_unless_configured()
        # Imported while the API starts in its own process.
        from tasks.stages.watching import listening

        if not quiet:
            from flows.rendering import TerminalListener

            stack.enter_context(listening(stack.enter_context(TerminalListener())))
        _hush()
        from flows.finetune import finetune

        if api is not None:
            # Needed by the contract stage a moment later; until the API answers its seconds cost nothing.
            import great_expectations  # noqa: F401

            stack.enter_context(_without_heartbeats())
            api.wait()
        # Prefect hands out what the returned state carries.
        return cast(RunReport, finetune(settings))


def _without_heartbeats() -> AbstractContextManager[object]:
    """Nobody watches an API that ends with its run, and stopping the heartbeat takes a second."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    return temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None})


def _hush() -> None:
    """Keeps libraries' notes about themselves off the terminal."""
    warnings.filterwarnings("ignore")
    for name in ("bitsandbytes", "great_expectations", "httpx"):
        logging.getLogger(name).setLevel(logging.ERROR)
