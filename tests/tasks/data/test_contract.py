from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from data_contracts.errors import InputError
from data_contracts.records.base import digest_bytes
from data_contracts.records.metrics import Task
from data_contracts.records.settings import ColumnSettings, DataSettings, SplitSettings
from data_contracts.records.snapshot import ContractEvidence, ContractRule, RuleSeverity
from tasks.data.checking.contract import ACCEPTED, REJECTED, check_contract, load_contract
from tasks.data.likeness.earlier import EarlierSnapshots
from tasks.data.reading.sources import read_rows
from tests.tasks.data.conftest import WriteRows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

HEADER = "kind: DataContract\napiVersion: v3.1.0\nname: mine\nschema:\n- name: rows\n"


def good_rows(count: int = 300) -> list[dict[str, Any]]:
    return [{"text": f"question {n}", "label": "xy"[n % 2]} for n in range(count)]


def good_pairs(count: int = 300) -> list[dict[str, Any]]:
    return [{"prompt": f"question {n}", "completion": "yes"} for n in range(count)]


def talk(n: int, *roles: str) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": f"words {n}"} for role in roles or ("user", "assistant")]}


class Checker:
    """Runs the contract stage over records, as a run would."""

    def __init__(self, folder: Path, write_rows: WriteRows, tokenizer: "PreTrainedTokenizerBase") -> None:
        self.folder, self.write_rows, self.tokenizer = folder, write_rows, tokenizer
        self.earlier = EarlierSnapshots()

    def __call__(
        self,
        records: list[dict[str, Any]],
        task: Task = Task.CLASSIFICATION,
        *,
        contract: str | None = None,
        max_tokens: int = 64,
        splits: SplitSettings | None = None,
        **columns: str | tuple[str, ...],
    ) -> ContractEvidence:
        path = None
        if contract is not None:
            path = self.folder / "mine.odcs.yaml"
            path.write_text(HEADER + contract, encoding="utf-8")
        source = str(self.write_rows("a.jsonl", records))
        return check_contract(
            read_rows(DataSettings(source=source, columns=ColumnSettings.model_validate(columns)), task),
            contract=load_contract(path, task),
            task=task,
            tokenizer=self.tokenizer,
            max_tokens=max_tokens,
            splits=splits or SplitSettings(),
            folder=self.folder / "contract",
            earlier=self.earlier,
        )

    def rejected(self) -> pd.DataFrame:
        return pd.read_parquet(self.folder / "contract" / REJECTED)


@pytest.fixture
def check(tmp_path: Path, write_rows: WriteRows, chat_tokenizer: "PreTrainedTokenizerBase") -> Checker:
    return Checker(tmp_path, write_rows, chat_tokenizer)


def rule(evidence: ContractEvidence, name: str) -> ContractRule:
    return next(rule for rule in evidence.rules if rule.name == name)


def refused(evidence: ContractEvidence) -> set[str]:
    """Broken rules that are more than warnings."""
    return {r.name for r in evidence.rules if not r.passed and r.severity is not RuleSeverity.WARNING}


def broken(evidence: ContractEvidence) -> set[str]:
    return {rule.name for rule in evidence.rules if not rule.passed}


def test_good_rows_pass_every_rule(check: Checker, tmp_path: Path) -> None:
    evidence = check(good_rows())
    assert broken(evidence) == set()
    assert (evidence.rows_read, evidence.rows_accepted, evidence.rows_quarantined) == (300, 300, 0)
    assert evidence.labels == ("x", "y")
    assert len(pd.read_parquet(tmp_path / "contract" / ACCEPTED)) == 300


@pytest.mark.parametrize(
    ("record", "name"),
    [
        ({"text": None, "label": "x"}, "text.required"),
        ({"text": " \t", "label": "x"}, "text.minLength"),
        ({"text": "a" * 20001, "label": "x"}, "text.maxLength"),
        ({"text": 5, "label": "x"}, "text.type"),
        ({"text": "a", "label": None}, "label.required"),
        ({"text": "a", "label": ""}, "label.minLength"),
        ({"text": "a", "label": ["x"]}, "label.type"),
    ],
)
def test_a_bad_row_breaks_its_rule_at_its_place(check: Checker, record: dict[str, Any], name: str) -> None:
    records = good_rows()
    records[6] = record
    found = rule(check(records, max_tokens=30000), name)
    assert not found.passed
    assert found.severity is RuleSeverity.BLOCKING
    assert (found.broken_rows, found.examples) == (1, ("a.jsonl, row 7",))
    assert name in check.rejected()["reason"].iloc[0]


