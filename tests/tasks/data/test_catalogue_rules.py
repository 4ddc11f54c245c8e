"""Each rule of our own finds the row it is about, with its place, and leaves clean rows alone."""

import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from data_contracts.errors import InputError
from data_contracts.records.metrics import Task
from data_contracts.records.settings import SplitSettings
from data_contracts.records.snapshot import ContractEvidence, RuleSeverity, Split
from tasks.data.checking.contract import ACCEPTED, load_contract
from tasks.data.rows.splitting import split_of
from tests.tasks.data.test_contract import HEADER, Checker, broken, check, good_rows, rule, talk

__all__ = ["check"]


def sentence(number: int, length: int = 40) -> str:
    generator = random.Random(number)
    return " ".join(f"w{generator.randrange(5000)}" for _ in range(length))


def asks_for(rule_name: str, *properties: str, **arguments: float) -> str:
    values = "".join(f", {key}: {value}" for key, value in arguments.items())
    custom = f", customProperties: [{', '.join(properties)}]" if properties else ""
    return (
        f"  quality:\n  - {{type: custom, engine: lorafirst, implementation: {{rule: {rule_name}{values}}}"
        f"{custom}}}\n"
    )


def severity(value: str) -> str:
    return f"{{property: lorafirst.severity, value: {value}}}"


def allowed(percent: float) -> str:
    return f"{{property: lorafirst.allowedPercent, value: {percent}}}"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("replacement_characters", "caf\ufffd"),
        ("control_characters", "a\x1b[0m b"),
        ("control_characters", "a\x85b"),
        ("mojibake", "schÃ¶n, sagte sie â€“ ganz schÃ¶n"),
        ("email_addresses", "write to anna.k@mail.example.org today"),
        ("phone_numbers", "call +49 30 1234567 now"),
        ("phone_numbers", "call (555) 123-4567 now"),
        ("card_numbers", "paid with 4111 1111 1111 1111"),
        ("secrets", "-----BEGIN RSA PRIVATE KEY-----"),
        ("secrets", "key AKIAIOSFODNN7EXAMPLE"),
        ("secrets", "password: 'x8Kq2mZp91Lw'"),
        ("secrets", "postgres://admin:hunter2@db.internal/x"),
    ],
)
def test_a_fault_in_a_text_is_found_in_its_row_and_never_shown(check: Checker, name: str, text: str) -> None:
    records = good_rows()
    records[6]["text"] = text
    evidence = check(records, contract=asks_for(name, severity("quarantine")), max_tokens=300)
    found = rule(evidence, name)
    assert (found.passed, found.broken_rows, found.examples) == (False, 1, ("a.jsonl, row 7",))
    assert broken(evidence) == {name}
    assert text not in evidence.canonical_json().decode()
    (left,) = check.rejected().to_dict("records")
    assert text not in left["reason"]
    private = name in {"email_addresses", "phone_numbers", "card_numbers", "secrets"}
    assert pd.isna(left["text"]) if private else left["text"] == text


@pytest.mark.parametrize(
    "text",
    [
        "schön, sagte sie – ganz schön",
        "meet me @ noon, it costs 12.50 or 1,234,567.89",
        "order 4111 1111 1111 1112 of 2024-11-24 10:15",
        "version 1.2.3.4 and 192.168.0.1 of ISBN 978-3-16-148410-0",
        "the key: a small piece of metal; the token: love",
        "a\tb\nc",
        "日本語の文章です。",
    ],
)
def test_clean_texts_break_no_rule_about_texts(check: Checker, text: str) -> None:
    names = (
        *("replacement_characters", "control_characters", "mojibake", "email_addresses"),
        *("phone_numbers", "card_numbers", "secrets"),
    )
    entries = "".join(f"  - {{type: custom, engine: lorafirst, implementation: {name}}}\n" for name in names)
    records = [*good_rows(), {"text": text, "label": "x"}]
    assert broken(check(records, contract="  quality:\n" + entries, max_tokens=300)) == set()


def test_a_quarantine_beyond_its_allowed_share_blocks(check: Checker) -> None:
    records = good_rows()
    for index in range(6):
        records[index]["text"] += "\ufffd"
    for percent, blocks in ((1.9, True), (2.0, False)):
        contract = asks_for("replacement_characters", severity("quarantine"), allowed(percent))
        evidence = check(records, contract=contract)
        assert rule(evidence, "replacement_characters").blocks is blocks
        assert evidence.rows_quarantined == 6


