"""``report.html``: an explanation for somebody who would rather look.

One document that loads nothing, without script; links lead to files beside it in the dossier.
"""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from data_contracts.records.decision import Verdict
from tasks.audit.explanation import Answer, Explanation
from tasks.audit.explanation_markdown import MARKS, told_cost
from tasks.audit.report_charts import curve_chart, interval_chart
from tasks.audit.way import JudgedRule, Step
from tasks.data.pages.charts import bars
from tasks.data.pages.markup import Html, facts, page, table, tag

REPORT_PAGE = "report.html"

_STYLE = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
_MOST_IN_A_TABLE = 12
_COLOURS = {Verdict.PASS: "good", Verdict.FAIL: "bad", Verdict.INCONCLUSIVE: "warn"}


def report_page(explanation: Explanation, *, version: str) -> str:
    """The whole document."""
    outcome = explanation.outcome
    colour = "good" if outcome is not None and outcome.accepted else "warn"
    body = [
        tag("p", "run", class_="kind"),
        tag("h1", explanation.run_id),
        tag("p", outcome.value if outcome is not None else "not ended", class_=f"verdict {colour}"),
        tag("p", explanation.sentence),
        _overview(explanation),
        *(part for answer in explanation.answers for part in _answer(answer)),
        tag("h2", "The way taken"),
        tag("ol", *(_step(step) for step in explanation.way), class_="way"),
        *_rules(explanation),
        *_curves(explanation),
        *_costs(explanation),
        *_unreadable(explanation),
    ]
    return page(
        f"{explanation.run_id}: report",
        body,
        made_by=f"lorafirst {version}. Made from the files of this dossier, which manifest.json lists with "
        "their digests. This page holds no row's text.",
        style=_STYLE,
    )


def _overview(explanation: Explanation) -> Html:
    entries = {
        "asked by": explanation.requested_by,
        "asked at (UTC)": f"{explanation.requested_at:%Y-%m-%d %H:%M}",
    }
    entries["decisions"] = explanation.signature
    if explanation.seconds is not None:
        entries["took"] = f"{explanation.seconds:,.0f} s"
    if explanation.peak_memory_bytes is not None:
        entries["peak memory"] = f"{explanation.peak_memory_bytes / 2**30:.1f} GiB"
    return facts(entries)


def _answer(answer: Answer) -> list[Html]:
    claims = (tag("li", f"{claim.sentence} ", _link(claim.file)) for claim in answer.claims)
    return [tag("h2", answer.question), tag("ul", *claims, class_="claims")]


def _step(step: Step) -> Html:
    if step.verdict is None:
        took = f" ({told_cost(step)}) "
        return tag("li", tag("b", step.title), f" {step.line}{took}", _link(step.file), class_="work")
    chip = tag("span", MARKS[step.verdict], class_=f"chip {_COLOURS[step.verdict]}")
    return tag(
        "li",
        tag("b", step.title),
        chip,
        tag("div", f"{step.line} ", _link(step.file)),
        class_=step.verdict.value,
    )


def _rules(explanation: Explanation) -> Iterator[Html]:
    """Rules with an interval as plots, broken ones in words, the rest as one table a gate.

    A contract has dozens of rules about facts; those that hold are named, and told in the gate's file.
    """
    gates = [step for step in explanation.way if step.rules]
    if gates:
        yield tag("h2", "Every rule")
    for step in gates:
        yield tag("h3", f"{step.title} ", _link(step.file))
        shown = [each for each in step.rules if _stands_out(each)]
        yield from (_rule(each) for each in shown)
        rest = [each.rule for each in step.rules if not _stands_out(each)]
        if len(rest) > _MOST_IN_A_TABLE:
            yield tag("p", f"{len(rest)} rules hold: {', '.join(rule.name for rule in rest)}.")
        elif rest:
            rows: list[list[str | Html]] = [[rule.name, rule.observed, rule.threshold] for rule in rest]
            yield tag("div", table(["rule that holds", "observed", "asked for"], rows), class_="held")


def _stands_out(each: JudgedRule) -> bool:
    return each.rule.interval is not None or each.rule.verdict is not Verdict.PASS


def _rule(each: JudgedRule) -> Html:
    rule = each.rule
    told = MARKS[rule.verdict] if rule.decides else f"{MARKS[rule.verdict]}, decides nothing"
    entries = {"observed": rule.observed, "asked for": rule.threshold}
    if each.missed:
        entries["in figures"] = each.missed
    return tag(
        "article",
        tag("h3", rule.name, tag("span", told, class_=f"chip {_COLOURS[rule.verdict]}")),
        tag("p", rule.sentence),
        interval_chart(each),
        tag("dl", *(part for name, text in entries.items() for part in (tag("dt", name), tag("dd", text)))),
        class_=f"rule {rule.verdict.value}",
    )


def _curves(explanation: Explanation) -> list[Html]:
    drawn = [chart for step in explanation.way if (chart := curve_chart(step.title, step.curve))]
    return [tag("h2", "Learning curves"), tag("div", *drawn, class_="curves")] if drawn else []


def _costs(explanation: Explanation) -> list[Html]:
    paid = [(step, step.cost) for step in explanation.way if step.cost is not None]
    if not paid:
        return []
    total = sum(cost.seconds for _, cost in paid) or 1.0
    rows: list[list[str | Html]] = [
        [
            tag("a", step.title, href=quote(step.file)),
            f"{cost.seconds:,.1f}",
            f"{cost.cpu_seconds / 3600:.3g}",
            f"{cost.peak_memory_bytes / 2**30:.2f}",
        ]
        for step, cost in paid
    ]
    return [
        tag("h2", "What each stage took"),
        tag(
            "p",
            "Stages found finished cost nothing again; these are the costs of making them.",
            class_="quiet",
        ),
        table(["stage", "seconds", "processor hours", "peak GiB"], rows, numbers=frozenset({1, 2, 3})),
        tag("h3", "Share of the time, in milliseconds"),
        bars([(step.title, round(cost.seconds * 1000)) for step, cost in paid], total=round(total * 1000)),
    ]


def _unreadable(explanation: Explanation) -> list[Html]:
    if not explanation.unreadable:
        return []
    return [
        tag("h2", "What cannot be read"),
        tag("ul", *(tag("li", _link(file)) for file in explanation.unreadable)),
    ]


def _link(file: str) -> Html:
    return tag("a", file, href=quote(file))
