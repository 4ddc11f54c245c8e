"""What is deployed exists, is named by module, and brings a form made from the settings."""

import importlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_contracts.records.settings import RunSettings
from flows.crashed_runs import TAG
from tests.flows.conftest import small_settings

FILE = Path(__file__).resolve().parents[2] / "deployments" / "prefect.yaml"


def deployments() -> list[dict[str, Any]]:
    return list(yaml.safe_load(FILE.read_text(encoding="utf-8"))["deployments"])


def test_every_entrypoint_is_a_flow_in_a_module() -> None:
    from prefect import Flow

    assert deployments()
    for deployment in deployments():
        module, _, name = deployment["entrypoint"].partition(":")
        assert not module.endswith(".py")
        assert isinstance(getattr(importlib.import_module(module), name), Flow)


def test_the_form_has_every_setting_with_its_help() -> None:
    from flows.finetune import finetune

    schema = finetune.parameters.model_dump()
    settings = schema["definitions"]["RunSettings"]
    assert {"name", "task", "model", "data", "policy", "pilot", "full"} <= set(settings["properties"])
    assert "description" in schema["definitions"]["Policy"]["properties"]["margin"]


def filled_in(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """What a form sends of fields that nobody touches: each default that the schema names."""
    values: dict[str, Any] = {}
    for name, field in schema.get("properties", {}).items():
        if "default" in field:
            values[name] = field["default"]
        elif "$ref" in field:
            values[name] = filled_in(definitions[field["$ref"].rpartition("/")[2]], definitions)
    return {name: value for name, value in values.items() if value != {}}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"policy": {"extends": "strict"}},
        {"policy": {"extends": "strict", "guardrails": {"forgetting": {"margin": 0.3}}}},
        {"policy": {"extends": "exploratory", "seeds": {"to_escalate": 4}}},
        {"pilot": {"method": "lora", "preset": "heavy"}},
        {"pilot": {"method": "rslora"}},
    ],
)
def test_what_the_form_sends_for_untouched_fields_changes_nothing(changes: dict[str, Any]) -> None:
    """Or else a policy that is extended, or a preset, would be overridden field by field."""
    asked: dict[str, Any] = {
        **small_settings(Path("rows.jsonl"), policy={"metric": "accuracy", "target": 0.9, "margin": 0.02}),
        "pilot": {},
        **{key: value for key, value in changes.items() if key != "policy"},
    }
    asked["policy"] = {"extends": "default", **asked["policy"], **changes.get("policy", {})}
    schema = RunSettings.model_json_schema()
    untouched = filled_in(schema, schema["$defs"])
    assert untouched["seed"] == 17 and untouched["policy"]["extends"] == "default"
    assert "alpha" not in untouched["policy"] and untouched["policy"]["guardrails"]["forgetting"] is None
    sent = over(untouched, asked)
    assert RunSettings.model_validate(sent) == RunSettings.model_validate(asked)


def over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = over(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def test_the_form_calls_every_setting_as_the_file_does() -> None:
    schema = RunSettings.model_json_schema()
    for definition in (schema, *schema["$defs"].values()):
        for name, field in definition.get("properties", {}).items():
            assert field["title"] == name


def test_deployments_are_of_this_version() -> None:
    assert {deployment["version"] for deployment in deployments()} == {version("lorafirst")}


@pytest.mark.parametrize(
    ("record", "field", "name"),
    [
        ("Policy", "extends", "strict"),
        ("Policy", "metric", "word_error_rate"),
        ("PilotSettings", "method", "qlora"),
        ("FullSettings", "method", "hybrid"),
    ],
)
def test_the_form_offers_what_can_be_chosen_and_takes_other_names(record: str, field: str, name: str) -> None:
    listed, text = RunSettings.model_json_schema()["$defs"][record]["properties"][field]["anyOf"]
    assert name in listed["enum"] and text == {"title": "another", "type": "string"}


def test_runs_that_died_are_taken_up_where_the_tag_says_so() -> None:
    """Full fine-tuning, answers and changes of the champion are for whoever asked for them to ask again."""
    by_name = {each["name"]: each for each in deployments()}
    tagged = {name for name, each in by_name.items() if TAG in each["tags"]}
    assert tagged == {"finetune", "nightly", "retrain", "on-drift"}
    (trigger,) = by_name["take-up"]["triggers"]
    assert trigger["match_related"] == {"prefect.resource.id": f"prefect.tag.{TAG}"}
    assert trigger["expect"] == ["prefect.flow-run.Crashed"]
    assert by_name["take-up"]["work_pool"] == {"name": "lorafirst"}


def test_every_deployment_has_the_tag_by_which_runs_that_never_began_are_found() -> None:
    assert all("lorafirst" in each["tags"] for each in deployments())
