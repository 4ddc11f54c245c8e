"""What is done for a pilot that is short: which remedy is next, and what it changes.

Remedies are spent in one fixed order, the cheapest mistake first: which layers, which learning rate, which
precision, which capacity. All of it is decided on ``tune``.
"""

import math
from collections.abc import Sequence

from data_contracts.records.evidence import ScoringEvidence, TrainingEvidence
from data_contracts.records.pilots import PilotTrial, SweepPoint
from data_contracts.records.policy import Policy, Remedy
from data_contracts.records.rungs import LORA_FAMILY, Rung
from data_contracts.records.settings import (
    STABILISED_ALPHA,
    STABLE_RANK,
    PilotSettings,
    usual_alpha,
)

ALL_LINEAR = "all-linear"


def trial_of(
    training: TrainingEvidence,
    scoring: ScoringEvidence,
    *,
    number: int,
    remedy: Remedy | None,
    full_steps: int,
    truncated_share: float,
    metric: str,
    labels: int,
) -> PilotTrial:
    """One pilot as fairness is to judge it, from its evidence.

    Args:
        scoring: on ``tune``.
        labels: of a classifier; 0 for a model that generates.
    """
    assert training.pilot is not None
    supervised = training.seen.supervised_a_pass
    losses = [point.train_loss for point in training.curve if point.train_loss is not None]
    return PilotTrial(
        number=number,
        settings=training.pilot,
        remedy=remedy,
        learning_rate=training.learning_rate,
        steps=training.steps,
        full_steps=full_steps,
        stopped_early=training.stopped_early,
        tune_score=scoring.metric(metric),
        tune_loss=training.kept_tune_loss,
        lowest_train_loss=min(losses, default=0.0),
        supervised_tokens=supervised,
        truncated_share=truncated_share,
        adapter_parameters=training.trainable_parameters,
        information_bits=supervised * _bits_per_token(training.curve[0].tune_loss, labels),
        evidence=(training.digest(), scoring.digest()),
    )


def _bits_per_token(untrained_loss: float, labels: int) -> float:
    """What one supervised token tells at most: the base's loss on ``tune``, or the choice of a label."""
    return math.log2(max(2, labels)) if labels else untrained_loss / math.log(2)


def best_trial(trials: Sequence[PilotTrial], policy: Policy) -> PilotTrial:
    """The pilot with the best score on ``tune``; between equals the lower loss, then the earlier.

    One that went on from another run's adapter is out of it once there is one that began at the base: its
    seeds share that adapter, so that they would show less luck than there is.
    """
    sign = 1.0 if policy.measure.higher_is_better else -1.0
    return min(
        _of_this_run(trials), key=lambda trial: (-sign * trial.tune_score, trial.tune_loss, trial.number)
    )


def _of_this_run(trials: Sequence[PilotTrial]) -> Sequence[PilotTrial]:
    """Those that began at the base; all, where none did."""
    return [trial for trial in trials if trial.settings.continues is None] or trials


def fairest_trial(trials: Sequence[PilotTrial], policy: Policy) -> PilotTrial:
    """The pilot by which the method is judged: the best of those with the faults mended that can be.

    A pilot on some layers, or on a quantised base, may come out ahead of its mended successor by chance or by
    a learning rate; remedies go on from the successor all the same. What is looked at in the end is the best
    pilot of all.
    """
    trials = _of_this_run(trials)
    mended = [trial for trial in trials if adapts_all_layers(trial.settings)] or list(trials)
    mended = [trial for trial in mended if trial.settings.method != Rung.QLORA] or mended
    return best_trial(mended, policy)


def by_method(settings: PilotSettings, method: Rung) -> PilotSettings:
    """The same pilot by another method; alpha follows where it was the usual one of a stabilised scale."""
    changed: dict[str, object] = {"method": method}
    stabilised = settings.method == Rung.RSLORA and settings.alpha == STABILISED_ALPHA
    if stabilised and method != Rung.RSLORA:
        changed["alpha"] = usual_alpha(settings.rank)
    return settings.model_copy(update=changed)


