"""What a checkpoint holds, and how training goes on from it as if nothing had happened.

Trainer's own checkpoints are pickled in part; these are safetensors and JSON. They hold what training changes
and nothing else: the trainable weights, the optimizer's moments and the schedule, the state of every source
of random numbers, the curve and the counters. Tensors are whole and named by their parameter, so that
another number of processes can go on from them.
"""

import json
import random
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from tasks.training.course import Course
from tasks.training.sharding import like, mean, of_each, process_number, whole

WEIGHTS = "weights.safetensors"
BEST = "best.safetensors"
"""Weights of the best point so far; only with early stopping, and where they are not the current ones."""
OPTIMIZER = "optimizer.safetensors"
METHOD = "method.safetensors"
"""What the method itself remembers, where it does."""
RANDOM = "random.safetensors"
PROGRESS = "progress.json"

Tensors = dict[str, Any]  # names to torch tensors


@dataclass(frozen=True)
class RandomState:
    """Where each source of random numbers stands."""

    python: Any
    numpy: Any
    torch: Tensors
    """``cpu`` and, where there is one, ``cuda``: the generators' states as bytes. In a checkpoint each
    process has its own, from the second on as ``cpu/1``: their batches are of other shapes, so that dropout
    takes other numbers in each."""

    @classmethod
    def now(cls) -> "RandomState":
        import numpy as np
        import torch

        numpy = np.random.get_state(legacy=False)
        states = {"cpu": torch.random.get_rng_state()}
        if torch.cuda.is_available():
            states["cuda"] = torch.cuda.random.get_rng_state()
        numpy["state"]["key"] = numpy["state"]["key"].tolist()
        return cls(random.getstate(), numpy, states)

    def of_all(self) -> "RandomState":
        """With the generators of all processes. Every one of them must ask."""
        states = {
            _of_process(name, number): state
            for name, own in self.torch.items()
            for number, state in enumerate(of_each(own))
        }
        return replace(self, torch=states)

    def restore(self) -> None:
        """In this process; one that was not there when the states were taken begins as the first."""
        import numpy as np
        import torch

        version, state, gauss = self.python
        random.setstate((version, tuple(state), gauss))
        np.random.set_state(self.numpy)
        torch.random.set_rng_state(self._own("cpu"))
        if "cuda" in self.torch and torch.cuda.is_available():
            torch.cuda.random.set_rng_state(self._own("cuda"))

    def _own(self, name: str) -> Any:
        return self.torch.get(_of_process(name, process_number()), self.torch[name])


def _of_process(name: str, number: int) -> str:
    return f"{name}/{number}" if number else name


@dataclass(frozen=True)
class StepStart:
    """What changes inside a step before its optimizer is asked, as it was at the beginning."""

    random: RandomState
    running_loss: Any
    rows_seen: int
    supervised_tokens: int


