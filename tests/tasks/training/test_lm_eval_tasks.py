"""Tasks of lm-eval from a file, without a network; a real model answers them document by document."""

import json
from pathlib import Path

import pytest

from data_contracts.errors import InputError
from data_contracts.records.evidence import BaseModelRecord
from data_contracts.records.metrics import Task
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import PilotSettings
from tasks.data.tokens.tokenization import load_tokenizer
from tasks.training import lm_eval_tasks
from tasks.training.lm_eval_tasks import DocumentScores, require_task, score_task
from tasks.training.loading import Head
from tasks.training.rungs import PilotRung, prepare

QUESTIONS = [
    ("The capital of France is", ["Paris", "Berlin", "cheese"], 0),
    ("The opposite of hot is", ["seven", "cold", "Tuesday"], 1),
    ("Two plus two is", ["four", "blue", "river"], 0),
    # The right answer here is nobody's guess.
    ("Water is made of hydrogen and", ["oxygen", "trombones", "sand"], 1),
]

YAML = """
task: small_questions
dataset_path: json
dataset_kwargs:
  data_files:
    test: {data}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: choices
doc_to_target: right
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
"""


@pytest.fixture
def task(tmp_path: Path) -> Path:
    pytest.importorskip("lm_eval", reason="lm-eval comes with the extra lm-eval")
    data = tmp_path / "rows.jsonl"
    lines = [{"question": text, "choices": choices, "right": right} for text, choices, right in QUESTIONS]
    data.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    path = tmp_path / "small_questions.yaml"
    path.write_text(YAML.format(data=data), encoding="utf-8")
    return path


def score(
    base: BaseModelRecord, task: Path, artifact: Path | None, limit: int | None = None
) -> DocumentScores:
    folder = Path(base.folder)
    return score_task(
        base=folder,
        artifact=artifact,
        rung=Rung.LORA if artifact else Rung.BASELINE,
        head=Head(Task.INSTRUCTION, ()),
        tokenizer=load_tokenizer(folder),
        task=str(task),
        metric="acc",
        limit=limit,
        where="here",
    )


@pytest.mark.slow
def test_base_and_adapter_are_scored_document_by_document(
    smollm2: BaseModelRecord, task: Path, tmp_path: Path
) -> None:
    base = score(smollm2, task, None)
    assert base.higher_is_better
    assert base.row_ids == tuple(f"small_questions/{number}" for number in range(4))
    assert base.values == (1.0, 1.0, 1.0, 0.0)
    model = prepare(
        Path(smollm2.folder), Head(Task.INSTRUCTION, ()), PilotRung(PilotSettings(rank=2)), seed=1
    ).model
    model.save_pretrained(tmp_path / "adapter")
    # A new adapter changes nothing, so what is loaded with it answers as the base does.
    assert score(smollm2, task, tmp_path / "adapter", limit=3).values == base.values[:3]


@pytest.mark.slow
def test_what_lm_eval_does_not_have_is_told_before_a_model_is_loaded(task: Path) -> None:
    assert require_task(str(task), "acc", where="here")
    with pytest.raises(InputError, match="a metric of this task: acc"):
        require_task(str(task), "bleu", where="here")
    with pytest.raises(InputError, match="no such file"):
        require_task(str(task.with_name("other.yaml")), "acc", where="here")
    with pytest.raises(InputError, match="lm-eval ls tasks"):
        require_task("no_such_task_anywhere", "acc", where="here")
    task.write_text(task.read_text(encoding="utf-8").replace("rows.jsonl", "gone.jsonl"), encoding="utf-8")
    with pytest.raises(InputError, match=r"gone\.jsonl"):
        require_task(str(task), "acc", where="here")


def test_without_lm_eval_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lm_eval_tasks, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'lorafirst\[lm-eval\]'"):
        require_task("arc_easy", "acc", where="here")
