"""Whether a model can read what its tokenizer writes: checked before a weight is loaded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_contracts.errors import InputError, Problem
from data_contracts.records.evidence import BaseModelRecord
from data_contracts.records.metrics import Task
from tasks.training.base_model import empty_model, generates_text


def require_readable_tokens(base: BaseModelRecord, tokenizer: Any, task: Task, max_tokens: int) -> None:
    """Returns only if every token has its embedding, every place its position, and rows can be padded.

    Raises:
        InputError: with everything that does not fit, and both figures of each.
    """
    model = empty_model(Path(base.folder), task)
    problems = [
        *_vocabulary(base, tokenizer, model),
        *_positions(base, model, max_tokens),
        *_padding(base, tokenizer, task),
    ]
    if problems:
        raise InputError(problems)


def _vocabulary(base: BaseModelRecord, tokenizer: Any, model: Any) -> Iterator[Problem]:
    embedding = model.get_input_embeddings()
    expected = int(embedding.num_embeddings)
    name = next(name for name, module in model.named_modules() if module is embedding)
    stored = _rows_stored(Path(base.folder), name)
    where = f"model.source {base.source}"
    if stored is not None and stored != expected:
        yield Problem(
            where=f"{where}, config.json",
            expected=f"vocab_size {stored:,}, the rows of the embedding matrix in the weights",
            found=f"vocab_size {expected:,}",
            remedy="take configuration and weights from one model, or resize its embeddings and save it anew",
        )
    rows = min(expected, stored or expected)
    ids = {int(index): token for token, index in tokenizer.get_vocab().items()}
    beyond = sorted(index for index in ids if index >= rows)
    if beyond:
        shown = ", ".join(f"{ids[index]!r} ({index:,})" for index in beyond[:3])
        yield Problem(
            where=f"{where}, tokenizer",
            expected=f"token ids below {rows:,}, the rows of the embedding matrix",
            found=f"a vocabulary up to {beyond[-1] + 1:,}, with {len(beyond):,} tokens beyond: {shown}",
            remedy="resize the embeddings (transformers' resize_token_embeddings) and save model and "
            "tokenizer together, or use the tokenizer that belongs to this model",
        )


def _rows_stored(folder: Path, name: str) -> int | None:
    """First dimension of the embedding matrix in the weights; ``None`` where it goes by another name."""
    from safetensors import safe_open

    # A checkpoint may hold the model with or without the prefix of its head.
    endings = tuple(f"{end}.weight" for end in (name, name.partition(".")[2]) if end)
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="numpy") as tensors:
            for key in tensors.keys():  # noqa: SIM118
                if key.endswith(endings):
                    return int(tensors.get_slice(key).get_shape()[0])
    return None


def _positions(base: BaseModelRecord, model: Any, max_tokens: int) -> Iterator[Problem]:
    """Models of RoBERTa's kind count positions from behind the padding's, so that some are never used."""
    for name, module in model.named_modules():
        before = getattr(module, "padding_idx", None)
        if not name.endswith("position_embeddings") or before is None:
            continue
        usable = int(module.num_embeddings) - int(before) - 1
        if usable < max_tokens:
            yield Problem(
                where="model.max_tokens",
                expected=f"at most {usable}, the positions that {base.architecture} can use",
                found=str(max_tokens),
                remedy=f"set model.max_tokens to {usable} or less",
            )


def _padding(base: BaseModelRecord, tokenizer: Any, task: Task) -> Iterator[Problem]:
    if task is Task.CLASSIFICATION and generates_text(base) and tokenizer.pad_token_id is None:
        yield Problem(
            where=f"model.source {base.source}, tokenizer",
            expected="a padding token, or an end of sequence to stand for it: by it a decoder with a "
            "classifier's head finds where each row ends",
            found="neither",
            remedy="set pad_token in the tokenizer's configuration, or choose another model",
        )
