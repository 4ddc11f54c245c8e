"""One run in this process: on the server that ``PREFECT_API_URL`` names, or on Prefect's ephemeral API."""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import cast

from data_contracts.errors import ServerLostError, one_line
from data_contracts.records.decision import RunReport
from data_contracts.records.registry import PromotionReport, Rollback
from data_contracts.records.retraining import DriftOutcome, RetrainingReport
from data_contracts.records.settings import RunSettings
from flows.local_api import start_unless_configured
from flows.operating.silent_runs import SIGN_OF_LIFE_SECONDS

_TRIES_AGAIN = 4
"""After two, four, eight and sixteen seconds, before a server is taken for gone."""


_lost = False
"""Whether a flow in this process has ended without its server."""


def leave_if_server_lost(code: int) -> None:
    """Ends this process with ``code`` at once where a flow in it has lost its server for good; else nothing.

    Prefect would go on for many minutes to send a server that is gone what it has queued for it, logs and
    events of which nothing depends, before it let the process end.
    """
    if _lost:
        for stream in (sys.stdout, sys.stderr):
            # Whoever read it may have gone.
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def run_here(settings: RunSettings, *, quiet: bool = False) -> RunReport:
    """Runs the flow and returns how it ended; shows stages and progress on the terminal unless ``quiet``.

    Raises:
        LorafirstError: what the flow raised.
    """
    with _beside_an_api(quiet) as wait:
        # Needed by the contract stage a moment later; until the API answers its seconds cost nothing.
        import great_expectations  # noqa: F401

        from flows.finetune import finetune

        wait()
        # Prefect hands out what the returned state carries.
        return cast(RunReport, finetune(settings))


def promote_here(
    run: str, *, output: Path, reason: str = "", by: str | None = None, quiet: bool = False
) -> PromotionReport:
    """The same of a promotion.

    Raises:
        LorafirstError: what the flow raised.
    """
    with _beside_an_api(quiet) as wait:
        from flows.promote import promote

        wait()
        return cast(PromotionReport, promote(run, output=output, reason=reason, by=by))


def retrain_here(settings: RunSettings, *, quiet: bool = False) -> RetrainingReport:
    """The same of a retraining.

    Raises:
        LorafirstError: what the flow raised.
    """
    with _beside_an_api(quiet) as wait:
        from flows.retrain import retrain

        wait()
        return cast(RetrainingReport, retrain(settings))


def drift_here(settings: RunSettings, *, quiet: bool = False) -> DriftOutcome:
    """The same of a look for drift.

    Raises:
        LorafirstError: what the flow raised.
    """
    with _beside_an_api(quiet) as wait:
        from flows.drift import drift

        wait()
        return cast(DriftOutcome, drift(settings))


def tell_rollback(rollback: Rollback, output: Path) -> None:
    """Notifies whoever the settings of its run name; without any, nothing of Prefect is started."""
    from tasks.stages.notifying import blocks_of, notify, rollback_notice

    blocks = blocks_of(output, rollback.run_id)
    if not blocks:
        return
    with _beside_an_api(quiet=True) as wait:
        wait()
        notify(blocks, rollback_notice(rollback))


@contextmanager
def _beside_an_api(quiet: bool) -> Iterator[Callable[[], None]]:
    """Yields what waits until Prefect's API answers, which a server that is configured does already."""
    with ExitStack() as stack:
        api = start_unless_configured()
        # Imported while the API starts in its own process.
        from tasks.stages.watching import listening

        if not quiet:
            from flows.rendering.runs import TerminalListener

            stack.enter_context(listening(stack.enter_context(TerminalListener())))
        _hush()
        stack.enter_context(_towards_server(own=api is not None))
        stack.enter_context(_lost_server_told(own=api is not None))
        yield (lambda: None) if api is None else api.wait


@contextmanager
def _lost_server_told(own: bool) -> Iterator[None]:
    """Raises ``ServerLostError`` in place of what a client says whose server was gone for too long.

    Args:
        own: whether the server was started for this run.
    """
    import httpx

    try:
        yield
    except (httpx.TransportError, httpx.HTTPStatusError) as error:
        unavailable = HTTPStatus.INTERNAL_SERVER_ERROR
        if isinstance(error, httpx.HTTPStatusError) and error.response.status_code < unavailable:
            raise
        global _lost
        _lost = isinstance(error, httpx.TransportError)
        raise ServerLostError(
            f"The Prefect server at {os.environ.get('PREFECT_API_URL', 'its address')} no longer answers: "
            f"{one_line(error) or type(error).__name__}.\n"
            "  Nothing is lost: what was finished and saved is beside the dossiers (`lorafirst runs`).\n"
            f"  to do: {'' if own else 'start it again (`lorafirst up`), or unset PREFECT_API_URL; then '}"
            "the same command goes on"
        ) from error


def _towards_server(own: bool) -> AbstractContextManager[object]:
    """How the run keeps in touch with its server; ``own`` is one that was started for it.

    By signs of life a server knows runs that died. Nobody watches the run's own, and stopping them takes a
    second. Prefect proposes three states after another to a server that is gone, and would wait for each as
    long as for one; how often it tries is left as it is where ``PREFECT_CLIENT_MAX_RETRIES`` says so.
    """
    from prefect.settings import (
        PREFECT_CLIENT_MAX_RETRIES,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        temporary_settings,
    )

    return temporary_settings(
        {
            PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None if own else SIGN_OF_LIFE_SECONDS,
            PREFECT_CLIENT_MAX_RETRIES: int(os.environ.get(PREFECT_CLIENT_MAX_RETRIES.name, _TRIES_AGAIN)),
        }
    )


def _hush() -> None:
    """Keeps libraries' notes about themselves off the terminal."""
    warnings.filterwarnings("ignore")
    for name in ("bitsandbytes", "great_expectations", "httpx"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # Of a server that is gone Prefect tells at every log line and event that it cannot send there. A filter,
    # because Prefect sets the level once more when a flow begins.
    logging.getLogger("prefect._internal.concurrency").addFilter(lambda record: False)
    logging.raiseExceptions = False
