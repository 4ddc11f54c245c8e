"""Does the server go on by itself with a flow run that died?"""

from collections.abc import Iterable

from data_contracts.records.base import UtcTime
from data_contracts.records.taking_up import Action, AskedRun, CrashedRun, TakingUp

MOST_TIMES = 2
"""In a row. What kills a run three times, such as too little memory, kills it a fourth time."""
_COUNT = "taken-up:"


def count_tag(times: int) -> str:
    """The tag of a run that goes on with one that died, for the ``times``-th time in a row."""
    return f"{_COUNT}{times}"


def times_taken_up(tags: Iterable[str]) -> int:
    """How often in a row, as the tags of a run say; 0 for one that somebody started."""
    counts = [tag.removeprefix(_COUNT) for tag in tags if tag.startswith(_COUNT)]
    return max((int(count) for count in counts if count.isdecimal()), default=0)


def decide_taking_up(crashed: CrashedRun, others: Iterable[AskedRun], *, now: UtcTime) -> TakingUp:
    """Takes it up unless it was cancelled, somebody has started the same since, or it has died too often.

    Args:
        others: runs of the same deployment; this one may be among them.
    """
    asked, times = crashed.asked, times_taken_up(crashed.asked.tags)
    if crashed.was_cancelled:
        return TakingUp(action=Action.LEAVE, times=times, sentence="It was cancelled.")
    if any(_is_same_since(asked, other, now) for other in others):
        return TakingUp(
            action=Action.LEAVE, times=times, sentence="The same has been started again since, and goes on."
        )
    if crashed.at_work:
        return TakingUp(
            action=Action.WAIT, times=times, sentence="A process is at work on the model of that name still."
        )
    if times >= MOST_TIMES:
        return TakingUp(
            action=Action.GIVE_UP,
            times=times,
            sentence=f"It died {times + 1} times in a row; find out why, then start it again: it goes on "
            "after its last finished stage or checkpoint.",
        )
    return TakingUp(
        action=Action.TAKE_UP,
        times=times + 1,
        sentence="It goes on after its last finished stage or checkpoint; "
        f"taken up {times + 1} of at most {MOST_TIMES} times in a row.",
    )


def _is_same_since(asked: AskedRun, other: AskedRun, now: UtcTime) -> bool:
    """What a schedule has planned for later has not been started."""
    return asked.due_at < other.due_at <= now and other.parameters == asked.parameters