def test_a_rule_below_a_column_looks_at_that_column_alone(check: Checker) -> None:
    contract = (
        "  properties:\n  - name: completion\n    quality:\n"
        "    - {type: custom, engine: lorafirst, implementation: email_addresses}\n"
    )
    records = [{"prompt": f"question {n}", "completion": "yes"} for n in range(300)]
    records[2]["prompt"], records[6]["completion"] = "a@b.org", "c@d.org"
    found = rule(check(records, Task.INSTRUCTION, contract=contract), "completion.email_addresses")
    assert found.examples == ("a.jsonl, row 7",)


def pairs(count: int = 300) -> list[dict[str, Any]]:
    return [{"prompt": f"question {n} {sentence(n)}", "completion": sentence(-n - 1)} for n in range(count)]


def nearly(text: str) -> str:
    words = text.split()
    return " ".join([*words[:20], "other", *words[21:]])


def split_of_each(folder: Path) -> dict[str, str]:
    frame = pd.read_parquet(folder / "contract" / ACCEPTED)
    return dict(zip(frame["text"], frame["split"], strict=True))


def test_of_two_rows_nearly_alike_across_splits_the_one_held_out_stays(
    check: Checker, tmp_path: Path
) -> None:
    records = [{"text": sentence(n), "label": "xy"[n % 2]} for n in range(300)]
    check(records)
    splits = split_of_each(tmp_path)
    gate = next(text for text, split in splits.items() if split == "gate")
    # Whichever variant's split is another one.
    variants = [nearly(gate.replace(gate.split()[0], f"start{n}")) for n in range(20)]
    trained = next(text for text in variants if split_of(text, SplitSettings()) is Split.TRAIN)
    contract = asks_for("near_duplicates_across_splits")
    records = [*records, {"text": trained, "label": "x"}]
    evidence = check(records, contract=contract)
    found = rule(evidence, "near_duplicates_across_splits")
    assert (found.broken_rows, found.severity, found.blocks) == (1, RuleSeverity.QUARANTINE, False)
    assert found.examples[0].startswith("a.jsonl, row 301 (train) and a.jsonl, row ")
    random.Random(1).shuffle(records)
    check(records, contract=contract)
    assert list(check.rejected()["text"]) == [trained]


def test_rows_nearly_alike_inside_a_split_are_told_and_kept_by_default(check: Checker) -> None:
    records = [{"text": sentence(n), "label": "xy"[n % 2], "s": "train"} for n in range(100)]
    records += [{"text": sentence(n), "label": "xy"[n % 2], "s": "gate"} for n in range(100, 200)]
    records += [{"text": sentence(n), "label": "xy"[n % 2], "s": "tune"} for n in range(200, 220)]
    records[50]["text"] = nearly(records[3]["text"])
    evidence = check(records, contract=asks_for("near_duplicates"), split="s")
    found = rule(evidence, "near_duplicates")
    assert (found.passed, found.broken_rows, evidence.rows_accepted) == (False, 1, 220)
    assert {"row 4", "row 51"} == {
        place.removeprefix("a.jsonl, ") for place in found.examples[0].split(" and ")
    }


def test_a_threshold_decides_what_is_nearly_alike(check: Checker) -> None:
    records = pairs()
    records[7] = {**records[3], "completion": nearly(records[3]["completion"])}
    for similarity, count in ((0.8, 1), (0.99, 0)):
        contract = asks_for("near_duplicates", similarity=similarity)
        found = rule(check(records, Task.INSTRUCTION, contract=contract, max_tokens=999), "near_duplicates")
        assert found.broken_rows == count


def test_the_same_text_with_two_labels_names_both_rows(check: Checker) -> None:
    records = [*good_rows(), {"text": "Question  3", "label": "x"}]
    found = rule(check(records, contract=asks_for("same_text_two_labels")), "same_text_two_labels")
    assert (found.passed, found.broken_rows) == (False, 2)
    assert found.examples == ("a.jsonl, row 4 and a.jsonl, row 301",)


