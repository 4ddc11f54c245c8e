"""What the gates ask, allow and forbid: one file, hashed, whose digest stands in every decision.

A policy is owned by somebody other than the person who starts the run. Three are shipped in
``data_contracts/policies``; settings name one with ``extends`` and add what only the job can know: the
metric, its target and margin. Every default here is that of ``default.yaml``.
"""

import difflib
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import ConfigDict, Field, ValidationInfo, model_validator

from data_contracts.records.base import Record, defaults_told, offering, was_written
from data_contracts.records.metrics import METRICS, Metric

Share = Annotated[float, Field(gt=0.0, lt=1.0)]

SHIPPED_POLICIES = ("default", "strict", "exploratory")
POLICY_FOLDER = Path(__file__).resolve().parents[1] / "policies"


class OnBreach(StrEnum):
    """What a broken rule does to its gate."""

    BLOCK = "block"
    WARN = "warn"
    """It is shown in the decision, and decides nothing."""


class Remedy(StrEnum):
    """What can be done for a pilot that is short on ``tune``, in the order in which it is spent."""

    FROM_BASE = "from_base"
    """Begin at the base what went on from another run's adapter. It needs no leave: it is what the run would
    have cost without that adapter."""
    ALL_LAYERS = "all_layers"
    """Adapt every linear layer."""
    SWEEP = "sweep"
    """Try learning rates around the usual multiples of the full reference rate."""
    WIDEN_SWEEP = "widen_sweep"
    """Try rates beyond the edge that came out best."""
    UNQUANTISE = "unquantise"
    """Train the same adapter on the base in float32."""
    DOUBLE_RANK = "double_rank"
    """The capacity probe: does an adapter of twice the rank do better?"""


def _defaults_depend(schema: dict[str, Any]) -> None:
    defaults_told(schema, except_for=("extends",))


class _Rules(Record):
    """What is unset is as the policy that is extended says, whatever default stands here."""

    model_config = ConfigDict(json_schema_extra=_defaults_depend)


class SliceRule(Record):
    """Rows that must not be harmed, however well the rest does."""

    name: str = Field(min_length=1, max_length=60)
    """As decisions call it."""
    column: str = Field(default="label", min_length=1)
    """``label``, ``question``, or a column that ``data.columns.keep`` carries into the snapshot."""
    equals: str | None = None
    """The rows whose column has this value."""
    matches: str | None = None
    """The rows in whose column this regular expression is found."""
    margin: float = Field(ge=0.0)
    """How much worse than the baseline is still no harm, in the metric's own unit."""
    minimum_rows: int = Field(default=30, ge=1)
    """Below so many rows the rule is inconclusive."""
    on_breach: OnBreach = OnBreach.BLOCK
    """Whether harm ends the run as unsafe, or is only shown."""

    @model_validator(mode="after")
    def _names_rows(self) -> Self:
        if (self.equals is None) == (self.matches is None):
            raise ValueError("a slice needs exactly one of equals and matches")
        if self.matches is not None:
            try:
                re.compile(self.matches)
            except re.error as error:
                raise ValueError(f"matches {self.matches!r} is no regular expression: {error}") from error
        return self


class ForgettingRule(Record):
    """The trained model must still know a general text as well as the base does."""

    margin: float = Field(default=0.25, ge=0.0)
    """Nats a token that the loss on the general text may rise."""
    on_breach: OnBreach = OnBreach.BLOCK
    """Whether harm ends the run as unsafe, or is only shown."""


class FormatRule(Record):
    """Answers must have a form that whatever reads them can use."""

    pattern: str = Field(min_length=1)
    """A regular expression that the whole answer must match."""
    minimum_share: Share = 0.95
    """The pessimistic bound of the share of well-formed answers must reach it."""
    on_breach: OnBreach = OnBreach.BLOCK
    """Whether harm ends the run as unsafe, or is only shown."""

    @model_validator(mode="after")
    def _compiles(self) -> Self:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"pattern {self.pattern!r} is no regular expression: {error}") from error
        return self