def test_equal_rows_are_kept_once_and_the_reason_names_the_first(check: Checker) -> None:
    records = good_rows()
    evidence = check([*records, records[3], records[3]])
    assert rule(evidence, "no_duplicates").broken_rows == 2
    assert rule(evidence, "no_duplicates").severity is RuleSeverity.QUARANTINE
    assert list(check.rejected()["reason"]) == ["duplicate of a.jsonl, row 4"] * 2
    assert list(check.rejected()["source_row"]) == [301, 302]


def test_long_rows_warn_a_classifier_and_stop_an_instruction_run(check: Checker) -> None:
    text = {"text": "word " * 100, "label": "x"}
    found = rule(check([*good_rows(), text]), "max_tokens")
    assert (found.passed, found.severity) == (False, RuleSeverity.WARNING)
    assert check.rejected().empty
    pair = {"prompt": "a", "completion": "word " * 100}
    found = rule(check([*good_pairs(), pair], Task.INSTRUCTION), "max_tokens")
    assert (found.passed, found.severity, found.examples) == (
        False, RuleSeverity.BLOCKING, ("a.jsonl, row 301",)
    )  # fmt: skip


def test_one_label_is_too_few(check: Checker) -> None:
    assert refused(check([{**row, "label": "x"} for row in good_rows()])) == {"at_least_two_labels"}


@pytest.mark.parametrize("last", ["gate", "reserve"])
def test_label_that_train_never_sees_is_named(check: Checker, last: str) -> None:
    splits = ["train"] * 100 + ["tune"] * 50 + [last] * 50
    records = [{**row, "s": split} for row, split in zip(good_rows(200), splits, strict=True)]
    records[199]["label"] = "rare"
    found = rule(check(records, split="s"), "labels_seen_in_train")
    assert (found.passed, found.examples) == (False, ("a.jsonl, row 200",))


def test_too_few_rows_break_the_rule_of_each_split(check: Checker) -> None:
    evidence = check(good_rows(20))
    assert "enough_gate_rows" in broken(evidence)
    assert "37 points" in rule(evidence, "enough_gate_rows").sentence


def test_a_reserve_that_is_asked_for_must_have_enough_rows(check: Checker) -> None:
    splits = SplitSettings(reserve=0.02)
    found = rule(check(good_rows(), splits=splits), "enough_reserve_rows")
    assert not found.passed
    assert found.remedy.endswith("splits.reserve: 0")
    assert broken(check(good_rows(), splits=SplitSettings(reserve=0.0))) == set()


def in_splits(**counts: int) -> list[dict[str, Any]]:
    names = [split for split, count in counts.items() for _ in range(count)]
    return [{**row, "split": split} for row, split in zip(good_rows(len(names)), names, strict=True)]


def test_data_with_splits_of_their_own_have_the_reserve_that_they_name(check: Checker) -> None:
    without = check(in_splits(train=40, tune=20, gate=40), split="split")
    assert refused(without) == set()
    assert "enough_reserve_rows" not in {rule.name for rule in without.rules}
    few = in_splits(train=40, tune=20, gate=40, reserve=29)
    found = rule(check(few, split="split", splits=SplitSettings(reserve=0.0)), "enough_reserve_rows")
    assert (found.passed, found.observed) == (False, "29 rows")
    assert found.remedy.endswith("mark none")
    assert refused(check(in_splits(train=40, tune=20, gate=40, reserve=30), split="split")) == set()


def test_rows_that_differ_in_a_kept_column_alone_are_duplicates(check: Checker, tmp_path: Path) -> None:
    records = [{**row, "channel": "phone"} for row in good_rows()]
    evidence = check([*records, {**records[3], "channel": "post"}], keep=("channel",))
    assert rule(evidence, "no_duplicates").examples == ("a.jsonl, row 301",)
    assert set(pd.read_parquet(tmp_path / "contract" / ACCEPTED)["channel"]) == {"phone"}


def test_kept_values_stay_with_their_rows_when_others_leave(check: Checker, tmp_path: Path) -> None:
    records = [{**row, "channel": row["text"]} for row in good_rows()]
    check([{"text": "", "label": "x", "channel": "gone"}, *records], keep=("channel",))
    accepted = pd.read_parquet(tmp_path / "contract" / ACCEPTED)
    assert len(accepted) == 300
    assert list(accepted["channel"]) == list(accepted["text"])


def test_nothing_accepted_is_evidence_and_no_error(check: Checker) -> None:
    evidence = check([{"text": "", "label": "x"}] * 3)
    assert evidence.rows_accepted == 0
    assert {"enough_train_rows", "at_least_two_labels"} <= broken(evidence)


