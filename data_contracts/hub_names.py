"""Models and data sets on the Hugging Face hub, named ``org/name`` or ``org/name@revision``."""

import re

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")


def is_hub_name(source: str) -> bool:
    """Whether ``source`` has the form of a name on the hub; a relative path of two parts has it too."""
    return _HUB_NAME.fullmatch(source) is not None