class ServingRule(Record):
    """What serving the trained model may cost."""

    maximum_latency_ratio: float | None = Field(default=None, gt=0.0)
    """Seconds a token (or a label), over the base's. Timings move with the machine: it warns by default."""
    maximum_artifact_bytes: int | None = Field(default=None, gt=0)
    """Of the adapter, or of the whole model after full fine-tuning."""
    on_breach: OnBreach = OnBreach.WARN
    """Whether a breach ends the run as unsafe, or is only shown."""


class LmEvalRule(Record):
    """A task of lm-eval, of which the trained model must do as many documents as well as the base does."""

    task: str = Field(min_length=1, examples=["arc_easy", "tasks/politeness.yaml"])
    """A name that lm-eval knows (its data comes from a hub), or a YAML file of a task; needs the extra
    ``lorafirst[lm-eval]``."""
    metric: str = Field(default="acc", min_length=1)
    """One of the task's own, with a value for each document."""
    margin: float = Field(ge=0.0)
    """How much worse than the base is still no harm, in the metric's own unit."""
    limit: int | None = Field(default=None, ge=1)
    """Documents of each task to ask, from the first on; unset: all."""
    on_breach: OnBreach = OnBreach.BLOCK
    """Whether harm ends the run as unsafe, or is only shown."""

    @property
    def name(self) -> str:
        """As decisions call it."""
        return f"lm-eval {Path(self.task).stem} {self.metric}"

    @property
    def folder(self) -> str:
        """Its folder in a dossier."""
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.name)


class Guardrails(_Rules):
    """What must not get worse, whatever the metric gains."""

    slices: tuple[SliceRule, ...] = ()
    """Rows of their own that must not be harmed."""
    forgetting: ForgettingRule | None = None
    """For models that generate text."""
    answer_format: FormatRule | None = None
    """For models that generate text."""
    serving: ServingRule | None = None
    """Latency and size."""
    lm_eval: tuple[LmEvalRule, ...] = ()
    """Tasks of lm-eval, for models that generate text."""


class SeedRules(_Rules):
    """How many trainings from different seeds a verdict needs."""

    to_pass: int = Field(default=1, ge=1, le=20)
    """For the pilot to be accepted."""
    to_escalate: int = Field(default=5, ge=3, le=20)
    """For a shortfall to count. One seed errs in about a third of the runs at the threshold where seeds
    spread by a point. Three are enough for one look at the whole alpha; at the small alpha of one look
    among many, Student's quantile with two degrees of freedom is so large that three seldom show anything."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.to_escalate < self.to_pass:
            raise ValueError("to_escalate must not ask for fewer seeds than to_pass")
        return self


class LookRules(_Rules):
    """How often one set of gate rows may be asked the same question."""

    horizon: int = Field(default=20, ge=1, le=1000)
    """Runs over which alpha is spent evenly; afterwards ``splits.rotation`` must draw new gate rows."""
    reserve_alpha_share: Share = 0.5
    """Share of a run's alpha kept for the second look, at the sealed reserve. Unused without a reserve."""
    on_exhausted: OnBreach = OnBreach.BLOCK
    """What happens to a run after the horizon on the same gate rows."""


class PowerRules(_Rules):
    """What the gate rows must be able to resolve before anything is trained."""

    power: Share = 0.8
    """A pilot truly at the target passes at least this often."""
    discordance: Share = 0.2
    """Largest share of rows expected to change between two models, registered beforehand."""
    seed_spread: float = Field(default=0.0, ge=0.0)
    """Standard deviation that the means of different seeds are expected to have, in the metric's own unit,
    beside the luck of which rows each gets right; registered beforehand."""
    standard_deviation: float | None = Field(default=None, gt=0.0)
    """Of the metric's per-example scores, registered beforehand; proportions need none. Unset, the power of
    other metrics is not judged."""
    on_breach: OnBreach = OnBreach.BLOCK
    """Whether too few gate rows end the run before anything is trained, or are only shown."""


class NeedRules(_Rules):
    """How the base is asked before anything is trained."""

    examples_in_prompt: int = Field(default=4, ge=0, le=64)
    """Worked examples that the base of an instruction task is also asked with."""


