"""The answer to somebody who was not there: complete, in order, and each claim with a file that holds it."""

import os
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from data_contracts.records.decision import Interval, Outcome, RuleResult, Verdict
from data_contracts.records.policy import Policy
from tasks.audit.explanation import Explanation, explain_dossier, explain_run
from tasks.audit.explanation_markdown import explanation_markdown
from tasks.audit.overview import read_run
from tasks.audit.report_charts import interval_chart
from tasks.audit.report_page import report_page
from tasks.audit.shortfalls import limit_of, told_miss
from tasks.audit.way import JudgedRule
from tasks.decisions.gates import decide_need
from tasks.decisions.gates.need import BASE_LEVEL
from tasks.decisions.gates.rules import GAIN, LEVEL, UPLIFT
from tests.tasks.audit.conftest import POLICY, REASON, Written, report_of, request_of, training
from tests.tasks.decisions.conftest import ERROR_RATE, RUN, right
from tests.tasks.evidence.made import finish


def explained(written: Written, outcome: Outcome = Outcome.FULL_ACCEPTED) -> Explanation:
    return explain_dossier(written.dossier, report_of(written.dossier, outcome, "full/model"))


def told(explanation: Explanation, question: str) -> str:
    return "\n".join(
        claim.sentence
        for answer in explanation.answers
        if question in answer.question
        for claim in answer.claims
    )


def test_every_question_is_answered_with_its_figures(escalated: Written) -> None:
    explanation = explained(escalated)
    assert "accuracy at least 0.88 (target 0.9, margin 0.02)" in told(explanation, "asked")
    short = told(explanation, "fell short")
    assert re.search(
        r"gate quality, level \(not held\): accuracy 0\.8 .*mean misses it by 0\.08, and even", short
    )
    assert "fairness" not in short  # the last word on fairness was that it is fair
    assert told(explanation, "remedies") == (
        "sweep (3 trials at rates 0.0003, 0.001, 0.003), because this did not hold: "
        "the best learning rate lies between others."
    )
    cost = told(explanation, "cost")
    assert "1 training: 7,200.0 s (4 processor hours), peak memory 1.00 GiB, 6.00 at 3 an hour." in cost
    assert "18,003.0 s (10 processor hours)" in cost  # five seeds of an hour, three tried rates of a second
    assert "1 processor hours spent, 2 forecast for full" in cost
    assert f"Ada allowed it (recorded, not signed): {REASON}" in told(explanation, "allowed")
    assert "is better than lora by 0.15" in told(explanation, "bring")
    assert told(explanation, "use") == "The run offers full/model."
    assert explanation.unreadable == ()


def test_the_way_is_told_in_the_order_in_which_one_led_to_the_other(escalated: Written) -> None:
    for path in escalated.dossier.folder.rglob("evidence.json"):
        os.utime(path, (0, 0))  # a copied dossier knows no times
    seeds = [f"pilot-1-lora-r16-seed-{seed}" for seed in range(18, 22)]
    assert [step.title for step in explained(escalated).way] == [
        "baseline/gate", "gate need",
        "pilot-1-lora-r16", "pilot-1-lora-r16/tune", "gate fairness",
        "sweep/01-0.0003", "sweep/02-0.001", "sweep/03-0.003", "gate fairness",
        "pilot-1-lora-r16/gate", *(name for seed in seeds for name in (seed, f"{seed}/gate")), "gate quality",
        "gate escalation", "full", "full/gate", "gate justification",
    ]  # fmt: skip


def test_every_claim_names_a_file_that_is_there(escalated: Written) -> None:
    (escalated.dossier.folder / "full/model").mkdir()
    explanation = explained(escalated)
    escalated.dossier.write_page("report.html", report_page(explanation, version="1"))
    escalated.dossier.write_report(report_of(escalated.dossier, Outcome.FULL_ACCEPTED))
    finish(escalated.dossier)
    files = {claim.file for answer in explanation.answers for claim in answer.claims}
    files |= {step.file for step in explanation.way}
    assert {file for file in files if not (escalated.dossier.folder / file).exists()} == set()
    assert "decisions/05-escalation.json" in files and "permit.json" in files


