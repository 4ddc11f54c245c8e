"""The two kinds of method: an adapter on a frozen base, and updates of the base's own weights.

A method says what is trained and nothing else: loading, freezing, training, saving and the permit are ours,
so that a method that somebody adds has the same guarantees as those that come with us.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from data_contracts.records.metrics import Task
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import FullSettings, PilotSettings

Model = Any  # transformers and peft models share no useful static type
PeftConfig = Any


@dataclass(frozen=True)
class Place:
    """What an adapter is made for."""

    task: Task
    new_modules: tuple[str, ...]
    """Full names of modules with fresh weights, a classifier's head above all: trained and saved whole."""
    total_steps: int
    """Optimizer steps that training will take."""


@dataclass(frozen=True)
class AdapterMethod:
    """The base stays frozen; what is trained is an adapter that PEFT knows."""

    name: Rung
    sentence: str
    """What it is, for people."""
    configure: Callable[[PilotSettings, Place], PeftConfig]
    """The PEFT configuration. It may name no ``modules_to_save`` beyond the new ones."""
    quantised: bool = False
    """The base is loaded in 4-bit NF4."""
    changes_base_at_start: bool = False
    """Moves part of the base's weights into the adapter (PiSSA); saved so that it loads on the base as it
    was."""
    mergeable: bool = True
    can_continue: bool = False
    """Its saved adapter has the weights that it trains, so that another training can go on from them."""
    shardable: bool = True
    """FSDP2 may part it over processes; else each of them holds all of it."""
    after_step: Callable[[Model, int], None] | None = None
    """Called with the model after each optimizer step, before gradients are cleared, and the step from 1."""
    state: "MethodState | None" = None
    """What ``after_step`` remembers from step to step, for checkpoints."""
    before_loading: Callable[[], None] | None = None
    """Makes the method known to PEFT, where PEFT does not bring it."""


@dataclass(frozen=True)
class MethodState:
    """How what a method remembers is taken out of a model, and put into one that was made anew."""

    take: Callable[[Model], dict[str, Any]]
    """Tensors by name."""
    put: Callable[[Model, dict[str, Any]], None]


@dataclass(frozen=True)
class WeightsMethod:
    """Updates weights of the base, and therefore takes a permit."""

    name: Rung
    sentence: str
    choose: Callable[[Model, FullSettings, "Promise"], Collection[str] | None]
    """Full names of the parameters to train, beside a new head's; ``None`` trains all."""
    from_pilot: bool = False
    """Begins with the pilot's adapter merged into the base."""


@dataclass(frozen=True)
class Promise:
    """How much the pilot changed each transformer block; empty where there was none to begin with."""

    of_blocks: tuple[float, ...] = ()
    """Per block, the norm of the adapter's update over the norm of the weights it was added to."""
