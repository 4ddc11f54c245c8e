"""A reason to train anew, or one to skip."""

from typing import Any

import pytest

from data_contracts.errors import InputError
from data_contracts.records.base import digest_json
from data_contracts.records.decision import Interval
from data_contracts.records.drift import DriftAspect, DriftFigure, DriftReport
from data_contracts.records.metrics import METRICS
from data_contracts.records.retraining import Arrivals, DataFindings, DriftLimit, FreshScores
from tasks.decisions.retraining import drift_signs, plan_retraining, scores_drifted


def interval(mean: float, half: float) -> Interval:
    return Interval(
        mean=mean, lower=mean - half, upper=mean + half, alpha=0.05, rows=100, method="bootstrap-bca"
    )


def figure(value: float, p_value: float) -> DriftFigure:
    return DriftFigure(
        aspect=DriftAspect.LENGTHS,
        statistic="Kolmogorov-Smirnov distance",
        value=value,
        p_value=p_value,
        rows_before=1000,
        rows_now=50,
    )


def found(rows_new: int = 0, drift: DriftFigure | None = None, **changes: Any) -> DataFindings:
    arrivals = Arrivals(
        rows_before=1000,
        rows_now=1000 + rows_new,
        rows_new=rows_new,
        rows_gone=0,
        unknown_labels={},
        drift=None if drift is None else DriftReport(figures=(drift,)),
    )
    whole: dict[str, Any] = {
        "model": "topics",
        "champion_version": 1,
        "champion_run": "topics-1",
        "contract": digest_json("contract"),
        "broken_rules": (),
        "limits": (DriftLimit(aspect=DriftAspect.LENGTHS, largest=0.1, alpha=0.01),),
        "arrivals": arrivals,
        "changed_settings": (),
        "other_work": (),
        "fresh": None,
        "not_scored": "",
        "at": "2026-11-26T00:00:00.000000Z",
        **changes,
    }
    return DataFindings(**whole)


def fresh(mean: float, promoted: float, metric: str = "accuracy") -> FreshScores:
    return FreshScores(
        metric=METRICS[metric],
        fresh=interval(mean, 0.02),
        promoted=interval(promoted, 0.02),
        evidence=digest_json("scores"),
    )


@pytest.mark.parametrize(
    ("findings", "trains", "reason"),
    [
        (found(), False, "0 rows are new beside 1,000 (0.0%); 10.0% are enough, and nothing has drifted."),
        (found(99), False, "99 rows are new"),
        (found(100), True, "100 rows are new beside 1,000 (10.0%); 10.0% are enough."),
        (found(50, figure(0.3, 0.001)), True, "New rows differ in lengths"),
        (found(50, figure(0.3, 0.2)), False, "nothing has drifted"),
        (found(50, figure(0.05, 0.001)), False, "nothing has drifted"),
        (
            found(changed_settings=("model",)),
            True,
            "Other settings than the champion's",
        ),
        (found(broken_rules=("not empty",)), True, "The data break their contract: not empty."),
        (found(arrivals=None), True, "nothing can be compared"),
        (found(fresh=fresh(0.80, 0.90)), True, "demonstrably worse"),
    ],
)
def test_a_plan_and_its_reason(findings: DataFindings, trains: bool, reason: str) -> None:
    plan = plan_retraining(findings, minimum_new_share=0.1)
    assert plan.train is trains
    assert any(reason in each for each in plan.reasons), plan.reasons


def test_other_work_than_the_champions_is_refused_before_anything_is_trained() -> None:
    other = "other labels: a, b, refund, beside a, b"
    with pytest.raises(InputError, match="other labels: a, b, refund") as refused:
        plan_retraining(found(100, other_work=(other,)), minimum_new_share=0.1)
    (problem,) = refused.value.problems
    assert "`name` of its own" in problem.remedy
    # The run says what is wrong with data that cannot be used, and does so at its first gate.
    assert plan_retraining(
        found(other_work=(other,), broken_rules=("not empty",)), minimum_new_share=0.1
    ).train


def test_without_new_rows_even_a_share_of_nothing_is_not_reached() -> None:
    assert not plan_retraining(found(), minimum_new_share=0.0).train
    assert plan_retraining(found(1), minimum_new_share=0.0).train


def test_a_label_that_the_champion_does_not_know_is_drift() -> None:
    findings = found(10)
    assert findings.arrivals is not None
    arrivals = findings.arrivals.model_copy(update={"unknown_labels": {"refund": 4}})
    (sign,) = drift_signs(findings.model_copy(update={"arrivals": arrivals}))
    assert sign == "4 new rows have the label 'refund', which the champion does not know."


def test_scores_have_drifted_only_where_no_luck_explains_it_in_the_metrics_own_direction() -> None:
    assert scores_drifted(fresh(0.80, 0.90))
    assert not scores_drifted(fresh(0.87, 0.90)), "the bounds overlap"
    assert not scores_drifted(fresh(0.99, 0.90)), "better is no drift"
    assert scores_drifted(fresh(0.9, 0.8, "word_error_rate"))
    assert not scores_drifted(fresh(0.7, 0.8, "word_error_rate"))
