"""What the UI shows says what the decision says, and cannot be broken by the text in it."""

from data_contracts.records.decision import Decision, Gate, RuleResult, Verdict
from tasks.stages.artifacts import decision_markdown
from tasks.stages.measure import measured
from tasks.stages.watching import artifact_key


def test_a_decision_table_has_a_row_per_rule_whatever_stands_in_it() -> None:
    rules = tuple(
        RuleResult(
            name=name,
            observed="3 rows match a|b",
            interval=None,
            threshold="none match\n^(a|b)$",
            verdict=Verdict.FAIL,
            sentence="Bad rows.",
            decides=decides,
        )
        for name, decides in (("pattern", True), ("reported", False))
    )
    decision = Decision(
        gate=Gate.CONTRACT,
        verdict=Verdict.FAIL,
        rules=rules,
        sentence="Broken.",
        run_id="run",
        policy="sha256:" + "0" * 64,
        evidence=(),
    )
    table = [line for line in decision_markdown(decision).splitlines() if line.startswith("|")]
    assert len(table) == 4
    assert table[2] == r"| pattern | ✗ fail | 3 rows match a\|b | none match ^(a\|b)$ |"
    assert "| (fail) |" in table[3]


def test_an_inner_measurement_does_not_hide_the_outer_peak() -> None:
    size = 150 * 2**20
    with measured() as outer:
        block = bytearray(size)
        del block
        with measured() as inner:
            pass
    assert outer.cost.peak_memory_bytes >= inner.cost.peak_memory_bytes + size // 2


def test_artifact_keys_are_what_prefect_accepts() -> None:
    assert artifact_key("Gate", "qua/lity_É") == "gate-qua-lity--"