def test_shares_and_counts_of_labels_are_told(check: Checker) -> None:
    records = [*good_rows(), {"text": "once", "label": "rare"}]
    share = rule(check(records, contract=asks_for("label_share")), "label_share")
    assert not share.passed
    assert "rare 0.332 %" in share.observed
    count = rule(check(records, contract=asks_for("rows_per_label", train=2)), "rows_per_label")
    assert "rare" in count.observed
    enough = rule(check(records, contract=asks_for("enough_rows", rows=500)), "enough_rows")
    assert not enough.passed
    assert "LIMA" in enough.sentence


def test_what_a_truncated_row_loses_is_told(check: Checker) -> None:
    records = [{"prompt": f"question {n}", "completion": "yes"} for n in range(300)]
    records[0]["completion"] = "word " * 80
    records[1]["prompt"] = "word " * 80
    evidence = check(records, Task.INSTRUCTION, max_tokens=64)
    assert rule(evidence, "max_tokens").examples == ("a.jsonl, row 1", "a.jsonl, row 2")
    assert (
        "1 lose part of an answer, 1 lose part of the prompt and the whole answer"
        in rule(evidence, "max_tokens").sentence
    )
    assert rule(evidence, "answer_cut_away").examples == ("a.jsonl, row 2",)
    assert evidence.cut_rows == {"part_of_answer": 1, "prompt": 1}
    kept = check(
        records, Task.INSTRUCTION, contract=asks_for("max_tokens", severity("warning")), max_tokens=64
    )
    assert (rule(kept, "max_tokens").severity, kept.rows_quarantined) == (RuleSeverity.WARNING, 1)


def test_a_conversation_that_the_template_refuses_is_named_and_the_rest_goes_on(check: Checker) -> None:
    check.tokenizer.chat_template = (
        "{% for m in messages %}{% if 'no' in m['content'] %}{{ raise_exception('refused') }}{% endif %}"
        "{{ m['role'] }} {{ m['content'] }} [SEP] {% endfor %}"
        "{% if add_generation_prompt %}assistant {% endif %}"
    )
    records = [talk(n) for n in range(300)]
    records[6]["messages"][0]["content"] = "no"
    found = rule(check(records, Task.INSTRUCTION), "template_renders")
    assert (found.passed, found.severity, found.examples) == (
        False,
        RuleSeverity.BLOCKING,
        ("a.jsonl, row 7",),
    )
    quarantined = check(
        records, Task.INSTRUCTION, contract=asks_for("template_renders", severity("quarantine"))
    )
    assert quarantined.rows_accepted == 299


def frozen(check: Checker, records: list[dict[str, Any]], folder: Path, **columns: str) -> ContractEvidence:
    from tasks.data.snapshot.freezing import freeze_snapshot

    evidence = check(records, **columns)
    freeze_snapshot(check.folder / "contract", evidence, folder)
    return evidence


def test_nothing_like_an_earlier_gate_row_is_learned_from(check: Checker, tmp_path: Path) -> None:
    from tasks.data.likeness.earlier import find_earlier

    names = ["train"] * 100 + ["tune"] * 20 + ["gate"] * 60
    before = [{"text": sentence(n), "label": "xy"[n % 2], "s": s} for n, s in enumerate(names)]
    frozen(check, before, tmp_path / "earlier", split="s")
    now = [{"text": sentence(1000 + n), "label": "xy"[n % 2], "s": s} for n, s in enumerate(names)]
    now[8]["text"] = nearly(before[130]["text"])
    check.earlier = find_earlier((str(tmp_path / "earlier"),))
    found = rule(check(now, contract=asks_for("seen_in_earlier_gate"), split="s"), "seen_in_earlier_gate")
    assert (found.broken_rows, found.examples) == (1, ("a.jsonl, row 9",))
    assert list(check.rejected()["source_row"]) == [9]


def test_a_row_of_an_earlier_snapshot_stays_before_a_new_one_that_bridges_splits(
    check: Checker, tmp_path: Path
) -> None:
    from tasks.data.likeness.earlier import find_earlier

    names = ["train"] * 100 + ["tune"] * 20 + ["gate"] * 60
    before = [{"text": sentence(n), "label": "xy"[n % 2], "s": s} for n, s in enumerate(names)]
    frozen(check, before, tmp_path / "earlier", split="s")
    now = [*before, {"text": nearly(before[3]["text"]), "label": "x", "s": "gate"}]
    contract = asks_for("near_duplicates_across_splits")
    check(now, contract=contract, split="s")
    assert list(check.rejected()["source_row"]) == [4], "of two rows nobody knows, the held-out one stays"
    check.earlier = find_earlier((str(tmp_path / "earlier"),))
    check(now, contract=contract, split="s")
    assert list(check.rejected()["source_row"]) == [181]


