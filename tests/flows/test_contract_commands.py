"""``lorafirst contract``: drafts hold for their data, checks name places, differences name rows."""

import json
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from data_contracts.records.contract_reports import ContractComparison, ContractReport
from flows.command_line import app
from flows.commands.failing import EXIT_DATA_REJECTED, EXIT_INPUT

Rows = list[dict[str, Any]]


def invoke(*arguments: object) -> Any:
    result = CliRunner().invoke(app, ["contract", *map(str, arguments)])
    assert "Traceback" not in result.output
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def rows(questions: list[tuple[str, str]]) -> Rows:
    """Questions, without the few that have lost a byte and are put aside for it."""
    return [{"text": text, "label": label} for text, label in questions if "\ufffd" not in text][:400]


def write(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def data(tmp_path: Path, rows: Rows) -> Path:
    return write(tmp_path / "rows.jsonl", rows)


_DRAFTS: dict[bytes, str] = {}


@pytest.fixture
def contract(tmp_path: Path, data: Path) -> Path:
    """A draft from ``data``, drawn once."""
    content = data.read_bytes()
    if content not in _DRAFTS:
        result = invoke("init", data)
        assert result.exit_code == 0, result.output
        _DRAFTS[content] = result.stdout
    path = tmp_path / "rows.odcs.yaml"
    path.write_text(_DRAFTS[content], encoding="utf-8")
    return path


@pytest.mark.parametrize("command", ["init", "check", "diff"])
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    result = invoke(command, "--help")
    assert result.exit_code == 0
    assert f"lorafirst contract {command}" in result.output
    assert "Exit codes" in result.output


def test_help_answers_at_once() -> None:
    # Processor time, which others on the machine do not lengthen.
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "flows.command_line", "--help"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


def test_a_draft_accepts_the_data_it_was_drawn_from(data: Path, contract: Path) -> None:
    result = invoke("check", data, contract, "--json")
    assert result.exit_code == 0, result.output
    report = ContractReport.model_validate_json(result.stdout)
    assert [rule.name for rule in report.evidence.rules if drafted(rule.name) and not rule.passed] == []
    assert [rule.name for rule in report.evidence.rules if rule.blocks] == []


def test_a_draft_says_what_was_observed(contract: Path, rows: Rows) -> None:
    text = contract.read_text(encoding="utf-8")
    labels = yaml.safe_load(text)["schema"][0]["properties"][1]["enum"]
    assert {entry["value"] for entry in labels} == {row["label"] for row in rows}
    people = sum(row["label"] == "HUM" for row in rows)
    assert re.search(rf'value: "HUM" +# {people} rows, {100 * people / 400:.1f} %', text)
    longest = max(len(row["text"]) for row in rows)
    assert f" to {longest} characters" in text


def labelled(*pairs: tuple[Any, Any]) -> Rows:
    return [{"text": text, "label": label} for text, label in pairs]


ODD_LABELS = ["no", "007", "a: b", "#c", '"', "\u2028é😀", "\t"]
MESSY = {
    "nulls and repeats": labelled((None, "a"), ("x", None), ("q", "b")) * 20,
    "mixed types": labelled((5, "a"), ("b", 1), (["c"], True)) * 20,
    "odd labels": labelled(*((f"t{n}", label) for n, label in enumerate(ODD_LABELS))),
    "blanks": labelled((" ", "a"), ("", "b"), ("long " * 3000, "c")),
    "many labels": labelled(*((f"t{n}", f"l{n}") for n in range(300))),
    "one row": labelled(("t", "l")),
}


def drafted(name: str) -> bool:
    """Whether a rule is one that drafts for labels hold, and not the pipeline's own."""
    return name in {"rows_expected", "repeats"} or name.split(".")[0] in {"text", "label"}


@pytest.mark.parametrize("case", MESSY)
def test_a_draft_of_messy_data_loads_and_its_rules_hold(tmp_path: Path, case: str) -> None:
    data, path = write(tmp_path / "rows.jsonl", MESSY[case]), tmp_path / "a.odcs.yaml"
    assert invoke("init", data, "-o", path).exit_code == 0
    report = ContractReport.model_validate_json(invoke("check", data, path, "--json").stdout)
    rules = [rule for rule in report.evidence.rules if drafted(rule.name) or "_nulls" in rule.name]
    assert len(rules) > 2
    assert [rule.name for rule in rules if not rule.passed] == []


TALKS = [
    {"messages": [{"role": "user", "content": f"What is {n}?"}, {"role": "assistant", "content": str(n)}]}
    for n in range(300)
]
PAIRS = [{"instruction": f"Say {n}.", "input": "", "output": str(n)} for n in range(300)]


@pytest.mark.parametrize("rows", [TALKS, PAIRS], ids=["messages", "alpaca"])
def test_a_draft_of_instructions_accepts_them(tmp_path: Path, rows: Rows) -> None:
    data, path = write(tmp_path / "rows.jsonl", rows), tmp_path / "a.odcs.yaml"
    assert invoke("init", data, "-o", path).exit_code == 0
    result = invoke("check", data, path, "--json")
    assert result.exit_code == 0, result.output
    assert [
        rule["name"] for rule in json.loads(result.stdout)["evidence"]["rules"] if not rule["passed"]
    ] == []


def test_a_recognised_form_is_named_on_the_terminal(tmp_path: Path) -> None:
    data, path = write(tmp_path / "rows.jsonl", PAIRS), tmp_path / "a.odcs.yaml"
    assert "Alpaca form: " in invoke("init", data).output
    invoke("init", data, "-o", path)
    assert "Alpaca form: " in invoke("check", data, path).output


def test_a_draft_asks_for_our_own_rules_and_says_what_they_found(tmp_path: Path, rows: Rows) -> None:
    rows[6]["text"] = "paid with 4111 1111 1111 1111"
    text = invoke("init", write(tmp_path / "rows.jsonl", rows)).stdout
    assert re.search(r"implementation: card_numbers}\n +# quarantine; observed: 1 of 400 rows", text)
    assert "4111" not in text


def test_a_draft_replaces_no_file(data: Path, contract: Path) -> None:
    before = contract.read_bytes()
    result = invoke("init", data, "--output", contract)
    assert result.exit_code == EXIT_INPUT
    assert "to do:" in result.output
    assert contract.read_bytes() == before


def broken(rows: Rows) -> Rows:
    """Row 7 gets an unknown label, row 9 no text."""
    changed = [dict(row) for row in rows]
    changed[6]["label"], changed[8]["text"] = "NEW", ""
    return changed


def test_broken_rows_are_named_with_exit_code_3(tmp_path: Path, rows: Rows, contract: Path) -> None:
    data = write(tmp_path / "new.jsonl", broken(rows))
    result = invoke("check", data, contract)
    assert result.exit_code == EXIT_DATA_REJECTED
    assert "new.jsonl, row 7" in result.output
    assert "new.jsonl, row 9" in result.output
    for word in ("expected:", "found:", "to do:", "--page"):
        assert word in result.output


def test_json_is_one_document_and_nothing_else(tmp_path: Path, rows: Rows, contract: Path) -> None:
    result = invoke("check", write(tmp_path / "new.jsonl", broken(rows)), contract, "--json")
    report = ContractReport.model_validate_json(result.stdout)
    assert not report.passed
    assert "label.enum" in report.sentence


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--task", "poetry"], "classification or instruction"),
        (["-c", "text"], "OURS=YOURS"),
        (["-c", "txet=a"], "OURS=YOURS"),
        (["--form", "llama"], "alpaca or sharegpt"),
        (["-c", "text=question"], "--column X=NAME"),
        (["--task", "instruction"], "found:"),
    ],
)
def test_options_that_cannot_work_say_what_to_write(
    data: Path, contract: Path, options: list[str], says: str
) -> None:
    result = invoke("check", data, contract, *options)
    assert result.exit_code == EXIT_INPUT
    assert says in result.output
    assert "to do:" in result.output


