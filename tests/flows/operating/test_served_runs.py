"""What a worker refuses to do for whoever fills in a form, and how it says so."""

import json
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.flows.operating.conftest import Served, form_settings

pytestmark = pytest.mark.slow


def refusal(served: Served, deployment: str, parameters: dict[str, Any]) -> str:
    """What the failed flow run says."""
    state = served.run(deployment, parameters)["state"]
    assert state["type"] == "FAILED", state
    return str(state["message"])


@pytest.mark.parametrize(
    ("deployment", "parameters"),
    [
        ("finetune/finetune", {"settings": form_settings(data={"source": "../../secret.jsonl"})}),
        ("nightly/nightly", {"settings": "/etc/passwd"}),
        ("approve/approve", {"run": "run-1", "output": "../"}),
        (
            "train-full/train-full",
            {"run": "r", "pilot": "p", "learning_rate": 1, "seed": 1, "stage": "s", "output": ".."},
        ),
    ],
)
def test_nothing_outside_the_folder_can_be_named(
    served: Served, deployment: str, parameters: dict[str, Any]
) -> None:
    said = refusal(served, deployment, parameters)
    assert "a path inside the folder that is served" in said and "root:" not in said


@pytest.mark.parametrize(
    ("deployment", "parameters"),
    [
        ("finetune/finetune", {"settings": form_settings(name="../up")}),
        ("finetune/finetune", {"settings": form_settings(name="a; touch b")}),
        ("finetune/finetune", {"settings": form_settings(unknown=1)}),
        ("approve/approve", {"run": "../../etc"}),
        ("train-full/train-full", {"run": "a/b", "pilot": "p", "learning_rate": 1, "seed": 1, "stage": "s"}),
    ],
)
def test_names_that_are_paths_or_mean_something_to_a_shell_are_not_taken(
    served: Served, deployment: str, parameters: dict[str, Any]
) -> None:
    with pytest.raises(HTTPError) as refused:
        served.run(deployment, parameters)
    assert refused.value.code in (409, 422)


def test_parameters_that_are_too_large_are_not_taken(served: Served) -> None:
    large = form_settings(data={"columns": {"keep": [f"column {number}" for number in range(60_000)]}})
    assert len(json.dumps(large)) > 512 * 1024
    with pytest.raises(HTTPError) as refused:
        served.run("finetune/finetune", {"settings": large})
    assert refused.value.code == 422 and "524,288" in refused.value.read().decode()


def test_a_deployment_of_another_version_is_refused(served: Served) -> None:
    deployment = served.ask("/deployments/name/remind/remind")
    place = f"/deployments/{deployment['id']}"
    served.ask(place, {"version": "0.0.9"}, method="PATCH")
    try:
        said = refusal(served, "remind/remind", {})
    finally:
        served.ask(place, {"version": deployment["version"]}, method="PATCH")
    assert "deployment remind" in said and "0.0.9" in said and "`lorafirst up`" in said
