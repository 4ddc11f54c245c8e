"""The runs of the soak, each with the outcome it is to end in, and when what is killed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from benchmarks.small_runs import QUESTION_FILE, changed, doors, small, write_doors, write_questions

UNLABELLED_FILE = "unlabelled.jsonl"
_ESCALATES: dict[str, Any] = {
    "margin": 0.0,
    # Rates of which the middle one, the pilot's own, is certain to be best.
    "fairness": {"rate_multiples": [0.01, 20.0, 10_000.0], "on_breach": "block"},
    "remedies": {"allowed": ["sweep"], "maximum_pilots": 2},
}


@dataclass(frozen=True)
class Kind:
    """Settings that come to one outcome."""

    name: str
    settings: dict[str, Any]
    """Without a seed, and with an output folder that is put in its place."""
    answer: str | None = None
    """What a person says once the run waits for approval."""


def _small(name: str, **changes: Any) -> Kind:
    return Kind(name, small("", **changes))


def _waits(name: str, answer: str, target: float) -> Kind:
    """With a target of its own: the same evidence under the same policy is the same question, and the last
    answer counts for whoever asks it."""
    policy = {**_ESCALATES, "target": target, "escalation": {"approval": "recorded"}}
    return Kind(name, small("", policy=policy, full={"learning_rate": 1e-4}), answer)


KINDS = (
    _small("invalid"),
    Kind("accepted", doors("")),
    _small("suffices", policy={"target": 0.4}),
    _small("underpowered", policy={"target": 0.9, "margin": 0.01, "power": {"on_breach": "block"}}),
    _small("rejected", data={"source": UNLABELLED_FILE}),
    _small("full", policy=_ESCALATES, full={"learning_rate": 1e-4}),
    _waits("approved", "approve", 0.985),
    _waits("denied", "deny", 0.98),
)
_OF_TEN = (
    "invalid",
    "accepted",
    "invalid",
    "suffices",
    "accepted",
    "full",
    "invalid",
    "rejected",
    "accepted",
)
"""Of each ten runs; the tenth is one of those below in turn."""
_TENTH = ("approved", "denied", "underpowered", "approved", "denied")


@dataclass(frozen=True)
class Job:
    """One run that is asked for."""

    name: str
    kind: Kind
    seed: int
    output: str

    @property
    def settings(self) -> dict[str, Any]:
        return changed(self.kind.settings, name=self.name, seed=self.seed, output=self.output)


def write_inputs(folder: Path) -> None:
    """What the settings name."""
    import json

    write_questions(folder)
    write_doors(folder)
    rows = [json.loads(line) for line in (folder / QUESTION_FILE).read_text(encoding="utf-8").splitlines()]
    lines = [
        json.dumps({**row, "label": row["label"] if order % 3 else ""}) for order, row in enumerate(rows)
    ]
    (folder / UNLABELLED_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")


def jobs(count: int, output: str) -> tuple[Job, ...]:
    """So many different ones; each kind begins with seed 0, which is that of the undisturbed run."""
    by_name = {kind.name: kind for kind in KINDS}
    seeds = dict.fromkeys(by_name, 0)
    found = []
    for order in range(count):
        tens, place = divmod(order, 10)
        name = _OF_TEN[place] if place < 9 else _TENTH[tens % len(_TENTH)]
        found.append(Job(f"soak-{order:02}-{name}", by_name[name], seeds[name], output))
        seeds[name] += 1
    return tuple(found)


class Victim(StrEnum):
    """What is killed by ``kill -9``."""

    RUN = "flow process"
    FIRST_WORKER = "worker of `lorafirst up`"
    SECOND_WORKER = "second worker"
    SERVER = "server"


@dataclass(frozen=True)
class Strike:
    """One kill: once so many runs have ended, and then so many seconds later."""

    after: int
    seconds: float
    victim: Victim


def strikes(count: int, chance: random.Random) -> tuple[Strike, ...]:
    """A kill of a run for each four runs, and one each of both workers and the server in the first fifth.

    What is killed early leaves the long rest to show whether what took its place grows.
    """
    early = [
        Strike(order * count // 15, chance.uniform(0.0, 3.0), victim)
        for order, victim in enumerate((Victim.SERVER, Victim.FIRST_WORKER, Victim.SECOND_WORKER), start=1)
    ]
    ends = sorted(chance.sample(range(count - 1), max(1, count // 4)))
    runs = [Strike(after, chance.uniform(0.0, 12.0), Victim.RUN) for after in ends]
    return tuple(sorted((*early, *runs), key=lambda each: each.after))


def asked_again(chosen: Sequence[Job]) -> tuple[Job, ...]:
    """One of each outcome that needs no answer, to be asked for once more when all have ended."""
    return tuple({job.kind.name: job for job in reversed(chosen) if job.kind.answer is None}.values())