def test_columns_of_two_tasks_ask_for_the_task(tmp_path: Path) -> None:
    rows = [{"text": "a", "label": "b", "prompt": "c", "completion": "d"}]
    result = invoke("init", write(tmp_path / "rows.jsonl", rows))
    assert result.exit_code == EXIT_INPUT
    assert "--task classification or --task instruction" in result.output


def test_texts_alone_are_to_be_gone_on_with(tmp_path: Path) -> None:
    data = write(tmp_path / "texts.jsonl", [{"text": f"Letter {n} came late."} for n in range(300)])
    drafted = tmp_path / "texts.odcs.yaml"
    result = invoke("init", data, "-o", drafted)
    assert result.exit_code == 0 and "completion" in drafted.read_text(encoding="utf-8")
    result = invoke("check", data, drafted, "--json")
    assert result.exit_code == 0 and "Task: completion" in " ".join(result.stdout.split())
    rows = [{"text": f"{n} came", "label": "ab"[n % 2]} for n in range(300)]
    labelled = write(tmp_path / "labelled.jsonl", rows)
    for task, columns in ((None, {"text", "label"}), ("completion", {"text"})):
        path = tmp_path / f"{task}.odcs.yaml"
        result = invoke("init", labelled, *(["--task", task] if task else []), "-o", path)
        assert result.exit_code == 0, result.output
        properties = yaml.safe_load(path.read_text(encoding="utf-8"))["schema"][0]["properties"]
        assert {each["name"] for each in properties} == columns


