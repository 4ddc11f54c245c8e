"""How far a rule of thumb gets on syllables.jsonl: groups of vowels, less a silent e.

Run prepare.py first. The rule is what an engineer would try before any model.
"""

import json
import re
from pathlib import Path

MOST = 5


def syllables(word: str) -> int:
    """Groups of vowel letters; an e at the end is silent, but for -le and -ee, and so is one in -ed."""
    count = len(re.findall("[aeiouy]+", word))
    if word.endswith("e") and not word.endswith(("le", "ee")):
        count -= 1
    if word.endswith("ed") and not word.endswith(("ted", "ded", "eed")):
        count -= 1
    return min(max(count, 1), MOST)


def main() -> None:
    lines = Path(__file__).with_name("syllables.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    right = sum(str(syllables(row["text"])) == row["label"] for row in rows)
    print(f"{right:,} of {len(rows):,} words right: {right / len(rows):.3f}")


if __name__ == "__main__":
    main()
