"""How long work tells whoever is watching how far it is, and what befell it."""

from typing import Protocol


class Progress(Protocol):
    """Told about the steps of one piece of work; must be cheap, and must never raise."""

    def __call__(self, done: int, total: int, what: str) -> None:
        """``done`` of ``total`` steps are finished; ``what`` names the work, as in ``train lora``."""


class Tell(Protocol):
    """Told in a sentence what a person should know although the work goes on; must never raise."""

    def __call__(self, sentence: str) -> None: ...


def silent(done: int, total: int, what: str) -> None:
    """A ``Progress`` for when nobody watches."""


def untold(sentence: str) -> None:
    """A ``Tell`` for when nobody watches."""