SECRET = "sk-live-4242424242424242 ada@example.org"


def test_the_page_stands_alone_and_shows_places_but_no_text(
    tmp_path: Path, rows: Rows, contract: Path
) -> None:
    bad = broken(rows)
    bad[3]["text"] = f"My key is {SECRET} <script>alert(1)</script>" + "long " * 3000
    page = tmp_path / "found.html"
    invoke("check", write(tmp_path / "new.jsonl", bad), contract, "--page", page)
    text = page.read_text(encoding="utf-8")
    assert "new.jsonl, row 4" in text
    for hidden in (SECRET, "<script", "My key"):
        assert hidden not in text
    assert not re.search(r"""(src|href)\s*=|url\(|@import|https?://""", text)


def test_a_private_label_is_shown_nowhere(tmp_path: Path) -> None:
    rows = [{"text": f"question {n}", "label": "xy"[n % 2]} for n in range(200)]
    rows[7]["label"] = rows[9]["label"] = "ada@example.org"
    shipped = Path(__file__).parents[2] / "data_contracts" / "datasets" / "classification.odcs.yaml"
    page = tmp_path / "found.html"
    result = invoke("check", write(tmp_path / "a.jsonl", rows), shipped, "--page", page)
    assert "(withheld)" in result.output
    assert "ada@example" not in result.output + page.read_text(encoding="utf-8")


def test_a_draft_names_no_private_label(tmp_path: Path) -> None:
    rows = [{"text": f"question {n}", "label": "xy"[n % 2]} for n in range(200)]
    rows[7]["label"] = "ada@example.org"
    result = invoke("init", write(tmp_path / "a.jsonl", rows))
    assert "ada@example" not in result.output


@pytest.fixture
def snapshot(tmp_path: Path, rows: Rows) -> Path:
    """Of the first half of the rows, as a run with ``data.earlier`` would find it."""
    from data_contracts.records.metrics import Task
    from data_contracts.records.settings import DataSettings, SplitSettings
    from tasks.data.checking.contract import check_contract, load_contract
    from tasks.data.reading.sources import read_rows
    from tasks.data.snapshot.freezing import freeze_snapshot

    source = write(tmp_path / "april.jsonl", rows[:200])
    (tmp_path / "april").mkdir()
    evidence = check_contract(
        read_rows(DataSettings(source=str(source)), Task.CLASSIFICATION),
        contract=load_contract(None, Task.CLASSIFICATION),
        task=Task.CLASSIFICATION,
        tokenizer=None,
        max_tokens=256,
        splits=SplitSettings(),
        folder=tmp_path / "april",
    )
    (tmp_path / "snapshot").mkdir()
    freeze_snapshot(tmp_path / "april", evidence, tmp_path / "snapshot")
    return tmp_path / "snapshot"


