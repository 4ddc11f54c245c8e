"""What plain loaders say of files with planted faults: nothing, an error, or an error that names a row.

They are run as they come, in processes of their own, because their requirements differ from ours.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.faults.files import FILES
from benchmarks.faults.planting import Fault, Rows

PLANTED_AT = (31, 83, 127, 190, 222)
"""Positions of the faulty rows, from 0, among ``GOOD`` rows."""
GOOD = 300
PEERS = ("trl", "llamafactory")

NOTHING, WARNING, ERROR, NAMED = VERDICTS = ("nothing", "warning", "error", "error_with_the_row")
"""What is said of a file; an error names the row if a number of a row or line in it is a faulty one's."""

_NUMBERED = re.compile(r"\b(?:row|line|example|index)\D{0,4}(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class PeerFile:
    """One file for the peers."""

    name: str
    fault: str
    content: bytes
    rows: int
    right: frozenset[int]
    """Numbers by which the faulty rows can be named: from 0, from 1, or as a line below a header."""


def files_for(forms: Mapping[str, tuple[Rows, Sequence[Fault]]]) -> list[PeerFile]:
    """A file for each fault of single rows, each with prompts and completions or with conversations.

    A text and its label are written as a prompt and its completion, since these loaders know no labels.
    """
    made: list[PeerFile] = []
    for form, (rows, faults) in forms.items():
        for fault in faults:
            if fault.alone:
                continue
            changed = [dict(row) for row in rows[:GOOD]]
            planted = fault.plant(changed, PLANTED_AT, Random(1))
            numbers = frozenset(row + shift for row in planted.allowed for shift in (0, 1))
            lines = [json.dumps(_renamed(row)).encode() + b"\n" for row in changed]
            kind = "conversation" if form == "conversation" else "pairs"
            name = f"{kind}-{len(made):03}.jsonl"
            made.append(PeerFile(name, f"{form}: {fault.name}", b"".join(lines), GOOD, numbers))
    good = [_renamed(row) for row in forms["text and label"][0][:GOOD]]
    for damaged in FILES:
        if damaged.file.endswith("zst"):
            continue
        content = damaged.write([{"text": r["prompt"], "label": r["completion"]} for r in good])
        content = content.replace(b'"text"', b'"prompt"').replace(b'"label"', b'"completion"')
        content = content.replace(b"text,label\n", b"prompt,completion\n")
        name = f"pairs-{len(made):03}.{damaged.file.partition('.')[2]}"
        made.append(PeerFile(name, f"file: {damaged.name}", content, GOOD, frozenset({6, 7, 8})))
    return made


def ask(peer: str, files: Sequence[PeerFile], tokenizer: Path, packages: Path | None) -> dict[str, Any]:
    """What ``peer`` says of every file; ``packages`` is a folder that it can be imported from."""
    with tempfile.TemporaryDirectory(prefix="lorafirst-peers-") as temporary:
        folder = Path(temporary)
        shutil.copytree(tokenizer, folder / "tokenizer", ignore=shutil.ignore_patterns("*.safetensors"))
        (folder / "files").mkdir()
        for file in files:
            (folder / "files" / file.name).write_bytes(file.content)
        paths = [str(packages)] if packages else []
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")]),
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_CACHE": str(folder / "cache"),
        }
        result = subprocess.run(
            [sys.executable, "-m", "benchmarks.faults.peer_loaders", peer, str(folder)],
            env=environment,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[2],
        )
    answers = [json.loads(line[5:]) for line in result.stdout.splitlines() if line.startswith("PEER ")]
    if not answers:
        last = (result.stderr.strip().splitlines() or ["nothing"])[-1]
        return {"could_not_run": last[:300]}
    by_name = {file.name: file for file in files}
    told = [_verdict(by_name[answer["file"]], answer) for answer in answers]
    return {
        "version": _version(peer, packages),
        "files": len(told),
        **{verdict: sum(entry["verdict"] == verdict for entry in told) for verdict in VERDICTS},
        "each": told,
    }


def _version(peer: str, packages: Path | None) -> str:
    """Of the package that was asked, from the folder where it lies or from this environment."""
    places = sys.path if packages is None else [str(packages)]
    found = next(iter(metadata.distributions(name=peer, path=places)), None)
    return "unknown" if found is None else found.version


def _verdict(file: PeerFile, answer: Mapping[str, Any]) -> dict[str, Any]:
    if "error" in answer:
        numbers = {int(number) for number in _NUMBERED.findall(answer["error"])}
        verdict = NAMED if numbers & file.right else ERROR
        return {"fault": file.fault, "verdict": verdict, "said": answer["error"]}
    kept = {"rows_kept": answer["rows"], "of": file.rows}
    if "warning" in answer:
        return {"fault": file.fault, "verdict": WARNING, **kept, "said": answer["warning"]}
    return {"fault": file.fault, "verdict": NOTHING, **kept}


def _renamed(row: Mapping[str, Any]) -> dict[str, Any]:
    names = {"text": "prompt", "label": "completion"}
    return {names.get(name, name): value for name, value in row.items() if name not in {"split", "group"}}
