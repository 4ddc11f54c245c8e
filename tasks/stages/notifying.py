"""Telling people through Prefect's notification blocks; a block that fails costs the message, not the run."""

import asyncio
import inspect
import logging
import os
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_contracts.errors import LorafirstError
from data_contracts.records.decision import Outcome, RunReport
from data_contracts.records.registry import PromotionOutcome, PromotionReport, Rollback
from data_contracts.served import settings_of_file
from tasks.evidence.dossier import find_dossier

BLOCKS_VARIABLE = "LORAFIRST_NOTIFICATIONS"
"""The environment variable that names blocks for every run, separated by commas, beside the settings'."""
_LONGEST = 1500
"""Characters of a message."""
_TALKATIVE = ("httpx", "httpcore", "apprise")
"""Loggers that would write down an address."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Notice:
    """What people are told."""

    subject: str
    body: str


def blocks_for(settings: Sequence[str]) -> tuple[str, ...]:
    """Names of the blocks to tell: the settings', and those of the environment."""
    named = os.environ.get(BLOCKS_VARIABLE, "").split(",")
    return tuple(dict.fromkeys([*settings, *(name.strip() for name in named if name.strip())]))


def blocks_of(output: Path, run_id: str) -> tuple[str, ...]:
    """The same for a run among those below ``output``; of one that cannot be read the environment's alone."""
    try:
        settings = find_dossier(output, run_id).request().settings
    except LorafirstError:
        settings = {}
    named = settings.get("notifications")
    return blocks_for([str(each) for each in named] if isinstance(named, list | tuple) else [])


def notify(blocks: Sequence[str], notice: Notice | None) -> None:
    """Has every block tell ``notice``, if there is one; of what fails the block's name is logged."""
    if notice is None:
        return
    for name in blocks:
        try:
            with _silenced():
                _send(name, notice)
        except Exception as error:
            # The error's own words may hold the address.
            _log.warning("block %s told nobody: %s (%s)", name, type(error).__name__, notice.subject)


def run_notice(report: RunReport) -> Notice | None:
    """For ends that somebody must act upon."""
    match report.outcome:
        case Outcome.AWAITING_APPROVAL:
            subject = f"{report.name}: approval is needed"
            answer = f"lorafirst approve {report.run_id} (or deny) --name NAME --reason TEXT"
        case Outcome.DATA_REJECTED:
            subject = f"{report.name}: the data was rejected"
            answer = f"lorafirst show {report.run_id}"
        case _:
            return None
    return Notice(subject, f"{report.sentence}\nRun {report.run_id}\n{answer}")


def promotion_notice(report: PromotionReport) -> Notice | None:
    if report.outcome is not PromotionOutcome.PROMOTED:
        return None
    body = (
        f"{report.sentence}\nRun {report.run_id}\nlorafirst rollback {report.model} --reason TEXT undoes it"
    )
    return Notice(f"{report.model}: the champion changed", body)


def rollback_notice(rollback: Rollback) -> Notice:
    body = (
        f"{rollback.by} put version {rollback.version} back in the place of version {rollback.left_version}: "
        f"{rollback.reason}\nRun {rollback.run_id}"
    )
    return Notice(f"{rollback.model}: the champion changed", body)


def tell_fault(flow: Any, flow_run: Any, state: Any) -> None:
    """A hook of Prefect for flows that fail or crash; a fault that passes through several is told once."""
    error = _fault_of(state)
    if getattr(error, "lorafirst_told", False):
        return
    if isinstance(error, BaseException):
        error.lorafirst_told = True  # type: ignore[attr-defined]
    blocks = blocks_for(named_by(flow_run.parameters.get("settings")))
    if not blocks:
        return
    name = _name_of(flow_run)
    body = f"{(state.message or 'It ended without a word.')[:_LONGEST]}\nFlow run {name}, {flow_run.id}"
    notify(blocks, Notice(f"{name}: {flow.name} broke off", body))


def named_by(settings: object) -> Sequence[str]:
    """The blocks that settings name: as a form or a file gave them, or as a record."""
    if isinstance(settings, str | Path):
        try:
            settings = settings_of_file(Path(settings), "settings")
        except LorafirstError:
            return ()
    named = settings.get("notifications") if isinstance(settings, dict) else None
    return tuple(getattr(settings, "notifications", named) or ())


def _name_of(flow_run: Any) -> str:
    """As the server has it: a worker, which tells of a killed process, knows only its first name."""
    from prefect.client.orchestration import get_client

    try:
        with get_client(sync_client=True) as client:
            return str(client.read_flow_run(flow_run.id).name)
    except Exception:
        # People are told all the same.
        return str(flow_run.name)


def _fault_of(state: Any) -> object:
    found = getattr(state.data, "result", state.data)
    # A flow that ends in the state of another carries that state.
    return _fault_of(found) if hasattr(found, "data") and not isinstance(found, BaseException) else found


def _send(name: str, notice: Notice) -> None:
    from prefect.blocks.abstract import NotificationBlock
    from prefect.blocks.core import Block

    block: Any = Block.load(name)
    if not isinstance(block, NotificationBlock):
        raise TypeError("no notification block")
    with block.raise_on_failure():
        sent: Any = block.notify(notice.body[:_LONGEST], notice.subject)
        if inspect.isawaitable(sent):  # a block that knows no other way
            asyncio.run(_awaited(sent))


async def _awaited(sent: Awaitable[None]) -> None:
    await sent


@contextmanager
def _silenced() -> Iterator[None]:
    levels = {name: logging.getLogger(name).level for name in _TALKATIVE}
    for name in levels:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
