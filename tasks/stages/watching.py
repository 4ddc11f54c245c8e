"""Who is told while a run goes on: the terminal through a listener, the UI through Prefect artifacts.

Watching never stops a run: an API that cannot be reached costs a view of the progress, not the training.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from data_contracts.records.base import Cost
from data_contracts.records.decision import Decision
from tasks.stages.showing import shown

_ARTIFACT_SECONDS = 5.0
"""Least time between two updates of a progress artifact."""


class RunListener(Protocol):
    """Follows one run in this process."""

    def run_started(self, run_id: str, resumed: bool) -> None: ...

    def progressed(self, done: int, total: int, what: str) -> None: ...

    def noted(self, sentence: str) -> None: ...

    def stage_ended(self, stage: str, line: str, cost: Cost | None, reused: bool) -> None: ...

    def decided(self, decision: Decision) -> None: ...


class _Nobody:
    def run_started(self, run_id: str, resumed: bool) -> None: ...

    def progressed(self, done: int, total: int, what: str) -> None: ...

    def noted(self, sentence: str) -> None: ...

    def stage_ended(self, stage: str, line: str, cost: Cost | None, reused: bool) -> None: ...

    def decided(self, decision: Decision) -> None: ...


_NOBODY = _Nobody()
_listener: ContextVar[RunListener | None] = ContextVar("lorafirst_listener", default=None)


def listener() -> RunListener:
    return _listener.get() or _NOBODY


@contextmanager
def listening(to: RunListener) -> Iterator[None]:
    """Inside, runs of this process report to ``to``."""
    token = _listener.set(to)
    try:
        yield
    finally:
        _listener.reset(token)


class StageProgress:
    """A ``Progress`` that feeds the listener and, inside a Prefect task, one progress artifact."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._artifact: object | None = None
        self._told = 0.0
        self._broken = False

    def __call__(self, done: int, total: int, what: str) -> None:
        listener().progressed(done, total, what)
        now = time.monotonic()
        if self._broken or (now - self._told < _ARTIFACT_SECONDS and done < total):
            return
        self._told = now
        self._tell_prefect(100.0 * done / max(1, total), f"{what}: {done:,} of {total:,}")

    def _tell_prefect(self, percent: float, description: str) -> None:
        from prefect.artifacts import create_progress_artifact, update_progress_artifact
        from prefect.context import TaskRunContext

        if TaskRunContext.get() is None:
            return

        def tell() -> None:
            if self._artifact is None:
                self._artifact = create_progress_artifact(
                    progress=percent, key=artifact_key(self._stage, "progress"), description=description
                )
            else:
                update_progress_artifact(self._artifact, progress=percent, description=description)  # type: ignore[arg-type]

        self._broken = not shown(tell, f"progress of {self._stage}")


def artifact_key(*parts: str) -> str:
    """A Prefect artifact key: lower case, digits and dashes."""
    text = "-".join(parts).lower()
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in text)
