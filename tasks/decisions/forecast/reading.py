"""Numbers out of a model's ``config.json``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Config:
    """The configuration, with the values that its model type has where the file is silent."""

    values: Mapping[str, Any]
    defaults: Mapping[str, Any]

    def number(self, name: str, otherwise: int | None = None) -> int:
        """A whole number.

        Raises:
            ValueError: neither the file nor the model type has one.
        """
        value = self.get(name)
        if value is None:
            value = otherwise
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"config.json: {name} should be a whole number, and is {value!r}")
        return value

    def share(self, name: str) -> float:
        return float(self.get(name) or 0.0)

    def flag(self, name: str) -> bool:
        return bool(self.get(name))

    def get(self, name: str) -> Any:
        value = self.values.get(name)
        return self.defaults.get(name) if value is None else value
