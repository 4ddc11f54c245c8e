"""What makes the same work again a new question, and what does not."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data_contracts.records.settings import RunSettings
from tasks.stages import looks
from tests.tasks.stages.test_forecasting import settings


def inputs(asked: RunSettings) -> str:
    record = SimpleNamespace(digest=lambda: "snapshot")
    findings: Any = SimpleNamespace(
        base=SimpleNamespace(identity=lambda: "base"), snapshot=SimpleNamespace(record=record), replay=None
    )
    context: Any = SimpleNamespace(settings=asked)
    return looks.inputs_of(context, findings)


def changed(asked: RunSettings, part: str, **values: Any) -> RunSettings:
    return asked.model_copy(update={part: getattr(asked, part).model_copy(update=values)})


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("training", {"checkpoint_minutes": 1.0}),
        ("training", {"checkpoint_steps": 7}),
        ("compute", {"processes": 2}),
    ],
)
def test_what_changes_no_weights_is_no_new_look(tmp_path: Path, part: str, values: dict[str, Any]) -> None:
    asked = settings(tmp_path)
    assert inputs(changed(asked, part, **values)) == inputs(asked)


@pytest.mark.parametrize(
    ("part", "values"),
    [("training", {"max_steps": 3}), ("pilot", {"rank": 4}), ("full", {"layers": 1})],
)
def test_what_changes_them_is(tmp_path: Path, part: str, values: dict[str, Any]) -> None:
    asked = settings(tmp_path)
    assert inputs(changed(asked, part, **values)) != inputs(asked)
