"""Being asked to end: SIGTERM and SIGINT are noted, the step is finished, and its state is saved."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from tasks.training.sharding import agreed

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass
class StopRequest:
    """Whether the process was asked to end."""

    signal_number: int | None = None
    """The first signal that came; ``None`` as long as nobody asked."""

    def __bool__(self) -> bool:
        return self.signal_number is not None

    def agreed(self) -> bool:
        """Whether any of the processes that train together was asked; from then on all of them were.

        A request that comes meanwhile counts the next time: the others have not heard of it.
        """
        heard = agreed(bool(self))
        if heard and self.signal_number is None:
            self.signal_number = signal.SIGTERM
        return heard


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Inside, the first SIGTERM or SIGINT is noted; a second one does what it would have done before.

    So Prefect's own handler of SIGTERM, which would break off inside a step, comes to bear only where
    somebody insists. Outside the main thread signals cannot be handled, and nothing is ever noted.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before: dict[signal.Signals, Any] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, frame: FrameType | None) -> None:
        request.signal_number = number
        restore()

    for number in _SIGNALS:
        before[number] = signal.getsignal(number)
        signal.signal(number, note)
    try:
        yield request
    finally:
        restore()
