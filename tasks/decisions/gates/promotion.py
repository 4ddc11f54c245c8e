"""The promotion gate: may the challenger take the champion's place?"""

from collections.abc import Sequence

from data_contracts.records.decision import Decision, Gate, RuleResult, Verdict
from data_contracts.records.permit import Permit, PermitIssuer
from data_contracts.records.policy import OnBreach, Policy, PromotionTerms
from data_contracts.records.snapshot import Split
from tasks.decisions.gates.guardrails import GUARDRAIL
from tasks.decisions.gates.rules import (
    LEVEL,
    ScoredRows,
    all_of,
    capital,
    level_rule,
    paired_gain,
    plain_rule,
    three_way,
)

AGAINST_CHAMPION = "not inferior to the champion"
AGAINST_ANCHOR = "not inferior to the anchor"
PERMITTED = "trained under a permit of a gate"
UNSEEN = "gate rows that the champion has learned"


def decide_promotion(
    challenger: ScoredRows,
    champion: ScoredRows | None,
    anchor: ScoredRows,
    *,
    permit: Permit | None,
    slices: dict[str, frozenset[str]],
    policy: Policy,
    run_id: str,
    alpha: float,
    rows_champion_learned: int | None = None,
    terms: PromotionTerms | None = None,
    registration: str | None = None,
) -> Decision:
    """Passes when the challenger is not inferior to champion and anchor, overall and on each slice.

    The anchor is frozen: the first champion, or the base where there has been none. Against the champion
    alone, each of many challengers could be a little worse than the last, and the champion would creep
    down a margin at a time. A floor below which nothing is promoted comes on top.

    Args:
        permit: under which the challenger's base weights were updated; ``None`` where they stayed frozen.
        rows_champion_learned: gate rows that the champion was trained on; ``None`` where nobody can know.
        terms: margin and floor that champion and anchor stand by. The challenger's own policy can ask for
            more and never for less: whoever wants the place does not set the terms.
        registration: digest of the question as it stood before the first of these scores.

    Raises:
        PairingError: they were not scored on the same rows.
    """
    higher = policy.measure.higher_is_better
    held = policy.promotion_terms
    held = held if terms is None else held.stricter(terms, higher_is_better=higher)
    rules = [_floor_rule(challenger, policy, alpha, held.floor)]
    if permit is not None:
        rules.append(_permit_rule(permit))
    rivals = [(AGAINST_ANCHOR, anchor)] + ([(AGAINST_CHAMPION, champion)] if champion else [])
    for name, rival in rivals:
        rules.append(_against(name, challenger, rival, policy, alpha, held.margin))
    for rule in policy.guardrails.slices:
        rows = slices[rule.name]
        for name, rival in rivals:
            title = f"{GUARDRAIL}{rule.name}, {name}"
            if len(rows) < rule.minimum_rows:
                judged = _too_few(title, len(rows), rule.minimum_rows)
            else:
                mine, theirs = challenger.only(rows), rival.only(rows)
                judged = _against(title, mine, theirs, policy, alpha, rule.margin)
            rules.append(judged.model_copy(update={"decides": rule.on_breach is OnBreach.BLOCK}))
    if rows_champion_learned is not None:
        rules.append(_unseen_rule(rows_champion_learned))
    verdict = all_of(rules)
    return Decision(
        gate=Gate.PROMOTION,
        verdict=verdict,
        rules=tuple(rules),
        sentence=(
            f"{capital(challenger.name)} takes the champion's place."
            if verdict is Verdict.PASS
            else "The champion is kept."
        ),
        run_id=run_id,
        policy=policy.digest(),
        evidence=(*challenger.evidence, *(champion.evidence if champion else ()), *anchor.evidence),
        look=Split.GATE,
        registration=registration,
    )


def strictest(policies: Sequence[Policy]) -> PromotionTerms | None:
    """The terms of all of them at once, which are of one metric; ``None`` where there are none."""
    terms: PromotionTerms | None = None
    for policy in policies:
        own, higher = policy.promotion_terms, policy.measure.higher_is_better
        terms = own if terms is None else terms.stricter(own, higher_is_better=higher)
    return terms


def _permit_rule(permit: Permit) -> RuleResult:
    issuer = permit.issuer
    passed = issuer is PermitIssuer.ESCALATION_GATE
    return plain_rule(
        PERMITTED,
        passed=passed,
        observed=f"a permit of the {issuer.value}, run {permit.run_id}",
        threshold=f"a permit of the {PermitIssuer.ESCALATION_GATE.value}",
        sentence=(
            "An escalation gate allowed its base weights to be updated."
            if passed
            else "It was trained for a benchmark, which no gate allowed, and cannot be promoted."
        ),
    )


def _unseen_rule(learned: int) -> RuleResult:
    return plain_rule(
        UNSEEN,
        passed=learned == 0,
        observed=f"{learned:,} rows",
        threshold="0 rows",
        sentence=(
            "The champion was trained on none of these rows."
            if learned == 0
            else f"The champion was trained on {learned:,} of these rows, which flatters it."
        ),
        on_breach=OnBreach.WARN,
    )


def _floor_rule(challenger: ScoredRows, policy: Policy, alpha: float, floor: float) -> RuleResult:
    level = level_rule(challenger, policy, alpha)
    assert level.interval is not None
    higher = policy.measure.higher_is_better
    return level.model_copy(
        update={
            "name": f"{LEVEL} above the floor",
            "threshold": f"{'at least' if higher else 'at most'} {floor:g}",
            "verdict": three_way(level.interval, floor, higher_is_better=higher),
            "sentence": f"{capital(challenger.name)} scores {level.interval}; the floor is {floor:g}.",
        }
    )


def _against(
    name: str,
    challenger: ScoredRows,
    rival: ScoredRows,
    policy: Policy,
    alpha: float,
    allowed: float,
) -> RuleResult:
    interval = paired_gain(challenger, rival, policy.measure, alpha)
    return RuleResult(
        name=name,
        observed=f"{policy.metric} better by {interval}",
        interval=interval,
        threshold=f"at least {-allowed:g}",
        verdict=three_way(interval, -allowed, higher_is_better=True),
        sentence=(
            f"{capital(challenger.name)} differs from {rival.name} by {interval.mean:.4g} on the same "
            f"{interval.rows:,} rows, at worst by {interval.lower:.4g}; down to {-allowed:g} is allowed."
        ),
    )


def _too_few(name: str, found: int, needed: int) -> RuleResult:
    return RuleResult(
        name=name,
        observed=f"{found} rows",
        interval=None,
        threshold=f"at least {needed} rows",
        verdict=Verdict.INCONCLUSIVE,
        sentence=f"There are {found} rows to judge it on; {needed} are needed.",
    )