class FairnessRules(_Rules):
    """When a pilot that is short counts as a fair test of its method."""

    rate_multiples: tuple[float, ...] = Field(default=(3.0, 10.0, 30.0), min_length=3)
    """Learning rates to try, as multiples of the full reference rate (LoRA Without Regret, 2025)."""
    sweep_reduction: int = Field(default=3, ge=2, le=10)
    """Successive halving keeps one in so many rates, and gives them so many times the steps."""
    maximum_truncated_share: float = Field(default=0.02, ge=0.0, le=1.0)
    """Share of the training rows that may be cut to ``model.max_tokens``."""
    probe_gain_share: float = Field(default=0.25, gt=0.0, le=1.0)
    """A higher rank helps if it gains at least this share of the margin on ``tune``."""
    on_breach: OnBreach = OnBreach.BLOCK
    """Whether a pilot that could not be made fair is invalid at once, or is judged with a warning. Such a
    pilot may pass; a shortfall of it never leads to full fine-tuning, whatever is said here."""


class RemedyRules(_Rules):
    """Which remedies may be spent, and how far."""

    allowed: tuple[Remedy, ...] = tuple(remedy for remedy in Remedy if remedy is not Remedy.FROM_BASE)
    """Spent in their fixed order whatever order they stand in here; ``from_base`` is allowed always."""
    maximum_rates: int = Field(default=6, ge=3, le=50)
    """Learning rates a sweep may come to, widened as often as it takes."""
    maximum_rank: int = Field(default=64, ge=1, le=1024)
    """The probe doubles the rank up to here while it helps."""
    maximum_pilots: int = Field(default=5, ge=1, le=50)
    """Pilots trained in full length, seeds aside."""


class ApprovalRule(StrEnum):
    """What the escalation gate asks of a person."""

    NONE = "none"
    RECORDED = "recorded"
    """A name and a reason, which is only what somebody typed."""
    SIGNED = "signed"
    """The same, signed with an approver's key of the pinned keyring (``LORAFIRST_KEYRING``)."""


class SignatureRule(StrEnum):
    """Whether a run without a key of its own may begin."""

    OPTIONAL = "optional"
    """What is not signed says so."""
    REQUIRED = "required"
    """Without a key that can be used nothing is read."""


class EscalationRules(_Rules):
    """What full fine-tuning needs besides a demonstrated shortfall."""

    minimum_train_rows: int = Field(default=500, ge=1)
    """Full fine-tuning on less learns the rows, not the task."""
    approval: ApprovalRule = ApprovalRule.NONE
    """Whether a person must allow each escalation."""
    approval_expires_days: float = Field(default=14.0, gt=0.0, le=3650.0)
    """So many days after the question was first asked, no answer is a denial, and so is a later one."""
    maximum_processor_hours: float | None = Field(default=None, gt=0.0)
    """Of the whole run, its forecast for full included."""
    permit_valid_hours: float = Field(default=168.0, gt=0.0, le=87_600.0)
    """After so many hours a permit can no longer be redeemed; a training that has begun under it goes on."""
    best_effort: bool = False
    """Whether a full model that was not justified may still be offered."""


class RecordRules(_Rules):
    """What the record of a run must be."""

    signatures: SignatureRule = SignatureRule.OPTIONAL
    """Whether decisions, permits and manifest must be signed by the pipeline's key."""


class PromotionRules(_Rules):
    """What a challenger needs to take the champion's place."""

    margin: float | None = Field(default=None, ge=0.0)
    """How much worse than champion and anchor is not inferior; unset: the policy's margin."""
    floor: float | None = None
    """A level below which nothing is promoted, in the metric's unit; unset: the target less the margin."""


class PromotionTerms(Record):
    """Margin and floor as they apply, nothing left to other parts of the policy."""

    margin: float = Field(ge=0.0)
    """How much worse than champion and anchor is not inferior, in the metric's unit."""
    floor: float
    """A level below which nothing is promoted, in the metric's unit."""

    def stricter(self, other: "PromotionTerms", *, higher_is_better: bool) -> "PromotionTerms":
        """The smaller margin and the floor that is harder to reach."""
        harder = max if higher_is_better else min
        return PromotionTerms(margin=min(self.margin, other.margin), floor=harder(self.floor, other.floor))