@pytest.mark.parametrize("last", ["gate", "reserve"])
def test_a_question_in_two_splits_names_both_rows(check: Checker, last: str) -> None:
    records = [{**row, "split": "train" if n < 200 else last} for n, row in enumerate(good_rows())]
    records[250] = {"text": "QUESTION  0", "label": "y", "split": last}
    found = rule(check(records, split="split"), "no_question_in_two_splits")
    assert (found.passed, found.broken_rows) == (False, 2)
    assert found.examples == (f"a.jsonl, row 1 (train) and a.jsonl, row 251 ({last})",)


@pytest.mark.parametrize("value", ["Train", None])
def test_unknown_split_is_named(check: Checker, value: str | None) -> None:
    records = [{**row, "split": "train"} for row in good_rows()]
    records[4]["split"] = value
    assert rule(check(records, split="split"), "split_value").examples == ("a.jsonl, row 5",)


@pytest.mark.parametrize(
    ("record", "name"),
    [
        (talk(0, "user"), "assistant_turns.minimum"),
        (talk(0, "assistant", "user"), "role_order"),
        (talk(0, "user", "robot"), "role_order"),
        (
            {"messages": [{"role": "user", "content": " "}, {"role": "assistant", "content": "a"}]},
            "turns_well_formed",
        ),
        ({"messages": "hello"}, "messages.type"),
        ({"messages": None}, "messages.required"),
    ],
)
def test_a_bad_conversation_breaks_its_rule(check: Checker, record: dict[str, Any], name: str) -> None:
    records = [talk(n) for n in range(1, 300)]
    found = rule(check([*records, record], Task.INSTRUCTION), name)
    assert (found.passed, found.examples) == (False, ("a.jsonl, row 300",))


def test_shipped_instruction_contract_serves_both_forms(check: Checker) -> None:
    pairs = check(good_pairs(), Task.INSTRUCTION)
    talks = check([talk(n, "system", "user", "assistant") for n in range(300)], Task.INSTRUCTION)
    assert refused(pairs) == refused(talks) == set()
    assert {rule.name.split(".")[0] for rule in pairs.rules}.isdisjoint({"messages", "assistant_turns"})
    assert {rule.name.split(".")[0] for rule in talks.rules}.isdisjoint({"prompt", "completion"})


MARKED = (
    "{% for m in messages %}<{{ m['role'] }}> {% if m['role'] == 'user' %}{{ m['content'] }}"
    "{% elif m['content'] == 'unmarked' %}{{ m['content'] }}{% generation %}{% endgeneration %}"
    "{% else %}{% generation %}{{ m['content'] }}{% endgeneration %}{% endif %} {% endfor %}"
    "{% if add_generation_prompt %}<assistant> {% endif %}"
)
"""A template whose marks stand around nothing where the answer is the word unmarked."""


@pytest.mark.parametrize(
    "contract",
    [
        None,
        "  properties:\n  - {name: messages, required: true}\n",
        "  properties:\n  - name: messages\n    quality:\n"
        "    - {type: library, name: supervised_tokens, metric: nullValues, mustBe: 0, severity: warning}\n",
        "  properties:\n  - name: supervised_tokens\n    logicalType: integer\n"
        "    customProperties: [{property: lorafirst.severity, value: warning}]\n"
        "    logicalTypeOptions: {minimum: 1}\n",
    ],
)
def test_a_row_of_which_nothing_is_learned_is_named_whatever_the_contract(
    check: Checker, contract: str | None
) -> None:
    check.tokenizer.chat_template = MARKED
    records = [talk(n) for n in range(300)]
    records[6]["messages"][1]["content"] = "unmarked"
    evidence = check(records, Task.INSTRUCTION, contract=contract)
    found = rule(evidence, "template_renders")
    assert (found.passed, found.severity) == (False, RuleSeverity.BLOCKING)
    assert (found.broken_rows, found.examples) == (1, ("a.jsonl, row 7",))
    assert "template_renders" in check.rejected()["rules"].iloc[0]
    assert len({rule.name for rule in evidence.rules}) == len(evidence.rules)


def texts(count: int = 300) -> list[dict[str, Any]]:
    names = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    return [{"text": f"Letter {n}: {names[n % 10]} came {names[n // 30]} days late."} for n in range(count)]


