"""How often the same rows were asked the same question, over runs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from data_contracts.records.looks import SKETCH_SIZE, Look, RowSketch
from data_contracts.records.policy import Policy

SAME_ROWS = 0.5
"""Two sets of gate rows that share at least half of the smaller one are asked together."""


def sketch_rows(row_ids: Iterable[str]) -> RowSketch:
    """The ``SKETCH_SIZE`` smallest ids: a uniform sample, as ids are digests."""
    ids = sorted(set(row_ids))
    return RowSketch(rows=len(ids), smallest=tuple(ids[:SKETCH_SIZE]))


def overlap(first: RowSketch, second: RowSketch) -> float:
    """Share of the smaller set's rows that lie in both, estimated from the sketches.

    Among the smallest ids of the union, those in both sketches estimate |A and B| / |A or B| (Cohen and
    Kaplan, 2007), from which the intersection follows by the sizes.
    """
    if not first.rows or not second.rows:
        return 0.0
    union = sorted({*first.smallest, *second.smallest})[:SKETCH_SIZE]
    both = set(first.smallest) & set(second.smallest)
    jaccard = sum(row_id in both for row_id in union) / len(union)
    shared = jaccard * (first.rows + second.rows) / (1.0 + jaccard)
    return min(1.0, shared / min(first.rows, second.rows))


@dataclass(frozen=True)
class LooksTaken:
    """What other work has already asked of the same rows."""

    count: int
    alpha: float
    """Probability of error that it was given, in all."""


def looks_of_others(looks: Sequence[Look], rows: RowSketch, *, hypothesis: str, inputs: str) -> LooksTaken:
    """The looks by other work at (mostly) these rows for this hypothesis.

    The same work again is no new look: its artifacts are the same, and so is what it learns. A row
    appended to the set, a renamed file or another split share do not begin a new count.
    """
    alphas = {
        look.inputs: look.alpha_of_run
        for look in looks
        if look.hypothesis == hypothesis and look.inputs != inputs and overlap(look.sketch, rows) >= SAME_ROWS
    }
    return LooksTaken(count=len(alphas), alpha=sum(alphas.values()))


def looks_are_left(spent: float, own: float, policy: Policy) -> bool:
    """Whether a run may spend ``own`` after others have spent ``spent``: together at most alpha.

    What counts is the alpha that was given away, not how many runs there were: a policy that is changed in
    between does not begin anew.
    """
    return spent + own <= policy.alpha * (1.0 + 1e-9)


def hypothesis_of(policy: Policy) -> str:
    """What looks are counted by: another target on the same rows is the same temptation."""
    return f"quality by {policy.metric}"


def guardrails_of(policy: Policy) -> list[str]:
    """One sentence for each guardrail of the policy."""
    rails = policy.guardrails
    sentences = [
        f"slice {rule.name}: no worse than the baseline by more than {rule.margin:g}, on at least "
        f"{rule.minimum_rows} rows"
        for rule in rails.slices
    ]
    if rails.forgetting is not None:
        sentences.append(f"loss on a general text rises by at most {rails.forgetting.margin:g} nats a token")
    if rails.answer_format is not None:
        form = rails.answer_format
        sentences.append(f"at least {form.minimum_share:g} of the answers match {form.pattern}")
    sentences += [
        f"{rule.name}: no worse than the base by more than {rule.margin:g}, on "
        f"{'all documents' if rule.limit is None else f'the first {rule.limit} documents'}"
        for rule in rails.lm_eval
    ]
    if rails.serving is not None:
        sentences.append(
            f"latency ratio at most {rails.serving.maximum_latency_ratio}, artifact at most "
            f"{rails.serving.maximum_artifact_bytes} bytes"
        )
    return sentences
