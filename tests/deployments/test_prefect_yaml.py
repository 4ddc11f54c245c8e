"""What is deployed exists, is named by module, and brings a form made from the settings."""

import importlib
from pathlib import Path
from typing import Any

import yaml

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
