"""What the pipeline costs around training: the same work as a plain script and through the flow.

    python -m benchmarks.overhead

Both arms do the whole job of ``examples/trec6``: read the same rows, split them, fit the linear probe,
train the same LoRA pilot with transformers and peft, and score it on tune and, like the probe, on the
gate rows, loaded again from disk. The plain script uses transformers, peft and scikit-learn directly and
nothing of lorafirst: no contract, no store, no evidence, no decision, no Prefect. It is given the rows of
the flow's snapshot, so that both train on the same data, in the same order.

The arms alternate, each in a fresh process and in a fresh folder. The flow's runs are what a user types:
each starts a local API of its own. That start (from nothing until it answers) is also timed alone, and
``ratio_wall`` is the flow's wall time *less* the median start, over the plain script's. The run imports
its libraries while the API starts beside it, so part of what it costs is hidden there; what a user waits
for is ``ratio_wall_with_start``. Processor seconds are those of the run's own process, without the API's.
Timed last is an unchanged rerun.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "trec6"
RESULT = Path(__file__).with_name("overhead.json")


def plain(settings_file: str, snapshot: str, folder: str) -> None:
    """The job as somebody would write it without a pipeline. Prints its own figures as JSON."""
    import numpy as np
    import pandas as pd
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from transformers import (
        AutoModel,
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    settings = json.loads(Path(settings_file).read_text(encoding="utf-8"))
    model_folder, training, pilot = settings["folder"], settings["training"], settings["pilot"]
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    frames = {name: pd.read_parquet(Path(snapshot) / f"{name}.parquet") for name in ("train", "tune", "gate")}
    labels = sorted(set(frames["train"]["label"]))
    rows: dict[str, list[dict[str, Any]]] = {}
    for name, frame in frames.items():
        ids = tokenizer(list(frame["text"]), truncation=True, max_length=settings["max_tokens"])["input_ids"]
        rows[name] = [
            {"input_ids": each, "labels": labels.index(label)}
            for each, label in zip(ids, frame["label"], strict=True)
        ]

    def by_length(part: list[dict[str, Any]]) -> list[int]:
        return sorted(range(len(part)), key=lambda index: len(part[index]["input_ids"]))

    collate = DataCollatorWithPadding(tokenizer)

    def batches(part: list[dict[str, Any]], size: int = 128) -> Any:
        order = by_length(part)
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            yield chosen, collate([part[index] for index in chosen])

    encoder = AutoModel.from_pretrained(model_folder, dtype=torch.float32).eval()

    def embed(part: list[dict[str, Any]]) -> Any:
        features = np.empty((len(part), encoder.config.hidden_size))
        with torch.inference_mode():
            for chosen, batch in batches(part):
                mask = batch["attention_mask"]
                hidden = encoder(input_ids=batch["input_ids"], attention_mask=mask).last_hidden_state
                features[chosen] = ((hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)).numpy()
        return features

    features = {name: embed(part) for name, part in rows.items()}
    truth = {name: np.array([row["labels"] for row in part]) for name, part in rows.items()}
    probes = []
    for strength in (0.1, 1.0, 10.0, 100.0):
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1_000))
        probe.fit(features["train"], truth["train"])
        probes.append((probe.score(features["tune"], truth["tune"]), -strength, probe))
    baseline = float(max(probes, key=lambda each: each[:2])[2].score(features["gate"], truth["gate"]))

    set_seed(settings["seed"])
    model = AutoModelForSequenceClassification.from_pretrained(
        model_folder, num_labels=len(labels), dtype=torch.float32
    )
    model = get_peft_model(
        model,
        LoraConfig(
            r=pilot["rank"],
            lora_alpha=pilot["alpha"],
            lora_dropout=pilot["dropout"],
            target_modules=pilot["target_modules"],
            task_type="SEQ_CLS",
        ),
    )
    order = settings["order"]
    every = settings["curve_every"]
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=folder,
            max_steps=settings["steps"],
            per_device_train_batch_size=training["micro_batch_size"],
            per_device_eval_batch_size=32,
            learning_rate=pilot["learning_rate"],
            lr_scheduler_type="linear",
            warmup_steps=settings["warmup_steps"],
            max_grad_norm=training["maximum_gradient_norm"],
            optim="adamw_torch_fused",
            train_sampling_strategy="sequential",
            eval_strategy="steps",
            eval_steps=every,
            logging_steps=every,
            save_strategy="no",
            use_cpu=True,
            report_to="none",
            disable_tqdm=True,
            seed=settings["seed"],
        ),
        train_dataset=[rows["train"][index] for index in order],
        eval_dataset=[rows["tune"][index] for index in by_length(rows["tune"])],
        data_collator=collate,
    )
    trainer.evaluate()
    began = time.monotonic()
    trainer.train()
    training_seconds = time.monotonic() - began
    model.save_pretrained(f"{folder}/adapter", save_embedding_layers=False)

    served = AutoModelForSequenceClassification.from_pretrained(
        model_folder, num_labels=len(labels), dtype=torch.float32
    )
    served = PeftModel.from_pretrained(served, f"{folder}/adapter").eval()

    def accuracy(name: str) -> float:
        right = 0
        with torch.inference_mode():
            for chosen, batch in batches(rows[name]):
                right += int((served(**batch).logits.argmax(1).numpy() == truth[name][chosen]).sum())
        return right / len(rows[name])

    accuracy("tune")
    print(
        json.dumps(
            {
                "accuracy": accuracy("gate"),
                "baseline": baseline,
                "training_seconds": training_seconds,
                "steps": trainer.state.global_step,
            }
        )
    )


def timed(command: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """Runs one arm; wall and processor seconds of the process and its children, and its last JSON."""
    before = os.times()
    began = time.monotonic()
    result = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    wall = time.monotonic() - began
    after = os.times()
    if result.returncode != 0:
        raise SystemExit(result.stdout + result.stderr)
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    # The flow prints one document; the plain arm's Trainer prints lines of its own before it.
    document = result.stdout if result.stdout.startswith("{\n") else result.stdout.splitlines()[-1]
    return {"wall": wall, "processor": processor, "output": json.loads(document)}


def start_of_local_api(environment: dict[str, str]) -> float:
    """Seconds from nothing until Prefect's API answers, in a process of its own."""
    script = (
        "import time; began = time.monotonic()\n"
        "from flows.local_api import start_unless_configured\n"
        "api = start_unless_configured(); api.wait()\n"
        "print('{\"seconds\": %.3f}' % (time.monotonic() - began))\n"
    )
    return float(timed([sys.executable, "-c", script], environment)["output"]["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="counted runs of each arm")
    arguments = parser.parse_args()

    import flows  # noqa: F401 - the environment both arms run in
    from benchmarks.machine import machine
    from data_contracts.settings_file import load_settings
    from tasks.training.base_model import resolve_base_model
    from tasks.training.fit import planned_steps
    from tasks.training.order import training_order

    settings = load_settings(EXAMPLE / "lorafirst.yaml")
    subprocess.run([sys.executable, EXAMPLE / "prepare.py"], check=True, stdout=subprocess.DEVNULL)
    work = Path(tempfile.mkdtemp(prefix="lorafirst-overhead-"))
    environment = {key: value for key, value in os.environ.items() if key != "PREFECT_API_URL"}
    environment |= {"PREFECT_HOME": str(work / "prefect"), "HF_HUB_OFFLINE": "1"}
    flow_command = [
        sys.executable,
        "-m",
        "flows.command_line",
        "run",
        str(EXAMPLE / "lorafirst.yaml"),
        "--json",
    ]

    # Not counted: fills the page cache and Prefect's database, and gives the plain arm its rows.
    warm = timed([*flow_command, "--output", str(work / "warm")], environment)
    dossier = Path(warm["output"]["dossier"])
    api_seconds = [start_of_local_api(environment) for _ in range(arguments.runs)]
    import pandas as pd

    base = resolve_base_model(settings.model.source, work)
    train = pd.read_parquet(dossier / "snapshot" / "train.parquet")
    from transformers import AutoTokenizer

    ids = AutoTokenizer.from_pretrained(base.folder)(list(train["text"]), truncation=True, max_length=64)
    steps = planned_steps(len(train), settings.training)
    plan = work / "plan.json"
    plan.write_text(
        json.dumps(
            {
                "folder": base.folder,
                "max_tokens": settings.model.max_tokens,
                "training": settings.training.model_dump(mode="json"),
                "pilot": settings.pilot.model_dump(mode="json"),
                "seed": settings.seed,
                "steps": steps,
                "warmup_steps": -(-steps * 5 // 100),
                "curve_every": -(-steps // settings.training.curve_points),
                "order": training_order(
                    [len(each) for each in ids["input_ids"]],
                    steps=steps,
                    batch_size=settings.training.effective_batch_size,
                    seed=settings.seed,
                ),
            }
        ),
        encoding="utf-8",
    )
    arms: dict[str, list[dict[str, Any]]] = {"plain": [], "flow": []}
    for number in range(arguments.runs):
        folder = work / f"plain-{number}"
        snapshot = str(dossier / "snapshot")
        arms["plain"].append(
            timed(
                [sys.executable, "-m", "benchmarks.overhead", "--plain", str(plan), snapshot, str(folder)],
                environment,
            )
        )
        arms["flow"].append(timed([*flow_command, "--output", str(work / f"flow-{number}")], environment))
        print({name: round(runs[-1]["wall"], 1) for name, runs in arms.items()}, flush=True)
    rerun = timed([*flow_command, "--output", str(work / "flow-0")], environment)

    quality = next(d for d in warm["output"]["decisions"] if d["gate"] == "quality")
    flow_accuracy = next(r for r in quality["rules"] if r["name"] == "level")["interval"]["mean"]
    median = {
        name: {key: round(statistics.median(run[key] for run in runs), 1) for key in ("wall", "processor")}
        for name, runs in arms.items()
    }
    api = statistics.median(api_seconds)
    result = {
        "what": "examples/trec6, whole job, fresh processes and folders, arms alternating",
        "counted_runs_of_each_arm": arguments.runs,
        "plain_seconds": median["plain"],
        "flow_seconds": median["flow"],
        "wall_seconds_of_each_run": {
            name: [round(run["wall"], 1) for run in runs] for name, runs in arms.items()
        },
        "start_of_local_api_seconds": round(api, 1),
        "ratio_wall": round((median["flow"]["wall"] - api) / median["plain"]["wall"], 3),
        "ratio_wall_with_start": round(median["flow"]["wall"] / median["plain"]["wall"], 3),
        "ratio_processor": round(median["flow"]["processor"] / median["plain"]["processor"], 3),
        "unchanged_rerun_with_start_of_api_wall_seconds": round(rerun["wall"], 1),
        "gate_accuracy": {
            "plain": round(arms["plain"][0]["output"]["accuracy"], 4),
            "flow": round(flow_accuracy, 4),
        },
        "steps": {"plain": arms["plain"][0]["output"]["steps"], "flow": steps},
        "machine": machine("torch", "transformers", "peft", "prefect"),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))
    shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--plain"]:
        plain(*sys.argv[2:5])
    else:
        main()