class Policy(_Rules):
    """What the gates ask. Its digest stands in every decision and in the permit."""

    extends: str = Field(default="default", json_schema_extra=offering(*SHIPPED_POLICIES))
    """``default``, ``strict``, ``exploratory``, or a YAML file of your own; what is said here is laid over
    it."""
    name: str = Field(default="default", min_length=1, max_length=60)
    """What people call it; a file of your own should say its own."""
    metric: str = Field(json_schema_extra=offering(*METRICS))
    """What is decided on, a mean over examples: one of lorafirst's, or a name in ``scoring.custom``."""
    own_metric: Metric | None = None
    """What ``metric`` is where it is a function of the user's own. Settings fill it in from
    ``scoring.custom``; it is part of the policy, so that decisions and permits are bound to it too."""
    target: float
    """The level that the work needs, in the metric's own unit."""
    margin: float = Field(ge=0.0)
    """How far short of the target is still good enough, in the metric's own unit."""
    minimum_uplift: float = Field(default=0.0, ge=0.0)
    """What the trained model must gain over the baseline, in the metric's own unit."""
    minimum_gain_of_full: float = Field(default=0.0, ge=0.0)
    """What full fine-tuning must gain over the pilot to be justified, in the metric's own unit."""
    alpha: float = Field(default=0.05, gt=0.0, lt=0.5)
    """How often a wrong verdict of one kind may be reached over the whole horizon of looks."""
    seeds: SeedRules = SeedRules()
    """How many trainings a verdict rests on."""
    looks: LookRules = LookRules()
    """How often the same rows may be asked."""
    power: PowerRules = PowerRules()
    """What the gate rows must be able to resolve."""
    need: NeedRules = NeedRules()
    """How the base is asked."""
    fairness: FairnessRules = FairnessRules()
    """When a pilot is a fair test."""
    remedies: RemedyRules = RemedyRules()
    """What may be done for a pilot that is short."""
    guardrails: Guardrails = Guardrails()
    """What must not get worse."""
    escalation: EscalationRules = EscalationRules()
    """What full fine-tuning needs."""
    promotion: PromotionRules = PromotionRules()
    """What a challenger needs."""
    record: RecordRules = RecordRules()
    """What the record of a run must be."""

    @model_validator(mode="before")
    @classmethod
    def _comes_on_top(cls, values: Any, info: ValidationInfo) -> Any:
        """Fills in what the shipped policy named by ``extends`` says and ``values`` do not."""
        # A policy of an earlier run held nobody to what is shipped today.
        if not isinstance(values, dict) or was_written(info):
            return values
        extended = values.get("extends", "default")
        if extended not in SHIPPED_POLICIES:
            near = difflib.get_close_matches(str(extended), SHIPPED_POLICIES, n=1)
            raise ValueError(
                f"extends {extended!r} is neither a file nor one of {', '.join(SHIPPED_POLICIES)}"
                + (f"; did you mean {near[0]!r}?" if near else "")
            )
        return merged(_shipped(extended), values)

    @property
    def full_name(self) -> str:
        """The name, and what was changed in the shipped policy it extends: ``strict, changed: alpha``."""
        shipped = _shipped(self.extends)
        said = self.model_dump(mode="json", exclude=_OF_THE_JOB)
        untouched = Policy.model_validate({**self.model_dump(mode="json", include=_OF_THE_JOB), **shipped})
        before = untouched.model_dump(mode="json", exclude=_OF_THE_JOB)
        changed = [key for key in said if said[key] != before[key]]
        return f"{self.name}, changed: {', '.join(changed)}" if changed else self.name

    @property
    def measure(self) -> Metric:
        """The metric that is decided on: its direction and range."""
        return self.own_metric or METRICS[self.metric]

    @property
    def lenient_target(self) -> float:
        """The target less the margin, in the direction in which the metric is lenient."""
        sign = -1.0 if self.measure.higher_is_better else 1.0
        # Without the rounding 0.92 - 0.02 would be a hair above 0.9.
        return round(self.target + sign * self.margin, 12)

    @property
    def promotion_terms(self) -> PromotionTerms:
        """What ``promotion`` says, or follows from the target where it says nothing."""
        stated = self.promotion
        return PromotionTerms(
            margin=self.margin if stated.margin is None else stated.margin,
            floor=self.lenient_target if stated.floor is None else stated.floor,
        )

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        metric = self.own_metric or METRICS.get(self.metric)
        if metric is None:
            raise ValueError(
                f"metric {self.metric!r} is unknown; known are {', '.join(METRICS)}, and the names in "
                "scoring.custom"
            )
        if metric.name != self.metric:
            raise ValueError(f"own_metric defines {metric.name!r}, and metric is {self.metric!r}")
        if faults := [*_faults_of_levels(self, metric), *_faults_of_remedies(self)]:
            raise ValueError("; ".join(faults))
        return self