@dataclass(frozen=True)
class TrainingState:
    """A training after a whole number of steps."""

    course: Course
    trainer: str
    """Trainer's own state as JSON: the step, and the log that the curve is made of."""
    running_loss: float
    """Sum over the steps since the last point of the curve, in nats."""
    last_logged_step: int
    schedule: dict[str, Any]
    learning_rates: list[float]
    """Of the optimizer's parameter groups."""
    random: RandomState
    weights: Tensors
    best: Tensors | None
    moments: Tensors
    """By ``PARAMETER/NAME``, as in ``classifier.weight/exp_avg``."""
    method: Tensors
    """What the method itself remembers; empty for most."""

    @property
    def step(self) -> int:
        return int(json.loads(self.trainer)["global_step"])

    @classmethod
    def of(cls, trainer: Any, *, start: StepStart | None = None) -> "TrainingState":
        """Of a running trainer between two steps; inside one that failed, as it was at its ``start``.
        Where several processes train, every one of them must ask.

        Tensors are the trainer's own, not copies.
        """
        course = trainer.course
        if start is not None:
            course = replace(course, rows_seen=start.rows_seen, supervised_tokens=start.supervised_tokens)
        return cls(
            course=course,
            trainer=json.dumps(asdict(trainer.state)),
            running_loss=mean(float(trainer._tr_loss if start is None else start.running_loss)),
            last_logged_step=trainer._globalstep_last_logged,
            schedule=trainer.lr_scheduler.state_dict(),
            learning_rates=[float(group["lr"]) for group in trainer.optimizer.param_groups],
            random=(RandomState.now() if start is None else start.random).of_all(),
            weights=trainable_weights(trainer.model),
            best=None if course.best_step == trainer.state.global_step else trainer.best_weights,
            moments=_moments(trainer),
            method=_remembered(trainer),
        )

    def write(self, folder: Path) -> None:
        from safetensors.torch import save_file

        tensors = {WEIGHTS: self.weights, OPTIMIZER: self.moments, RANDOM: self.random.torch}
        if self.method:
            tensors[METHOD] = self.method
        if self.best is not None:
            tensors[BEST] = self.best
        for name, content in tensors.items():
            save_file({key: tensor.contiguous() for key, tensor in content.items()}, folder / name)
        progress = {
            "course": asdict(self.course),
            "trainer": self.trainer,
            "running_loss": self.running_loss,
            "last_logged_step": self.last_logged_step,
            "schedule": self.schedule,
            "learning_rates": self.learning_rates,
            "random": {"python": self.random.python, "numpy": self.random.numpy},
        }
        (folder / PROGRESS).write_text(json.dumps(progress, allow_nan=False), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "TrainingState":
        from safetensors.torch import load_file

        progress = json.loads((folder / PROGRESS).read_text(encoding="utf-8"))
        progress["course"] = Course(**progress["course"])
        progress["random"] = RandomState(**progress["random"], torch=load_file(folder / RANDOM))
        return cls(
            **progress,
            weights=load_file(folder / WEIGHTS),
            best=load_file(folder / BEST) if (folder / BEST).exists() else None,
            moments=load_file(folder / OPTIMIZER),
            method=load_file(folder / METHOD) if (folder / METHOD).exists() else {},
        )


def trainable_weights(model: Any) -> Tensors:
    """Every parameter that training changes, by name; shared ones once."""
    return whole({name: p.detach() for name, p in model.named_parameters() if p.requires_grad})


def put_weights(model: Any, weights: Tensors) -> None:
    """Copies ``weights`` into the parameters of the same names, which must be all that are trainable."""
    import torch

    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if parameters.keys() != weights.keys():
        raise ValueError("these weights belong to another model: the names of the parameters differ")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(like(weights[name], parameter))


def put_optimizer(trainer: Any, state: TrainingState) -> None:
    """Moments, rates and schedule as they were; the trainer has just made both anew."""
    parameters = dict(trainer.model.named_parameters())
    names = {id(p): name for name, p in parameters.items()}
    of_parameter: dict[str, Tensors] = {}
    for key, tensor in state.moments.items():
        parameter, _, moment = key.rpartition("/")
        # The count of steps is one number, whatever the parameter's shape.
        placed = like(tensor, parameters[parameter]) if tensor.dim() else tensor
        of_parameter.setdefault(parameter, {})[moment] = placed
    current = trainer.optimizer.state_dict()
    order = [id(p) for group in trainer.optimizer.param_groups for p in group["params"]]
    current["state"] = {
        index: of_parameter[names[one]] for index, one in enumerate(order) if names[one] in of_parameter
    }
    for group, rate in zip(current["param_groups"], state.learning_rates, strict=True):
        group["lr"] = rate
    trainer.optimizer.load_state_dict(current)
    trainer.lr_scheduler.load_state_dict(state.schedule)


def _remembered(trainer: Any) -> Tensors:
    method = trainer.method
    return {} if method is None or method.state is None else method.state.take(trainer.model)


def _moments(trainer: Any) -> Tensors:
    states = trainer.optimizer.state
    moments = {
        f"{name}/{moment}": tensor
        for name, parameter in trainer.model.named_parameters()
        if parameter.requires_grad and parameter in states
        for moment, tensor in states[parameter].items()
    }
    return whole(moments)
