"""Tasks of EleutherAI's lm-eval, by name or as a YAML file of one's own, scored document by document.

lm-eval is an extra, ``lorafirst[lm-eval]``, and is imported only where a policy names a task.
"""

import contextlib
import hashlib
import io
import itertools
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from data_contracts.errors import InputError
from data_contracts.records.rungs import Rung
from tasks.training.loading import Head, load_served
from tasks.training.quiet import quiet_libraries

_BATCH = 8
"""Documents at once."""


@dataclass(frozen=True)
class DocumentScores:
    """One metric of one task, a value for each document."""

    row_ids: tuple[str, ...]
    values: tuple[float, ...]
    higher_is_better: bool


def is_task_file(task: str) -> bool:
    return Path(task).suffix in (".yaml", ".yml")


def require_task(task: str, metric: str, *, where: str) -> bool:
    """Whether higher is better in ``metric``, once the task and its documents are there.

    Raises:
        InputError: lm-eval is not installed, or knows no such task, or the task no such metric.
    """
    if find_spec("lm_eval") is None:
        raise InputError.single(
            where,
            expected="lm-eval, which runs such tasks",
            found="it is not installed",
            remedy="pip install 'lorafirst[lm-eval]', or leave the guardrail out",
        )
    if is_task_file(task) and not Path(task).is_file():
        raise InputError.single(
            where,
            expected="a task's YAML file",
            found="no such file",
            remedy=f"check the path {task}",
        )
    directions = [_directions(each) for each in _loaded(task, where).values()]
    for known in directions:
        if metric not in known:
            raise InputError.single(
                where,
                expected=f"a metric of this task: {', '.join(sorted(known)) or 'it names none'}",
                found=metric,
                remedy="name one of these",
            )
    return directions[0][metric]


def task_digest(task: str, limit: int | None, *, where: str) -> str:
    """Digest of what is asked: each task's configuration, its documents and those it takes examples from.

    Raises:
        InputError: as ``require_task``.
    """
    running = hashlib.sha256()
    try:
        for name, each in sorted(_loaded(task, where).items()):
            asked = itertools.islice(each.eval_docs, limit)
            shown = each.fewshot_docs() if each.get_config("num_fewshot") else ()
            for content in ([name, each.dump_config()], *asked, *(shown or ())):
                running.update(json.dumps(content, sort_keys=True, default=str).encode())
    except InputError:
        raise
    except Exception as error:
        raise _refused(where, error) from error
    return "sha256:" + running.hexdigest()


def score_task(
    *,
    base: Path,
    artifact: Path | None,
    rung: Rung,
    head: Head,
    tokenizer: Any,
    task: str,
    metric: str,
    limit: int | None,
    where: str,
) -> DocumentScores:
    """The artifact as it would be served (``None``: the bare base), on the first ``limit`` documents of each
    task. Prompts are the task's own, without a chat template.

    Raises:
        InputError: as ``require_task``; or lm-eval refuses, or gives no number for a document.
    """
    higher_is_better = require_task(task, metric, where=where)
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM

    model = load_served(base, artifact, head, rung)
    try:
        with _quiet_lm_eval():
            found = simple_evaluate(
                model=HFLM(pretrained=model, tokenizer=tokenizer, batch_size=_BATCH),
                tasks=[task],
                task_manager=_manager(task),
                limit=limit,
                bootstrap_iters=0,
                log_samples=True,
            )
    except Exception as error:
        raise _refused(where, error) from error
    documents = dict(_documents(found["samples"], metric))
    if not documents:
        raise _refused(where, ValueError("no document was scored"))
    return DocumentScores(tuple(documents), tuple(documents.values()), higher_is_better)


def _documents(samples: Mapping[str, Any], metric: str) -> Iterator[tuple[str, float]]:
    """Of each document under its task's first filter; a task may look at the same answer in several ways."""
    for name, lines in samples.items():
        first = lines[0]["filter"] if lines else None
        for line in sorted(lines, key=lambda line: int(line["doc_id"])):
            if line["filter"] == first:
                yield f"{name}/{line['doc_id']}", float(line[metric])


def _loaded(task: str, where: str) -> Mapping[str, Any]:
    try:
        with _quiet_lm_eval():
            tasks: Mapping[str, Any] = _manager(task).load([task])["tasks"]
    except Exception as error:
        raise _refused(where, error) from error
    return tasks


def _manager(task: str) -> Any:
    from lm_eval.tasks import TaskManager

    return TaskManager(include_defaults=False) if is_task_file(task) else _all_tasks()


@cache
def _all_tasks() -> Any:
    """Reading lm-eval's own thousands of task files takes seconds."""
    from lm_eval.tasks import TaskManager

    return TaskManager()


def _directions(task: Any) -> dict[str, bool]:
    return {str(name): bool(value) for name, value in task.higher_is_better().items()}


def _refused(where: str, error: Exception) -> InputError:
    return InputError.single(
        where,
        expected="a task that lm-eval can run here, with its documents at hand",
        found=f"{type(error).__name__}: {str(error)[:300]}",
        remedy="check the name (`lm-eval ls tasks`), the file, and whether its data set is reachable",
    )


@contextlib.contextmanager
def _quiet_lm_eval() -> Iterator[None]:
    """Its warnings are about its command line, and its bars cannot be switched off."""
    names = ("lm_eval", "lm-eval")
    levels = {name: logging.getLogger(name).level for name in names}
    try:
        for name in names:
            logging.getLogger(name).setLevel(logging.ERROR)
        with quiet_libraries(), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
