"""What settings may say of scores beyond lorafirst's own."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from data_contracts.errors import InputError
from data_contracts.records.scoring import ReportedModule
from data_contracts.records.settings import RunSettings
from data_contracts.settings_file import load_settings

OWN = {"name": "polite", "function": "my.scores:polite", "higher_is_better": False, "maximum": 1.0}


def values(**changes: Any) -> dict[str, Any]:
    return {
        "name": "small",
        "task": "instruction",
        "model": {"source": "org/model"},
        "data": {"source": "rows.jsonl"},
        "policy": {"metric": "polite", "target": 0.2, "margin": 0.1},
        "scoring": {"custom": [OWN]},
        **changes,
    }


def test_a_metric_of_ones_own_is_part_of_the_policy_and_survives_being_written() -> None:
    settings = RunSettings.model_validate(values())
    assert settings.policy.measure.name == "polite" and not settings.policy.measure.higher_is_better
    assert settings.policy.lenient_target == 0.3
    assert RunSettings.model_validate(settings.model_dump(mode="json")) == settings
    assert RunSettings.model_validate_json(settings.model_dump_json()) == settings
    other = RunSettings.model_validate(values(scoring={"custom": [{**OWN, "maximum": 2.0}]}))
    assert other.policy.digest() != settings.policy.digest()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"scoring": {}}, "the names in scoring.custom"),
        ({"scoring": {"custom": [OWN, OWN]}}, "polite twice"),
        ({"scoring": {"custom": [{**OWN, "function": "my.scores"}]}}, "it takes package.module:function"),
        ({"policy": {"metric": "polite", "target": 2.0, "margin": 0.1}}, "range 0 to 1"),
        ({"policy": {"metric": "accuracy", "target": 0.5, "margin": 0.1}}, "chrf, polite"),
        (
            {
                "task": "classification",
                "policy": {
                    "metric": "accuracy",
                    "target": 0.5,
                    "margin": 0.1,
                    "guardrails": {"lm_eval": [{"task": "arc_easy", "margin": 0.1}]},
                },
            },
            "guardrails.lm_eval is about generated text",
        ),
        (
            {"policy": {**values()["policy"], "guardrails": {"lm_eval": [{"task": "a", "margin": 0.1}] * 2}}},
            "names a task and metric twice",
        ),
    ],
)
def test_what_cannot_be_is_told(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump(values(**changes)), encoding="utf-8")
    with pytest.raises(InputError) as error:
        load_settings(config)
    assert told in str(error.value)


def test_a_definition_that_contradicts_the_settings_is_refused() -> None:
    own = RunSettings.model_validate(values()).policy.own_metric
    policy = {"metric": "polite", "target": 0.2, "margin": 0.1, "own_metric": own}
    with pytest.raises(ValueError, match=r"not what scoring\.custom defines"):
        RunSettings.model_validate(values(policy=policy, scoring={}))


@pytest.mark.parametrize("module", ["hub:bertscore", "hub:bertscore@v1", "hub:ada/tone@1f3a", "m/tone.py"])
def test_modules_that_can_be_named(module: str) -> None:
    assert ReportedModule(module=module).name in ("bertscore", "tone")


@pytest.mark.parametrize("module", ["bertscore", "hub:ada/tone", "hub:", "m/tone", "https://x/tone.py"])
def test_code_of_others_needs_a_revision_and_nothing_is_guessed(module: str) -> None:
    with pytest.raises(ValueError, match="OWNER/NAME@REVISION"):
        ReportedModule(module=module)


def test_scripts_and_task_files_lie_beside_the_settings(tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    rails = {"lm_eval": [{"task": "tasks/a.yaml", "margin": 0.1}, {"task": "arc_easy", "margin": 0.1}]}
    content = values(
        policy={**values()["policy"], "guardrails": rails},
        scoring={"custom": [OWN], "report": [{"module": "m/tone.py"}, {"module": "hub:bertscore"}]},
    )
    config.write_text(yaml.safe_dump(content), encoding="utf-8")
    settings = load_settings(config)
    named = [rule.task for rule in settings.policy.guardrails.lm_eval]
    assert named == [str(tmp_path / "tasks" / "a.yaml"), "arc_easy"]
    modules = [each.module for each in settings.scoring.report]
    assert modules == [str(tmp_path / "m" / "tone.py"), "hub:bertscore"]