def test_a_folder_without_a_snapshot_is_refused(tmp_path: Path) -> None:
    from tasks.data.likeness.earlier import find_earlier

    with pytest.raises(InputError, match=r"data\.earlier\[0\]"):
        find_earlier((str(tmp_path),))


def test_drift_is_measured_from_the_last_snapshot(check: Checker, tmp_path: Path) -> None:
    from tasks.data.likeness.earlier import find_earlier

    entries = "".join(
        f"  - {{type: custom, engine: lorafirst, implementation: {name}}}\n"
        for name in ("label_drift", "length_drift", "vocabulary_drift", "two_sample_drift")
    )
    contract = "  quality:\n" + entries
    before = [{"text": f"{sentence(n, 10)} old", "label": "xy"[n % 2]} for n in range(400)]
    frozen(check, before, tmp_path / "earlier")
    assert check(before, contract=contract).drift is None
    check.earlier = find_earlier((str(tmp_path / "earlier"),))
    same = [{"text": f"{sentence(1000 + n, 10)} old", "label": "xy"[n % 2]} for n in range(400)]
    assert broken(check(same, contract=contract)) == set()
    other = [{"text": f"{sentence(n, 20)} new", "label": "xxxy"[n % 4]} for n in range(400)]
    evidence = check(other, contract=contract)
    assert {"label_drift", "length_drift", "two_sample_drift"} <= broken(evidence)
    assert evidence.drift is not None
    assert len(evidence.drift.figures) == 4


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("implementation: near_duplicate", "did you mean 'near_duplicates'?"),
        ("implementation: {rule: near_duplicates, similarty: 0.9}", "did you mean 'similarity'?"),
        ("implementation: {rule: near_duplicates, similarity: 0.1}", "a number from 0.7 to 1"),
        ("implementation: label_share, mustBe: 0", "set its arguments instead"),
        ("implementation: answer_cut_away, severity: warning", "cannot be kept"),
        (
            f"implementation: mojibake, customProperties: [{allowed(5)}, {severity('warning')}]",
            "only a quarantine",
        ),
        (
            "implementation: mojibake, customProperties: [{property: lorafirst.severty, value: x}]",
            "did you mean",
        ),
    ],
)
def test_an_entry_that_cannot_be_run_is_refused(tmp_path: Path, entry: str, says: str) -> None:
    path = tmp_path / "mine.odcs.yaml"
    path.write_text(
        f"{HEADER}  quality:\n  - {{type: custom, engine: lorafirst, {entry}}}\n", encoding="utf-8"
    )
    with pytest.raises(InputError) as caught:
        load_contract(path, Task.CLASSIFICATION)
    assert says in str(caught.value)
    assert "schema[0].quality[0]" in str(caught.value)


def test_a_rule_about_rows_below_a_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.odcs.yaml"
    path.write_text(
        HEADER + "  properties:\n  - name: text\n    quality:\n"
        "    - {type: custom, engine: lorafirst, implementation: near_duplicates}\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError, match="about whole rows"):
        load_contract(path, Task.CLASSIFICATION)


def test_shares_of_a_split_setting_stay_with_the_group(check: Checker, tmp_path: Path) -> None:
    records = [{"text": sentence(n), "label": "xy"[n % 2], "c": f"c{n // 2}"} for n in range(300)]
    records[299]["text"] = f"  {records[0]['text'].upper()}"
    contract = asks_for("near_duplicates_across_splits")
    evidence = check(records, contract=contract, group="c", splits=SplitSettings(rotation=1))
    first, last = (record["c"] for record in (records[0], records[299]))
    frame = pd.read_parquet(tmp_path / "contract" / ACCEPTED)
    splits = dict(zip(frame["group_key"], frame["split"], strict=True))
    apart = splits.get(first) != splits.get(last)
    assert rule(evidence, "near_duplicates_across_splits").broken_rows == int(apart)
