"""The stage of a task of lm-eval: stored by what the task says, reused, and in the dossier."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from data_contracts.records.evidence import BaseModelRecord
from data_contracts.records.metrics import Task
from data_contracts.records.policy import LmEvalRule
from data_contracts.records.settings import Precision
from tasks.evidence.dossier import Dossier
from tasks.evidence.store import StageStore
from tasks.stages.findings import Findings
from tasks.stages.lm_eval import lm_eval_stage
from tests.tasks.training.test_lm_eval_tasks import task  # noqa: F401 - a fixture


@pytest.mark.slow
def test_a_task_is_scored_once_and_anew_when_what_it_asks_changes(
    smollm2: BaseModelRecord,
    task: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    dossier = Dossier(tmp_path / "run")
    dossier.folder.mkdir()
    asked = SimpleNamespace(model=SimpleNamespace(precision=Precision.FLOAT32))
    context: Any = SimpleNamespace(store=StageStore(tmp_path / "store"), dossier=dossier, settings=asked)
    snapshot = SimpleNamespace(record=SimpleNamespace(task=Task.INSTRUCTION, labels=()))
    findings = Findings(base=smollm2, snapshot=cast(Any, snapshot))
    rule = LmEvalRule(task=str(task), margin=0.1, limit=2)
    first = lm_eval_stage.fn(context, findings, rule, None)
    assert not first.reused and first.record.values == (1.0, 1.0) and first.record.higher_is_better
    assert (dossier.folder / "baseline" / "lm-eval-small_questions-acc" / "evidence.json").is_file()
    assert lm_eval_stage.fn(context, findings, rule, None).reused
    rows = task.with_name("rows.jsonl")
    # The third document is beyond the limit.
    rows.write_text(rows.read_text(encoding="utf-8").replace("Two plus two", "Two and two"), encoding="utf-8")
    assert lm_eval_stage.fn(context, findings, rule, None).reused
    rows.write_text(rows.read_text(encoding="utf-8").replace('"right": 0', '"right": 2'), encoding="utf-8")
    again = lm_eval_stage.fn(context, findings, rule, None)
    assert not again.reused and again.record.values == (0.0, 1.0)