def adapts_all_layers(settings: PilotSettings) -> bool:
    """Whether every linear layer gets an update, by a method whose shortfall speaks for LoRA."""
    return settings.all_linear and settings.method in LORA_FAMILY


def clears_on_tune(trial: PilotTrial, policy: Policy) -> bool:
    """Whether the pilot's mean on ``tune`` is at the target itself, without the margin."""
    if policy.measure.higher_is_better:
        return trial.tune_score >= policy.target
    return trial.tune_score <= policy.target


def best_rate_is_bracketed(sweep: Sequence[SweepPoint]) -> bool:
    """Whether a lower and a higher rate were tried for as many steps as the best, and did worse.

    A rate that diverged is as good a bracket as one that learnt little.
    """
    points = first_round(sweep)
    if not points:
        return False
    rates = [point.learning_rate for point in points]
    return min(rates) < best_point(points).learning_rate < max(rates)


def best_point(points: Sequence[SweepPoint]) -> SweepPoint:
    """The point with the lowest loss; where all diverged, the lowest rate."""
    return min(points, key=lambda point: (_loss(point), point.learning_rate))


def first_round(sweep: Sequence[SweepPoint]) -> tuple[SweepPoint, ...]:
    """The points of the shortest length: all rates that were tried, comparable with one another."""
    shortest = min((point.steps for point in sweep), default=0)
    return tuple(point for point in sweep if point.steps == shortest)