def test_shipped_completion_contract_takes_texts_however_long(check: Checker) -> None:
    records = [*texts(), {"text": "and " * 5_000}]
    evidence = check(records, Task.COMPLETION)
    assert refused(evidence) == set() and evidence.rows_accepted == 301
    # Windows keep all of a long text, so no rule speaks of what would be cut.
    assert "max_tokens" not in {rule.name for rule in evidence.rules} and evidence.cut_rows == {}
    assert evidence.labels == ()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "text.minLength"),
        (None, "text.required"),
        (7, "text.type"),
        ("Letter \ufffd", "replacement_characters"),
    ],
)
def test_a_bad_text_breaks_its_rule(check: Checker, text: object, name: str) -> None:
    found = rule(check([*texts(), {"text": text}], Task.COMPLETION), name)
    assert (found.passed, found.examples) == (False, ("a.jsonl, row 301",))


def test_texts_are_split_by_what_they_say(check: Checker) -> None:
    records = texts()
    evidence = check([*records, {"text": records[4]["text"].upper()}, records[5]], Task.COMPLETION)
    assert rule(evidence, "no_duplicates").broken_rows == 1
    accepted = pd.read_parquet(check.folder / "contract" / ACCEPTED)
    same = accepted[accepted["text"].str.casefold() == records[4]["text"].casefold()]
    assert len(same) >= 1 and same["split"].nunique() == 1


def test_shipped_contract_leaves_supervised_tokens_to_the_pipeline() -> None:
    checks = load_contract(None, Task.INSTRUCTION).checks
    assert not any("supervised_tokens" in check.columns for check in checks)


def test_an_answer_that_starts_from_no_token_is_named_whatever_the_contract(check: Checker) -> None:
    from tokenizers.processors import TemplateProcessing

    # Without an opening token, as many generative models have it.
    check.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A", pair="$A $B")
    records = good_pairs()
    records[6]["prompt"] = ""
    contract = "  properties:\n  - {name: prompt, required: true}\n"
    found = rule(check(records, Task.INSTRUCTION, contract=contract), "prompt_tokens")
    assert (found.passed, found.severity) == (False, RuleSeverity.BLOCKING)
    assert (found.broken_rows, found.examples) == (1, ("a.jsonl, row 7",))


def test_quarantine_puts_rows_aside_and_warning_keeps_them(check: Checker) -> None:
    def contract(severity: str) -> str:
        return (
            "  properties:\n  - name: text\n    logicalType: string\n"
            f"    customProperties: [{{property: lorafirst.severity, value: {severity}}}]\n"
            "    logicalTypeOptions: {pattern: '[0-8]$'}\n"
        )

    quarantined = check(good_rows(), contract=contract("quarantine"))
    assert (quarantined.rows_accepted, quarantined.rows_quarantined) == (270, 30)
    assert rule(quarantined, "text.pattern").severity is RuleSeverity.QUARANTINE
    warned = check(good_rows(), contract=contract("warning"))
    assert (warned.rows_accepted, rule(warned, "text.pattern").passed) == (300, False)


QUALITY = "  properties:\n  - name: label\n    quality:\n    - {{type: library, name: q, {}}}\n"


@pytest.mark.parametrize(
    ("quality", "passes"),
    [
        ("metric: nullValues, mustBe: 0", False),
        ("metric: nullValues, mustBeLessThan: 2", True),
        ("metric: nullValues, unit: percent, mustBeLessOrEqualTo: 0.5", True),
        ("metric: nullValues, unit: percent, mustBeLessOrEqualTo: 0.2", False),
        ("metric: missingValues, arguments: {missingValues: [n/a]}, mustBe: 2", True),
        ("metric: missingValues, arguments: {missingValues: [n/a]}, mustBe: 1", False),
        ("metric: invalidValues, arguments: {validValues: [x, y]}, mustBe: 1", True),
        ("metric: invalidValues, arguments: {pattern: '^.$'}, mustBe: 0", False),
        ("metric: duplicateValues, mustBeGreaterThan: 200", True),
        ("metric: duplicateValues, mustBe: 0, severity: warning", False),
    ],
)
def test_library_metrics_are_compared_as_written(check: Checker, quality: str, passes: bool) -> None:
    records = good_rows()
    records[0]["label"], records[1]["label"] = None, "n/a"
    assert rule(check(records, contract=QUALITY.format(quality)), "q").passed is passes


@pytest.mark.parametrize(
    ("part", "passes"),
    [
        ("metric: rowCount, mustBeBetween: [300, 400]", True),
        ("metric: rowCount, mustBeGreaterThan: 300", False),
        ("metric: duplicateValues, arguments: {properties: [text, label]}, mustBe: 0", True),
    ],
)
def test_table_metrics_are_compared_as_written(check: Checker, part: str, passes: bool) -> None:
    assert rule(check(good_rows(), contract=f"  quality:\n  - {{name: q, {part}}}\n"), "q").passed is passes


