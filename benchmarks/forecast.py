"""Forecast against measured peak memory: real trainings, each in its own process.

Each process first imports what a run of the pipeline has imported when it trains, so that its resident memory
is that of a run. Beside our forecast stand accelerate's ``estimate-memory`` and the usual 16 bytes a
parameter (4 for an adapter's frozen base).

    python -m benchmarks.forecast            forecasts anew, and measures what the file lacks
    python -m benchmarks.forecast --fresh    measures everything again
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.forecasts.configurations import CONFIGURATIONS, MODELS, Configuration
from benchmarks.forecasts.figures import estimates, forecast_of
from benchmarks.machine import machine

RESULT = Path(__file__).with_suffix(".json")
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="measure everything again")
    known = {} if parser.parse_args().fresh else _measured_before()
    lines: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="forecast-benchmark-") as work:
        for configuration in CONFIGURATIONS:
            folder = MODELS[configuration.model].folder(Path(work))
            measured = known.get(configuration.name) or _measure(configuration, folder)
            lines.append(_line(configuration, folder, measured))
            line = lines[-1]
            print(
                f"{line['name']:24} {line['measured_bytes'] / 1e6:6.0f} MB, ratio {line['ratio']}", flush=True
            )
            # Written each time: an interrupted benchmark goes on where it was.
            RESULT.write_text(json.dumps(_result(lines), indent=2) + "\n", encoding="utf-8")
    print(json.dumps(_summary(lines), indent=2))


def _measured_before() -> dict[str, dict[str, Any]]:
    if not RESULT.exists():
        return {}
    lines = json.loads(RESULT.read_text(encoding="utf-8"))["configurations"]
    names = {each.name: asdict(each) for each in CONFIGURATIONS}
    return {
        line["name"]: {
            "peak_memory_bytes": line["measured_bytes"],
            "trained_parameters": line["trained_parameters"]["measured"],
            "processor_seconds_a_step": line["processor_seconds_a_step"],
        }
        for line in lines
        if line.items() >= names.get(line["name"], {"name": None}).items()
    }


def _measure(configuration: Configuration, folder: Path) -> dict[str, Any]:
    """What one training took in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.forecasts.training", str(folder)]
    done = subprocess.run(
        [*command, json.dumps(asdict(configuration))],
        env={**os.environ, **_ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{configuration.name} failed:\n{done.stderr[-3000:]}")
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _line(configuration: Configuration, folder: Path, measured: dict[str, Any]) -> dict[str, Any]:
    foreseen = forecast_of(configuration, folder)
    peak = measured["peak_memory_bytes"]
    parts = foreseen.memory
    others = estimates(foreseen, folder)
    return {
        **asdict(configuration),
        "parameters": foreseen.total_parameters,
        "trained_parameters": {
            "forecast": foreseen.trained_parameters,
            "measured": measured["trained_parameters"],
        },
        "measured_bytes": peak,
        "forecast_bytes": foreseen.peak_memory_bytes,
        "ratio": round(foreseen.peak_memory_bytes / peak, 3),
        "ratio_without_libraries": round(
            (foreseen.peak_memory_bytes - parts.libraries_bytes) / (peak - parts.libraries_bytes), 3
        ),
        "accelerate_bytes": others.accelerate,
        "ratio_of_accelerate": round(others.accelerate / peak, 3),
        "sixteen_bytes": others.sixteen_bytes,
        "ratio_of_sixteen_bytes": round(others.sixteen_bytes / peak, 3),
        "parts": parts.model_dump(mode="json"),
        "processor_seconds_a_step": measured["processor_seconds_a_step"],
    }


def _summary(lines: list[dict[str, Any]]) -> dict[str, Any]:
    held_out = [line for line in lines if line["held_out"]]

    def errors(name: str, among: list[dict[str, Any]] = lines) -> dict[str, float]:
        sizes = [abs(line[name] - 1.0) for line in among]
        within = sum(size <= 0.10 for size in sizes)
        return {
            "median_error": round(statistics.median(sizes), 3),
            "worst_error": round(max(sizes), 3),
            "within_10_percent": within,
        }

    return {
        "configurations": len(lines),
        "trained_parameters_exact": sum(
            line["trained_parameters"]["forecast"] == line["trained_parameters"]["measured"] for line in lines
        ),
        "lorafirst": errors("ratio"),
        "lorafirst_held_out": errors("ratio", held_out) if held_out else None,
        "lorafirst_beyond_the_libraries": errors("ratio_without_libraries"),
        "accelerate_estimate_memory": errors("ratio_of_accelerate"),
        "sixteen_bytes_a_parameter": errors("ratio_of_sixteen_bytes"),
    }


def _result(lines: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "what": "peak resident memory (VmHWM) of a fresh process that trains, against the forecast made from "
        "config.json",
        "summary": _summary(lines),
        "configurations": lines,
        "machine": machine("torch", "transformers", "peft", "bitsandbytes", "accelerate"),
    }


if __name__ == "__main__":
    main()