def _faults_of_levels(policy: Policy, metric: Metric) -> list[str]:
    faults = []
    if not metric.within_range(policy.target):
        faults.append(f"target {policy.target:g} lies outside {metric.name}'s range {metric.range_text}")
    lenient = policy.lenient_target
    if not metric.within_range(lenient) or (metric.higher_is_better and lenient <= metric.minimum):
        faults.append(
            f"margin {policy.margin:g} reaches the end of {metric.name}'s range from target "
            f"{policy.target:g}: everything would pass"
        )
    if not metric.higher_is_better and policy.margin > 0.0 and policy.margin >= policy.target:
        faults.append(f"margin {policy.margin:g} is as wide as the target {policy.target:g} itself")
    if metric.maximum is not None:
        width = metric.maximum - metric.minimum
        faults += [
            f"{name} {value:g} is more than {metric.name}'s whole range {metric.range_text}"
            for name, value in (
                ("minimum_uplift", policy.minimum_uplift),
                ("minimum_gain_of_full", policy.minimum_gain_of_full),
            )
            if value >= width
        ]
    if policy.promotion.floor is not None and not metric.within_range(policy.promotion.floor):
        faults.append(f"promotion.floor {policy.promotion.floor:g} lies outside {metric.range_text}")
    return faults


def _faults_of_remedies(policy: Policy) -> list[str]:
    allowed = policy.remedies.allowed
    faults = []
    if len(set(allowed)) != len(allowed):
        faults.append("remedies.allowed names one twice")
    if Remedy.WIDEN_SWEEP in allowed and Remedy.SWEEP not in allowed:
        faults.append("remedies.allowed has widen_sweep without sweep: there is nothing to widen")
    if policy.remedies.maximum_rates < len(policy.fairness.rate_multiples):
        faults.append(
            f"remedies.maximum_rates {policy.remedies.maximum_rates} is less than the "
            f"{len(policy.fairness.rate_multiples)} rates of fairness.rate_multiples"
        )
    if sorted(set(policy.fairness.rate_multiples)) != list(policy.fairness.rate_multiples):
        faults.append("fairness.rate_multiples must rise, each once")
    blocking = policy.fairness.on_breach is OnBreach.BLOCK
    if blocking and Remedy.SWEEP not in allowed:
        faults.append(
            "remedies.allowed has no sweep while fairness blocks: a pilot short of the target could never "
            "be judged; allow sweep, or set fairness.on_breach to warn"
        )
    if blocking and policy.remedies.maximum_pilots < 2:
        faults.append("remedies.maximum_pilots 1 leaves none to train with a remedy while fairness blocks")
    names = [rule.name for rule in policy.guardrails.slices]
    if len(set(names)) != len(names):
        faults.append("guardrails.slices names one twice")
    tasks = [rule.folder for rule in policy.guardrails.lm_eval]
    if len(set(tasks)) != len(tasks):
        faults.append("guardrails.lm_eval names a task and metric twice")
    return faults


_OF_THE_JOB = {
    *("extends", "name", "metric", "own_metric", "target", "margin"),
    *("minimum_uplift", "minimum_gain_of_full"),
}
"""What a shipped policy cannot know."""


def _shipped(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((POLICY_FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return content


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``above`` laid over ``below``: mappings are merged key by key, everything else is replaced.

    ``None`` says nothing: forms send it for what nobody touched, and it must switch nothing off.
    """
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        if value is None and old is not None:
            continue
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result