EARLIER_RULES = """
      - {type: custom, engine: lorafirst, implementation: {rule: seen_in_earlier_gate, similarity: 0.7}}
      - {type: custom, engine: lorafirst, implementation: vocabulary_drift}
      - {type: custom, engine: lorafirst, implementation: length_drift}"""
BARE = """version: 1.0.0
kind: DataContract
apiVersion: v3.1.0
id: questions
status: active
schema:
  - name: rows
    quality:%s
    properties:
      - {name: text, logicalType: string, required: true}
      - {name: label, logicalType: string, required: true}
"""


def test_new_data_are_held_against_an_earlier_snapshot(tmp_path: Path, rows: Rows, snapshot: Path) -> None:
    import pyarrow.parquet as pq

    contract = tmp_path / "questions.odcs.yaml"
    contract.write_text(BARE % EARLIER_RULES, encoding="utf-8")
    seen = max(pq.read_table(snapshot / "gate.parquet")["text"].to_pylist(), key=len)
    now = [{"text": f"{row['text']} {n}", "label": row["label"]} for n, row in enumerate(rows[200:])]
    # One of these lies in train by its hash; alone it could lie in any split.
    leaked = [
        {"text": f"{seen} {word}", "label": "NUM"} for word in ("then", "today", "now", "please", "really")
    ]
    data = write(tmp_path / "may.jsonl", [*now, *leaked])
    without = ContractReport.model_validate_json(invoke("check", data, contract, "--json").stdout)
    assert without.evidence.rows_quarantined == 0
    assert without.evidence.drift is None
    assert any("--earlier" in note for note in without.notes)
    result = invoke("check", data, contract, "--earlier", snapshot, "--json")
    report = ContractReport.model_validate_json(result.stdout)
    assert not any("--earlier" in note for note in report.notes)
    found = {rule.name: rule for rule in report.evidence.rules}
    (leak,) = (rule for name, rule in found.items() if "seen_in_earlier_gate" in name)
    assert {int(place.rpartition(" ")[2]) for place in leak.examples} <= set(range(201, 206))
    assert 1 <= leak.broken_rows == report.evidence.rows_quarantined
    assert report.evidence.drift is not None
    assert {figure.aspect.value for figure in report.evidence.drift.figures} >= {"lengths", "vocabulary"}


@pytest.mark.parametrize("damage", ["absent", "cut", "other columns"])
def test_an_earlier_snapshot_that_cannot_be_used_says_so(
    tmp_path: Path, data: Path, contract: Path, snapshot: Path, damage: str
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = snapshot / "gate.parquet"
    if damage == "absent":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:100])
    else:
        pq.write_table(pa.table({"a": [1]}), file)
    result = invoke("check", data, contract, "--earlier", snapshot)
    assert result.exit_code == EXIT_INPUT
    for word in ("gate.parquet", "data.earlier[0]", "data.earlier is --earlier"):
        assert word in " ".join(result.output.split())


def test_a_page_that_cannot_be_written_says_so(data: Path, contract: Path) -> None:
    result = invoke("check", data, contract, "--page", "/proc/none/a.html")
    assert result.exit_code == EXIT_INPUT
    assert "--page /proc/none/a.html" in result.output


