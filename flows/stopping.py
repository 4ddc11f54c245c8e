"""How a served run ends that is cancelled while it trains, or of which a training process was killed.

Cancelled, it saves first, and still ends as cancelled. Prefect's worker tells the process that it is
cancelled only where Prefect's own handler of SIGTERM is in place. A training has its own there, which
finishes the step and saves; so Prefect would take its end for a crash.

Where one of several training processes was killed, the run has crashed, as it has where its own process was:
the server has it go on.
"""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from data_contracts.errors import BrokenOffError, TrainingStopped

FLOW_RUN_VARIABLE = "PREFECT__FLOW_RUN_ID"
"""What a worker puts into the environment of the process that it starts for a run."""

_log = logging.getLogger(__name__)


class RunBrokeOff(BaseException):
    """A process that worked for the run was killed.

    No ``Exception``, because Prefect takes those for failures.
    """


@contextmanager
def broken_off_told() -> Iterator[None]:
    """Inside, a worker's run of which a training process was killed ends as crashed, so that it is taken up.

    Raises:
        RunBrokeOff: in place of ``BrokenOffError``, which it stays where a person started the run.
    """
    try:
        yield
    except BrokenOffError as error:
        if FLOW_RUN_VARIABLE not in os.environ:
            raise
        raise RunBrokeOff(str(error)) from error


@contextmanager
def cancelling_told() -> Iterator[None]:
    """Inside, a stop that was asked for by cancelling leaves the flow run to its worker, which ends it so.

    Every other stop stays what it is.

    Raises:
        Abort: in place of what was raised by SIGTERM, where the worker's run is being cancelled.
    """
    from prefect.exceptions import Abort, TerminationSignal

    try:
        yield
    except (TrainingStopped, TerminationSignal) as stopped:
        number = stopped.signal_number if isinstance(stopped, TrainingStopped) else stopped.signal
        if number != signal.SIGTERM or not _is_being_cancelled():
            raise
        _log.warning("Cancelled. %s", stopped)
        raise Abort("The run is being cancelled.") from stopped


def _is_being_cancelled() -> bool:
    """Whether the run that a worker started this process for is; a run inside another counts as that one."""
    run = os.environ.get(FLOW_RUN_VARIABLE)
    if run is None:
        return False
    import httpx
    from prefect.client.orchestration import get_client

    try:
        with get_client(sync_client=True) as client:
            state = client.read_flow_run(UUID(run)).state
    except httpx.HTTPError:
        return False
    return state is not None and state.is_cancelling()
