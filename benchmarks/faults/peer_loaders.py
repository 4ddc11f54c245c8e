"""Runs in a process of its own: what the loaders of trl or LLaMA-Factory make of some files.

    python -m benchmarks.faults.peer_loaders trl FOLDER

FOLDER holds ``tokenizer/`` and files; for each file a line of JSON is printed: how many rows came out of the
loader, what it warned of, or what it raised. Nothing is trained.
"""

import importlib.machinery
import json
import os
import re
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MAX_TOKENS = 128

Load = Callable[[Path], int]
"""The number of rows that would be trained on."""


def trl_loader(folder: Path) -> Load:
    """SFTTrainer with its defaults on a tiny model; rows as ``datasets`` reads them."""
    import datasets
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
    from trl import SFTConfig, SFTTrainer

    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
        )
    )

    def load(path: Path) -> int:
        rows = datasets.load_dataset(_builder(path), data_files=str(path), split="train")
        options = SFTConfig(
            output_dir=str(folder / "trl"), max_length=MAX_TOKENS, use_cpu=True, bf16=False, report_to="none"
        )
        trainer = SFTTrainer(model=model, args=options, train_dataset=rows, processing_class=tokenizer)
        return len(trainer.train_dataset)

    return load


def llamafactory_loader(folder: Path) -> Load:
    """LLaMA-Factory's ``get_dataset`` with a plain template."""
    # Its text loader imports an audio library that it then does not use.
    audio = types.ModuleType("torchaudio")
    audio.__spec__ = importlib.machinery.ModuleSpec("torchaudio", None)
    sys.modules.setdefault("torchaudio", audio)
    os.environ["DISABLE_VERSION_CHECK"] = "1"
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments, ModelArguments
    from transformers import AutoTokenizer, Seq2SeqTrainingArguments

    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    model = ModelArguments(model_name_or_path=str(folder / "tokenizer"))
    training = Seq2SeqTrainingArguments(output_dir=str(folder / "lf"), use_cpu=True, report_to="none")

    def load(path: Path) -> int:
        talks = path.name.startswith("conversation")
        described: dict[str, Any] = {"file_name": path.name, "formatting": "sharegpt" if talks else "alpaca"}
        if talks:
            described["columns"] = {"messages": "messages"}
            described["tags"] = {
                "role_tag": "role", "content_tag": "content", "user_tag": "user",
                "assistant_tag": "assistant", "system_tag": "system",
            }  # fmt: skip
        else:
            described["columns"] = {"prompt": "prompt", "response": "completion"}
        (path.parent / "dataset_info.json").write_text(json.dumps({"rows": described}), encoding="utf-8")
        data = DataArguments(
            dataset="rows", dataset_dir=str(path.parent), cutoff_len=MAX_TOKENS, template="default",
            overwrite_cache=True,
        )  # fmt: skip
        template = get_template_and_fix_tokenizer(tokenizer, data)
        return len(
            get_dataset(template, model, data, training, stage="sft", tokenizer=tokenizer)["train_dataset"]
        )

    return load


_WARNS = re.compile("invalid|drop|skip|truncat|empty", re.IGNORECASE)


@contextmanager
def _written() -> Iterator[Callable[[], list[str]]]:
    """What the block writes to the standard streams, by whatever means, as lines."""
    with tempfile.TemporaryFile() as file:
        kept = {number: os.dup(number) for number in (1, 2)}
        sys.stdout.flush()
        for number in kept:
            os.dup2(file.fileno(), number)
        lines: list[str] = []
        try:
            yield lambda: lines
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, descriptor in kept.items():
                os.dup2(descriptor, number)
                os.close(descriptor)
            file.seek(0)
            lines += file.read().decode("utf-8", errors="replace").replace("\r", "\n").splitlines()


def _builder(path: Path) -> str:
    return {".csv": "csv", ".parquet": "parquet"}.get(path.suffix, "json")


def _said(raised: BaseException) -> str:
    """What was raised, and what that came from."""
    parts: list[str] = []
    error: BaseException | None = raised
    while error is not None and len(parts) < 4:
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        parts.append(f"{type(error).__name__}: {first}"[:300])
        error = error.__cause__ or error.__context__
    return " <- ".join(parts)


def main(peer: str, folder: Path) -> None:
    load = {"trl": trl_loader, "llamafactory": llamafactory_loader}[peer](folder)
    for path in sorted((folder / "files").iterdir()):
        if path.name == "dataset_info.json":
            continue
        found: dict[str, Any] = {"file": path.name}
        with _written() as written:
            try:
                found["rows"] = load(path)
            except Exception as error:  # whatever it raises is what it says
                found["error"] = _said(error)
        warnings = [line for line in written() if _WARNS.search(line)]
        if warnings:
            found["warning"] = warnings[0][:300]
        print("PEER " + json.dumps(found), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