def test_an_interrupted_run_says_so(unended: Written) -> None:
    explanation = explain_run(unended.dossier.folder.parent, unended.dossier.folder.name)
    assert explanation.outcome is None
    assert "has not ended: nothing has been decided yet" in explanation.sentence
    assert "not ended" in explanation_markdown(explanation).splitlines()[0]
    assert all(answer.claims for answer in explanation.answers)
    assert told(explanation, "use") == "Nothing yet: the run has not ended."
    assert told(explanation, "cost") == "Nothing: no such training has finished."
    unended.stage("pilot-1-lora-r16", training("lora"))
    assert [step.title for step in explain_dossier(unended.dossier, None).way] == ["pilot-1-lora-r16"]


def test_a_run_that_ended_because_the_base_suffices(unended: Written) -> None:
    base = right(0.95, name="the bare base")
    unended.decide(decide_need(base, distance=None, policy=POLICY, run_id=RUN, alpha=0.05))
    explanation = explained(unended, Outcome.BASE_SUFFICES)
    assert re.search(
        r"gate need, level of the base \(not held\): .* the base reaches it with 0\.05\d* to spare",
        told(explanation, "fell short"),
    )
    assert "no weight of the base was changed" in told(explanation, "cost")
    assert "Nobody was asked" in told(explanation, "allowed")
    assert "base_suffices" in report_page(explanation, version="1")


def test_what_cannot_be_read_is_named_and_hides_nothing_else(escalated: Written) -> None:
    (escalated.dossier.folder / "full/evidence.json").write_text("{}", encoding="utf-8")
    request = request_of({"name": "made", "policy": {"of": "another version"}})
    escalated.dossier.write_request(request)
    explanation = explained(escalated)
    assert explanation.unreadable == ("request.yaml", "full/evidence.json")
    assert "full/evidence.json" in explanation_markdown(explanation).split("cannot be read")[1]
    assert "gate quality, level (not held)" in told(explanation, "fell short")
    assert "Not all of it can be told: full/evidence.json" in told(explanation, "cost")
    assert "Nothing" not in told(explanation, "cost")
    (escalated.dossier.folder / "full/evidence.json").unlink()
    assert told(explained(escalated), "cost").startswith("Full was judged, but what its training took is not")
    assert {each.limit for step in explanation.way for each in step.rules} == {None}


def test_a_threshold_of_another_policy_is_not_drawn(escalated: Written) -> None:
    """The request was altered: its policy is not the one that was decided under."""
    request = escalated.dossier.request()
    altered = {**request.settings, "policy": {**request.settings["policy"], "target": 0.7}}  # type: ignore[dict-item]
    escalated.dossier.write_request(request.model_copy(update={"settings": altered}))
    assert {each.limit for step in explained(escalated).way for each in step.rules} == {None}


def rule(name: str, lower: float, mean: float, upper: float, verdict: Verdict) -> RuleResult:
    interval = Interval(mean=mean, lower=lower, upper=upper, alpha=0.05, rows=10, method="bootstrap-bca")
    return RuleResult(name=name, observed="", interval=interval, threshold="", verdict=verdict, sentence="")


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        # Errors: at most 0.55 is asked for, so that the optimistic bound is the lower one.
        (
            rule(LEVEL, 0.6, 0.7, 0.8, Verdict.FAIL),
            "the mean misses it by 0.15, and even the optimistic bound by 0.05",
        ),
        (
            rule(LEVEL, 0.4, 0.5, 0.6, Verdict.INCONCLUSIVE),
            "the mean is beyond it by 0.05, the pessimistic bound misses it by 0.05, "
            "the optimistic one does not",
        ),
        # Gains point upwards whatever the metric does.
        (
            rule(UPLIFT, -0.2, -0.1, 0.0, Verdict.FAIL),
            "the mean misses it by 0.15, and even the optimistic bound by 0.05",
        ),
        (rule(GAIN, 0.0, 0.1, 0.2, Verdict.PASS), ""),
        (
            rule(BASE_LEVEL, 0.3, 0.4, 0.5, Verdict.FAIL),
            "the base reaches it with 0.05 to spare even at its pessimistic bound",
        ),
    ],
)
def test_by_how_much_follows_the_direction_of_the_metric(result: RuleResult, expected: str) -> None:
    assert told_miss(result, limit_of(result, ERROR_RATE)) == expected