def changed(contract: Path, *changes: tuple[str, str]) -> Path:
    text = contract.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text or re.search(old, text)
        text = re.sub(old, new, text)
    path = contract.with_name("new.odcs.yaml")
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "name", "kind"),
    [
        (("maxLength: .*", "maxLength: 60"), "text.maxLength", "tightened"),
        (("maxLength: .*", "maxLength: 9000"), "text.maxLength", "loosened"),
        (("minLength: 1", "minLength: 5"), "text.minLength", "tightened"),
        (('- value: "ABBR".*', ""), "label.enum", "tightened"),
        (('- value: "ABBR".*', '- value: "OTHER"'), "label.enum", "changed"),
        (("mustBeGreaterOrEqualTo: .*", "mustBeGreaterOrEqualTo: 2"), "rows_expected", "loosened"),
        (("mustBeLessOrEqualTo: .*", "mustBeLessOrEqualTo: 0"), "repeats", "tightened"),
        (("severity: warning", "severity: error"), "repeats", "tightened"),
        (("name: repeats", "name: again"), "repeats", "removed"),
        (("name: repeats", "name: again"), "again", "added"),
    ],
)
def test_a_difference_says_which_way_a_rule_went(
    contract: Path, change: tuple[str, str], name: str, kind: str
) -> None:
    result = invoke("diff", contract, changed(contract, change), "--json")
    compared = ContractComparison.model_validate_json(result.stdout)
    assert {rule.name: rule.change.value for rule in compared.rules}[name] == kind


def test_other_words_for_the_same_rules_are_no_difference(contract: Path) -> None:
    result = invoke("diff", contract, changed(contract, ("purpose: .*", "purpose: another")))
    assert result.exit_code == 0
    assert "ask the same" in result.output


def test_a_difference_names_the_rows_that_are_judged_otherwise(
    contract: Path, data: Path, rows: Rows
) -> None:
    new = changed(contract, ("maxLength: .*", "maxLength: 60"))
    longer = [number for number, row in enumerate(rows, start=1) if len(row["text"].strip()) > 60]
    compared = ContractComparison.model_validate_json(
        invoke("diff", contract, new, "--data", data, "--json").stdout
    )
    assert compared.rows is not None
    assert (compared.rows.newly_rejected, compared.rows.newly_accepted) == (len(longer), 0)
    assert compared.rows.rejected_places[0] == f"rows.jsonl, row {longer[0]}: text.maxLength"
    back = ContractComparison.model_validate_json(
        invoke("diff", new, contract, "--data", data, "--json").stdout
    )
    assert back.rows is not None
    assert (back.rows.newly_rejected, back.rows.newly_accepted) == (0, len(longer))


def test_contracts_of_two_tasks_are_not_compared(tmp_path: Path, contract: Path) -> None:
    other = tmp_path / "talks.odcs.yaml"
    invoke("init", write(tmp_path / "talks.jsonl", TALKS), "-o", other)
    result = invoke("diff", contract, other)
    assert result.exit_code == EXIT_INPUT
    assert "two contracts for one task" in result.output


OWN_RULE = """kind: DataContract
apiVersion: v3.1.0
name: own
schema:
- name: rows
  quality:
  - type: custom
    engine: lorafirst
    implementation: {implementation}
    customProperties: [{{property: lorafirst.severity, value: {severity}}}]
  properties:
  - name: text
"""


@pytest.mark.parametrize(
    ("implementation", "severity", "kind"),
    [
        ("{rule: near_duplicates, similarity: 0.75}", "warning", "tightened"),
        ("{rule: near_duplicates, similarity: 0.9}", "warning", "loosened"),
        ("{rule: near_duplicates, similarity: 0.75}", "quarantine", "tightened"),
        ("{rule: near_duplicates, similarity: 0.9}", "quarantine", "changed"),
    ],
)
def test_a_difference_knows_which_way_our_own_rules_go(
    tmp_path: Path, implementation: str, severity: str, kind: str
) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    before = "{rule: near_duplicates, similarity: 0.8}"
    old.write_text(OWN_RULE.format(implementation=before, severity="warning"), encoding="utf-8")
    new.write_text(OWN_RULE.format(implementation=implementation, severity=severity), encoding="utf-8")
    compared = ContractComparison.model_validate_json(invoke("diff", old, new, "--json").stdout)
    assert [rule.change.value for rule in compared.rules] == [kind]
