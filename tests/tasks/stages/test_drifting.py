"""Which settings of a champion count as others, and which work."""

from data_contracts.records.settings import RunSettings
from tasks.stages.computing import resolved
from tasks.stages.drifting import changed_settings, other_work


def settings(**changes: object) -> RunSettings:
    return RunSettings.model_validate(
        {
            "name": "topics",
            "task": "classification",
            "model": {"source": "some/model"},
            "data": {"source": "rows.jsonl"},
            "policy": {"metric": "accuracy", "target": 0.9, "margin": 0.05},
            **changes,
        }
    )


def test_a_precision_that_was_left_to_the_machine_is_the_one_that_the_champions_run_resolved() -> None:
    asked = settings()
    assert asked.model.precision != resolved(asked).model.precision
    assert changed_settings(asked, resolved(asked)) == ()
    assert changed_settings(resolved(asked), asked) == ()


def test_sections_that_differ_are_named_and_those_of_the_place_are_not() -> None:
    other = settings(model={"source": "another/model"}, seed=7, output="elsewhere")
    assert changed_settings(other, settings()) == ("model", "seed")


def test_another_metric_and_other_labels_are_other_work_whether_labels_came_or_went() -> None:
    def differences(labels: tuple[str, ...], **changes: object) -> tuple[str, ...]:
        return other_work(settings(**changes), labels=labels, champion=settings(), known=("a", "b"))

    assert differences(("a", "b")) == ()
    assert differences(("a", "b", "refund")) == ("other labels: a, b, refund, beside a, b",)
    assert differences(("a",)) == ("other labels: a, beside a, b",)
    policy = {"metric": "brier_score", "target": 0.1, "margin": 0.05}
    assert differences((), policy=policy) == (
        "other metric: brier_score, beside accuracy",
        "other labels: none, beside a, b",
    )
