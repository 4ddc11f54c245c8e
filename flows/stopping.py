"""A training that its worker asks to end: Prefect is told so in the way that it knows."""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from data_contracts.errors import TrainingStopped

_FLOW_RUN_VARIABLE = "PREFECT__FLOW_RUN_ID"
"""What a worker puts into the environment of the process that it starts for a run."""

_log = logging.getLogger(__name__)


@contextmanager
def stops_told() -> Iterator[None]:
    """Inside, a training that saved and ended because its worker asked for that ends the flow run as asked.

    Prefect takes any other end by a ``KeyboardInterrupt`` for a crash, cancelled or not. Where no worker runs
    the flow, the command line tells of the stop.

    Raises:
        TerminationSignal: in place of a ``TrainingStopped`` by SIGTERM, in a worker's process.
    """
    try:
        yield
    except TrainingStopped as stopped:
        if stopped.signal_number != signal.SIGTERM or _FLOW_RUN_VARIABLE not in os.environ:
            raise
        from prefect.exceptions import TerminationSignal

        _log.warning("%s", stopped)
        raise TerminationSignal(signal.SIGTERM) from stopped