def test_the_numbers_of_guardrails_are_those_of_the_policy() -> None:
    rails = {
        "slices": [{"name": "by phone", "equals": "x", "margin": 0.2}],
        "forgetting": {"margin": 0.1},
        "answer_format": {"pattern": "a", "minimum_share": 0.9},
    }
    policy = Policy.model_validate({**ERROR_RATE.model_dump(), "guardrails": rails})
    for name, floor in (("by phone", -0.2), ("forgetting", -0.1), ("answer format", 0.9)):
        limit = limit_of(rule(f"guardrail: {name}", 0, 0, 0, Verdict.FAIL), policy)
        assert limit is not None and (limit.value, limit.higher_is_better) == (floor, True)
    assert limit_of(rule("guardrail: unheard of", 0, 0, 0, Verdict.FAIL), policy) is None


class _Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((name, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(page: str) -> _Seen:
    seen = _Seen()
    seen.feed(page)
    return seen


def test_the_page_shows_it_all_and_loads_nothing(escalated: Written) -> None:
    explanation = explained(escalated)
    seen = parsed(report_page(explanation, version="1"))
    for answer in explanation.answers:
        assert answer.question in seen.text
        assert all(claim.sentence in seen.text for claim in answer.claims)
    names = [name for name, _ in seen.tags]
    assert not {"script", "link", "img", "iframe"} & set(names)
    policy = next(given for name, given in seen.tags if "http-equiv" in given)
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert not any(key in given for _, given in seen.tags for key in ("src", "onload", "onclick"))
    links = [str(given["href"]) for name, given in seen.tags if name == "a"]
    assert links and not any(":" in link or link.startswith("/") for link in links)
    later = {"outcome.json", "full/model"}
    assert all((escalated.dossier.folder / unquote(link)).exists() for link in links if link not in later)
    assert REASON in seen.text  # as text, not as markup


def test_each_interval_stands_against_its_threshold_where_it_should(escalated: Written) -> None:
    page = report_page(explained(escalated), version="1")
    pictures = re.findall(r'<figure class="interval">(.*?)</figure>', page, re.S)
    intervals = [each for step in explained(escalated).way for each in step.rules if each.rule.interval]
    assert len(pictures) == len(intervals) == 7
    for picture, judged in zip(pictures, intervals, strict=True):
        limit = float(re.search(r'class="limit" x1="([\d.]+)%', picture)[1])  # type: ignore[index]
        bounds = [float(x) for x in re.findall(r'class="span" x1="([\d.]+)%', picture)]
        mean = float(re.search(r'cx="([\d.]+)%', picture)[1])  # type: ignore[index]
        interval = judged.rule.interval
        assert interval is not None and judged.limit is not None
        assert bounds[1] <= mean <= bounds[2]
        assert (limit < bounds[1]) == (judged.limit < interval.lower)
        assert (limit > bounds[2]) == (judged.limit > interval.upper)
        assert all(0 < place < 100 for place in (*bounds, limit))


@pytest.mark.parametrize(("higher", "x", "width"), [(True, "50.00%", "50.00%"), (False, "0", "50.00%")])
def test_what_is_asked_for_is_shaded_on_its_side_of_the_line(higher: bool, x: str, width: str) -> None:
    judged = JudgedRule(
        rule=rule(LEVEL, 0.0, 0.5, 1.0, Verdict.INCONCLUSIVE), limit=0.5, higher_is_better=higher, missed=""
    )
    shaded = next(given for name, given in parsed(interval_chart(judged)).tags if name == "rect")
    assert (shaded["x"], shaded["width"]) == (x, width)


def test_curves_and_costs_of_every_training_are_on_the_page(escalated: Written) -> None:
    page = report_page(explained(escalated), version="1")
    assert page.count('class="tune"') == 6  # five seeds of the pilot, and full
    # Losses of 2.5 down to 1.25 on a scale whose lower end is train's 0.75, with a little room.
    assert '<polyline points="0.00,4.00 100.00,69.71" class="tune">' in page
    assert "loss on tune from 2.5 to 1.25 nats over 100 steps" in page
    costs = page.split("What each stage took")[1]
    assert ">7,200.0<" in costs and ">1.00<" in costs


def test_markdown_cannot_be_broken_by_a_reason(escalated: Written) -> None:
    markdown = explanation_markdown(explained(escalated))
    assert "<b>" not in markdown.replace("\\<", "")
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {6}


def test_show_tells_the_same_stages(escalated: Written, tmp_path: Path) -> None:
    lines = read_run(tmp_path / "runs", escalated.dossier.folder.name).stages
    assert any(line.startswith("full ") and "7,200 s, peak 1.00 GiB" in line for line in lines)
    assert any(
        line.startswith("pilot-1-lora-r16/gate") and "accuracy 0.8 on 1,000 rows" in line for line in lines
    )