def next_sweep_runs(
    sweep: Sequence[SweepPoint], *, reference_rate: float, full_steps: int, policy: Policy
) -> tuple[tuple[float, int], ...]:
    """The (learning rate, steps) pairs to train next; empty when the sweep is done.

    Successive halving (Jamieson and Talwalkar, 2016): all rates get a short training, the best of them go on
    with ``sweep_reduction`` times the steps, and the winner is trained in full by the caller. While the best
    rate lies at an edge, the next one beyond it is tried first, as far as the policy lets.
    """
    rules = policy.fairness
    lengths = _lengths(len(rules.rate_multiples), rules.sweep_reduction, full_steps)
    if not sweep:
        return tuple(
            (rounded_rate(multiple * reference_rate), lengths[0]) for multiple in rules.rate_multiples
        )
    points = first_round(sweep)
    if not best_rate_is_bracketed(sweep) and _may_widen(points, policy):
        return ((rounded_rate(_beyond(points, policy)), lengths[0]),)
    kept = list(points)
    for length in lengths[1:]:
        kept.sort(key=lambda point: (_loss(point), point.learning_rate))
        kept = kept[: max(1, len(kept) // rules.sweep_reduction)]
        done = {point.learning_rate: point for point in sweep if point.steps == length}
        missing = [point for point in kept if point.learning_rate not in done]
        if missing:
            return tuple((point.learning_rate, length) for point in missing)
        kept = [done[point.learning_rate] for point in kept]
    return ()


def sweep_winner(sweep: Sequence[SweepPoint]) -> float:
    """The best rate among those that were trained longest."""
    longest = max(point.steps for point in sweep)
    return best_point([point for point in sweep if point.steps == longest]).learning_rate


def doubled(settings: PilotSettings) -> PilotSettings:
    """Twice the rank, and the alpha that goes with it."""
    rank = settings.rank * 2
    # Rank-stabilised scales fall with the root of the rank by themselves.
    rises = rank >= STABLE_RANK and settings.method != Rung.RSLORA
    alpha = 2 * rank if rises else settings.alpha
    return settings.model_copy(update={"rank": rank, "alpha": alpha})


def remedied(settings: PilotSettings, remedy: Remedy, *, swept_rate: float | None = None) -> PilotSettings:
    """``settings`` after ``remedy``; a sweep needs the rate that won.

    Raises:
        ValueError: a sweep without its winner.
    """
    match remedy:
        case Remedy.ALL_LAYERS:
            method = settings.method if settings.method in LORA_FAMILY else Rung.LORA
            return by_method(settings, method).model_copy(update={"target_modules": ALL_LINEAR})
        case Remedy.SWEEP | Remedy.WIDEN_SWEEP:
            if swept_rate is None:
                raise ValueError("a sweep's pilot needs the rate that won")
            return settings.model_copy(update={"learning_rate": swept_rate})
        case Remedy.UNQUANTISE:
            return by_method(settings, Rung.LORA)
        case Remedy.DOUBLE_RANK:
            return doubled(settings)
        case Remedy.FROM_BASE:
            return settings.model_copy(update={"continues": None})


def remedy_is_left(
    remedy: Remedy,
    trials: Sequence[PilotTrial],
    sweep: Sequence[SweepPoint],
    *,
    unquantised_fits: bool,
    policy: Policy,
) -> bool:
    """Whether the policy allows ``remedy``, its limits leave room for it, and it was not spent before."""
    limits, fairest = policy.remedies, fairest_trial(trials, policy)
    if remedy is Remedy.FROM_BASE:
        return fairest.settings.continues is not None
    begun = sum(trial.settings.continues is None for trial in trials)
    if remedy not in limits.allowed or begun >= limits.maximum_pilots:
        return False
    match remedy:
        case Remedy.ALL_LAYERS:
            return not adapts_all_layers(fairest.settings)
        case Remedy.SWEEP:
            return not sweep
        case Remedy.WIDEN_SWEEP:
            return False  # part of the sweep: it widens itself while the policy lets it
        case Remedy.UNQUANTISE:
            tried = any(adapts_all_layers(t.settings) and t.settings.method != Rung.QLORA for t in trials)
            return unquantised_fits and not tried
        case Remedy.DOUBLE_RANK:
            twice = doubled(fairest.settings)
            return twice.rank <= limits.maximum_rank and twice not in [each.settings for each in trials]


def rank_helped(trials: Sequence[PilotTrial], policy: Policy) -> bool | None:
    """Whether the last doubling of the rank gained what the policy calls help; ``None`` without one.

    Compared with the pilot that differs in nothing but the rank.
    """
    probes = [trial for trial in trials if trial.remedy is Remedy.DOUBLE_RANK]
    if not probes:
        return None
    probe = max(probes, key=lambda trial: trial.settings.rank)
    halves = [trial for trial in trials if doubled(trial.settings) == probe.settings]
    if not halves:
        return None
    before = best_trial(halves, policy)
    sign = 1.0 if policy.measure.higher_is_better else -1.0
    gain = sign * (probe.tune_score - before.tune_score)
    return gain > 0.0 and gain >= policy.fairness.probe_gain_share * policy.margin


def _may_widen(points: Sequence[SweepPoint], policy: Policy) -> bool:
    return (
        Remedy.WIDEN_SWEEP in policy.remedies.allowed
        and len(points) < policy.remedies.maximum_rates
        and _beyond(points, policy) <= 1.0
    )


def _beyond(points: Sequence[SweepPoint], policy: Policy) -> float:
    """The next rate past the edge that is best so far, in the ratio of the usual multiples."""
    low, high = policy.fairness.rate_multiples[-2:]
    best = best_point(points).learning_rate
    highest = max(point.learning_rate for point in points)
    return best * high / low if best == highest else best * low / high


def _lengths(rates: int, reduction: int, full_steps: int) -> tuple[int, ...]:
    """Steps of each round, shortest first; a last round in full is the caller's."""
    rounds = max(1, round(math.log(rates) / math.log(reduction)))
    return tuple(max(1, full_steps // reduction**power) for power in range(rounds, 0, -1))


def _loss(point: SweepPoint) -> float:
    return math.inf if point.tune_loss is None else point.tune_loss


def rounded_rate(rate: float) -> float:
    """Two significant digits more than anybody would choose a rate by, so that equal rates are equal."""
    return float(f"{rate:.3g}")