def test_enum_unique_and_primary_key_are_run(check: Checker) -> None:
    contract = (
        "  properties:\n  - {name: text, primaryKey: true}\n"
        "  - {name: label, unique: true, enum: [{value: x}]}\n"
    )
    evidence = check(good_rows(), contract=contract)
    assert rule(evidence, "text.unique").passed
    assert rule(evidence, "text.required").passed
    assert rule(evidence, "label.enum").broken_rows == 150
    assert rule(evidence, "label.unique").broken_rows == 298


@pytest.mark.parametrize(
    ("contract", "says"),
    [
        ("  properties:\n  - {name: txet, required: true}\n", "did you mean 'text'?"),
        ("  properties:\n  - {name: text, requird: true}\n", "did you mean 'required'?"),
        ("  properties:\n  - {name: text, logicalType: date}\n", "logicalType"),
        ("  properties:\n  - {name: text, logicalTypeOptions: {minLength: 1}}\n", "set the logicalType"),
        (
            "  properties:\n  - {name: text, logicalType: string, logicalTypeOptions: {minLenght: 1}}\n",
            "minLength",
        ),
        (
            "  properties:\n  - {name: text, logicalType: string, logicalTypeOptions: {pattern: '['}}\n",
            "regular expression",
        ),
        ("  properties:\n  - {name: text, relationships: [{to: a.b}]}\n", "would go unchecked"),
        (QUALITY.format("metric: freshness, mustBe: 0"), "nullValues"),
        (QUALITY.format("metric: nullValues"), "mustBe: 0"),
        (QUALITY.format("metric: nullValues, mustBe: none"), "a number"),
        (QUALITY.format("metric: nullValues, mustBe: 0, severity: fatal"), "severity"),
        (QUALITY.format("metric: invalidValues, mustBe: 0"), "either validValues or pattern"),
        ("  quality:\n  - {type: sql, query: select 1, mustBe: 0}\n", "sql and other engines are not run"),
        ("  quality: [\n", "line"),
    ],
)
def test_contract_that_cannot_be_run_is_refused(tmp_path: Path, contract: str, says: str) -> None:
    path = tmp_path / "mine.odcs.yaml"
    path.write_text(HEADER + contract, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_contract(path, Task.CLASSIFICATION)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


def test_all_faults_of_a_contract_come_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.odcs.yaml"
    path.write_text(
        "kind: Contract\napiVersion: v3.1.0\nschema:\n- name: rows\n  properties:\n"
        "  - {name: txet}\n  - {name: label, logicalType: date}\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError) as caught:
        load_contract(path, Task.CLASSIFICATION)
    assert len(caught.value.problems) == 3


def test_contract_on_splits_needs_a_split_column(check: Checker) -> None:
    with pytest.raises(InputError, match=r"data\.columns\.split"):
        check(good_rows(), contract="  properties:\n  - {name: split, required: true}\n")


def test_digest_is_of_the_file_as_written(tmp_path: Path) -> None:
    path = tmp_path / "mine.odcs.yaml"
    path.write_text(HEADER, encoding="utf-8")
    contract = load_contract(path, Task.INSTRUCTION)
    assert (contract.name, contract.digest) == ("mine", digest_bytes(HEADER.encode()))


def test_rows_of_one_group_share_a_split(check: Checker, tmp_path: Path) -> None:
    records = [{**row, "customer": f"c{n // 3}"} for n, row in enumerate(good_rows())]
    assert broken(check(records, group="customer")) == set()
    accepted = pd.read_parquet(tmp_path / "contract" / ACCEPTED)
    assert accepted.groupby("group_key")["split"].nunique().max() == 1
    assert accepted["split"].nunique() == 4


def test_a_group_in_two_splits_of_the_datas_own_is_named(check: Checker) -> None:
    splits = ["train"] * 100 + ["tune"] * 50 + ["gate"] * 50
    records = [
        {**row, "s": s, "c": f"c{n}"} for n, (row, s) in enumerate(zip(good_rows(200), splits, strict=True))
    ]
    records[199]["c"] = "c3"
    found = rule(check(records, split="s", group="c"), "no_group_in_two_splits")
    assert (found.passed, found.broken_rows) == (False, 2)
    assert found.examples == ("a.jsonl, row 4 (train) and a.jsonl, row 200 (gate)",)
