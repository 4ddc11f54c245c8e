"""Is there a reason to train anew? A skip has one too."""

from collections.abc import Iterator

from data_contracts.errors import InputError, Problem
from data_contracts.records.retraining import DataFindings, FreshScores, RetrainingPlan

NO_CHAMPION = "There is no champion yet."


def drift_signs(findings: DataFindings) -> tuple[str, ...]:
    """A sentence for each respect in which the data, or the champion's scores on them, have drifted."""
    return tuple(_signs(findings))


def plan_retraining(findings: DataFindings, *, minimum_new_share: float) -> RetrainingPlan:
    """Trains anew on changed settings, drift, or enough new rows; else says why not.

    Data that break their contract go to the run too, which ends at its first gate and records that.

    Raises:
        InputError: it would do other work than the champion, and no promotion could take it; before anything
            is trained.
    """
    if findings.other_work and not findings.broken_rules:
        raise InputError(_refusals(findings))
    reasons = [*_asked(findings), *_signs(findings)]
    arrivals = findings.arrivals
    if arrivals is None:
        reasons.append("The champion's rows were removed, and nothing can be compared with them.")
        return RetrainingPlan(train=True, reasons=tuple(reasons))
    told = (
        f"{arrivals.rows_new:,} rows are new beside {arrivals.rows_before:,} ({arrivals.new_share:.1%}); "
        f"{minimum_new_share:.1%} are enough"
    )
    if arrivals.rows_new and arrivals.new_share >= minimum_new_share:
        reasons.append(f"{told}.")
    if reasons:
        return RetrainingPlan(train=True, reasons=tuple(reasons))
    return RetrainingPlan(train=False, reasons=(f"{told}, and nothing has drifted.",))


def _refusals(findings: DataFindings) -> Iterator[Problem]:
    for difference in findings.other_work:
        yield Problem(
            where=f"model {findings.model!r}",
            expected=f"the work of the champion, version {findings.champion_version}",
            found=difference,
            remedy="give the new work a `name` of its own, under which it begins without a champion",
        )


def _asked(findings: DataFindings) -> Iterator[str]:
    if findings.broken_rules:
        yield f"The data break their contract: {', '.join(findings.broken_rules)}."
    if findings.changed_settings:
        changed = ", ".join(findings.changed_settings)
        yield f"Other settings than the champion's are asked for: {changed}."


def _signs(findings: DataFindings) -> Iterator[str]:
    arrivals = findings.arrivals
    if arrivals is not None:
        limits = {limit.aspect: limit for limit in findings.limits}
        for figure in arrivals.drift.figures if arrivals.drift is not None else ():
            limit = limits[figure.aspect]
            if figure.drifted(largest_value=limit.largest, alpha=limit.alpha):
                yield f"New rows differ in {figure.aspect.value}: {figure}, above {limit.largest:g}."
        for label, count in arrivals.unknown_labels.items():
            yield f"{count:,} new rows have the label {label!r}, which the champion does not know."
    if findings.fresh is not None and scores_drifted(findings.fresh):
        fresh, promoted = findings.fresh.fresh, findings.fresh.promoted
        yield (
            f"On {fresh.rows:,} fresh rows the champion's {findings.fresh.metric.name} is {fresh}, "
            f"demonstrably worse than {promoted} at its promotion."
        )


def scores_drifted(scores: FreshScores) -> bool:
    """Whether even the optimistic bound on fresh rows is worse than the pessimistic one at promotion.

    Both sides are allowed their error, so that a champion that was lucky at its promotion is no drift.
    """
    if scores.metric.higher_is_better:
        return scores.fresh.upper < scores.promoted.lower
    return scores.fresh.lower > scores.promoted.upper
