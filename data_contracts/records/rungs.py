"""Names of the rungs of the ladder: one training method each.

The names are open, because installed packages may bring rungs of their own (``docs/rungs.md``); those that
lorafirst brings are named here.
"""

import re
from typing import Any, ClassVar

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")


class Rung(str):
    """The name of one training method; the bare base is rung zero.

    Raises:
        ValueError: not a lower-case letter followed by at most 39 lower-case letters, digits or underscores.
    """

    __slots__ = ()

    BASELINE: ClassVar["Rung"]
    """Nothing of the base was trained."""
    LORA: ClassVar["Rung"]
    """Low-rank updates of linear layers (Hu et al., 2021)."""
    RSLORA: ClassVar["Rung"]
    """LoRA with the scale alpha / sqrt(rank), so that high ranks keep learning (Kalajdzievski, 2023)."""
    DORA: ClassVar["Rung"]
    """LoRA on the direction of the weights, their magnitude trained apart (Liu et al., 2024)."""
    PISSA: ClassVar["Rung"]
    """LoRA that begins with the weights' principal singular vectors (Meng et al., 2024)."""
    ADALORA: ClassVar["Rung"]
    """LoRA whose rank is dealt out over the layers while it is trained (Zhang et al., 2023)."""
    QLORA: ClassVar["Rung"]
    """LoRA on a base in 4-bit NF4 with double quantisation (Dettmers et al., 2023)."""
    ADAPTER: ClassVar["Rung"]
    """Bottleneck layers after attention and feed-forward (Houlsby et al., 2019)."""
    FULL: ClassVar["Rung"]
    """Every weight."""
    LAYERS: ClassVar["Rung"]
    """Every weight of some transformer blocks."""
    HYBRID: ClassVar["Rung"]
    """The pilot merged into the base, then every weight of the blocks it changed most."""

    def __new__(cls, name: str) -> "Rung":
        if not _NAME.match(name):
            raise ValueError(
                f"{name!r} cannot name a rung: a lower-case letter, then at most 39 lower-case letters, "
                "digits or underscores"
            )
        return super().__new__(cls, name)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls, core_schema.str_schema(), serialization=core_schema.to_string_ser_schema()
        )


Rung.BASELINE = Rung("baseline")
Rung.LORA = Rung("lora")
Rung.RSLORA = Rung("rslora")
Rung.DORA = Rung("dora")
Rung.PISSA = Rung("pissa")
Rung.ADALORA = Rung("adalora")
Rung.QLORA = Rung("qlora")
Rung.ADAPTER = Rung("adapter")
Rung.FULL = Rung("full")
Rung.LAYERS = Rung("layers")
Rung.HYBRID = Rung("hybrid")

OWN_RUNGS = frozenset(value for value in vars(Rung).values() if isinstance(value, Rung))
"""Those that lorafirst brings."""
RUNG_GROUP = "lorafirst.rungs"
"""The entry point group in which installed packages offer theirs."""
LORA_FAMILY = (Rung.LORA, Rung.RSLORA, Rung.DORA, Rung.PISSA, Rung.ADALORA, Rung.QLORA)
"""Methods that give every adapted linear layer a pair of matrices of its own. A shortfall of any other method
(bottlenecks, or one that somebody added) says nothing of LoRA, which then gets its turn."""
ADALORA_START = 1.5
"""AdaLoRA begins with this many times its final mean rank (Zhang et al., 2023, appendix: 12 to 8)."""
