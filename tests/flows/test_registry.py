"""Promotion and rollback through the command line, of real runs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from data_contracts.key_roles import KeyRole
from data_contracts.records.base import digest_json
from data_contracts.records.bases import PromotionBasis
from data_contracts.records.decision import Outcome, Verdict
from data_contracts.records.ledger import EntryKind
from data_contracts.records.policy import PromotionTerms
from data_contracts.records.registry import Alias, ModelVersion
from data_contracts.records.statements import DECISION_PREDICATE
from flows.command_line import app
from tasks.evidence.dossier import read_decision
from tasks.evidence.ledger.book import ledger_location, open_ledger
from tasks.evidence.signing.envelopes import envelope_bytes, sign_statement
from tasks.evidence.signing.keys import create_key
from tasks.evidence.signing.payloads import unverified_statement
from tasks.evidence.signing.signers import KEY_FILE_VARIABLE, pipeline_signer
from tasks.registry.models import Registry, open_registry
from tasks.stages import promoting
from tests.flows.conftest import call

pytestmark = pytest.mark.slow


def test_the_first_becomes_champion_the_second_is_held_against_it_and_a_rollback_undoes_it(
    output: Path, runs: tuple[Path, ...]
) -> None:
    first, second, *_ = (each.name for each in runs)
    assert call(output, "models") == (0, [])
    code, report = call(output, "promote", first, "--reason", "the first release", "--by", "Ada")
    assert (code, report["outcome"], report["version"]) == (0, "promoted", 1), report["sentence"]
    assert report["champion_version"] == 1
    code, again = call(output, "promote", first)
    assert (code, again["outcome"], again["decision"]) == (0, "champion_kept", None)

    code, report = call(output, "promote", second)
    assert (code, report["outcome"], report["version"]) == (0, "promoted", 2), report["sentence"]
    record = read_decision(Path(report["folder"]) / "decision.json")
    names = {rule.name for rule in record.judgement.decision.rules}
    assert {"not inferior to the champion", "not inferior to the anchor"} <= names
    assert record.judgement.decision.verdict is Verdict.PASS
    basis = record.judgement.basis
    assert isinstance(basis, PromotionBasis) and basis.terms == PromotionTerms(margin=1.0, floor=11.1)
    code, found = call(output, "models", "topics")
    assert [each["aliases"] for each in found[0]["versions"]] == [["anchor"], ["champion"]]
    assert found[0]["warnings"] == []
    assert found[0]["versions"][0]["crowned"]["by"] == "Ada"

    code, done = call(output, "rollback", "topics", "--reason", "complaints", "--by", "Grace")
    assert (code, done["version"], done["left_version"]) == (0, 1, 2)
    code, found = call(output, "models", "topics")
    assert [each["aliases"] for each in found[0]["versions"]] == [["champion", "anchor"], []]
    assert found[0]["versions"][1]["withdrawn"] == "complaints"
    code, refused = call(output, "promote", second)
    assert code == 1 and "rolled back from: complaints" in refused["message"]
    code, done = call(output, "rollback", "topics", "--to", "2", "--reason", "they were about something else")
    assert (code, done["version"]) == (0, 2)

    with open_ledger(ledger_location(output), read_only=True) as ledger:
        entries = [(entry.kind, entry.run_id, entry.actor) for entry in ledger.entries()]
        assert not ledger.check()[1]
    assert (EntryKind.PROMOTION, first, "gate promotion") in entries
    assert (EntryKind.ROLLBACK, first, "Grace") in entries
    for dossier in (first, second):
        code, verified = call(output, "verify", str(output / dossier))
        assert code == 0, verified


def test_a_champion_that_comes_again_is_told_by_registry_and_ledger_alike(
    output: Path, runs: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, *_ = (each.name for each in runs)
    for run, by in ((first, "Ada"), (second, "Ada"), (first, "Grace")):
        assert call(output, "promote", run, "--by", by)[1]["outcome"] == "promoted"
    with monkeypatch.context() as patched:
        patched.setattr(Registry, "uncall", lambda *_: (_ for _ in ()).throw(OSError("the power went")))
        asked = ["promote", second, "--by", "Grace", "--reason", "again", "--output", str(output)]
        assert isinstance(CliRunner().invoke(app, asked).exception, OSError)
    assert call(output, "models")[1][0]["versions"][1]["aliases"] == ["champion", "challenger"]
    # Named by its path, as the help says.
    assert call(output, "promote", str(output / second))[1]["outcome"] == "champion_kept"
    (entry,) = call(output, "models")[1]
    assert entry["warnings"] == [], "the last entry is about the champion"
    assert [each["aliases"] for each in entry["versions"]] == [["anchor"], ["champion"]]
    crowned = [each["crowned"] for each in entry["versions"]]
    assert [(each["by"], each["reason"]) for each in crowned] == [("Grace", ""), ("Grace", "again")]
    with open_ledger(ledger_location(output), read_only=True) as ledger:
        promoted = [each.run_id for each in ledger.entries() if each.kind is EntryKind.PROMOTION]
    assert promoted == [first, second, first, second]
    code, done = call(output, "rollback", "topics", "--reason", "complaints")
    assert (code, done["version"]) == (0, 1)


def test_a_promotion_is_verified_from_its_folder_alone_and_whatever_was_changed_is_found(
    output: Path, runs: tuple[Path, ...]
) -> None:
    call(output, "promote", runs[0].name)
    folder = Path(call(output, "promote", runs[1].name)[1]["folder"])
    code, (found,) = call(output, "verify", str(folder))
    assert (code, [each["looked_at"] for each in found["checks"]]) == (0, [1, 3, 1, 1]), found

    def faults(check: str) -> list[str]:
        code, (found,) = call(output, "verify", str(folder))
        told = [each for each in found["checks"] if each["check"] == check]
        return [fault["what"] for fault in told[0]["faults"]] if code == 1 else []

    for name, change, check, expected in (
        ("policy.json", ('"target":11', '"target":12'), "decisions", "another policy"),
        ("challenger/gate/evidence.json", ('"rows":', '"rows":1'), "scores", "no evidence with the digest"),
        ("registration.json", ('"alpha":0', '"alpha":1'), "decisions", "no registration with the digest"),
    ):
        path = folder / name
        whole = path.read_bytes()
        assert change[0].encode() in whole
        path.unlink()
        path.write_bytes(whole.replace(change[0].encode(), change[1].encode(), 1))
        assert any(expected in what for what in faults(check)), (name, faults(check))
        path.unlink()
        path.write_bytes(whole)
    scores = folder / "challenger" / "gate" / "scores.parquet"
    other = (folder / "champion" / "gate" / "scores.parquet").read_bytes()
    scores.unlink()
    scores.write_bytes(other)
    assert any("not the file that its evidence names" in what for what in faults("scores"))


def test_where_there_is_a_key_nothing_unsigned_is_promoted_and_a_signed_promotion_verifies(
    output: Path, runs: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(call(output, "promote", runs[0].name)[1]["folder"])
    now = datetime.now(UTC) - timedelta(minutes=5)
    create_key(tmp_path / "keys", name="pipeline", role=KeyRole.PIPELINE, password=None, now=now)
    ring = str(tmp_path / "keys" / "pipeline.keyring.yaml")
    code, (found,) = call(output, "verify", str(folder), "--keyring", ring)
    assert code == 1 and [each["faults"][0]["what"] for each in found["checks"] if each["faults"]] == [
        "it has no signature"
    ]
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(tmp_path / "keys" / "pipeline.key"))
    code, refused = call(output, "promote", runs[1].name)
    assert code == 1 and "manifest.json: it has no signature" in refused["message"]
    record = read_decision(folder / "decision.json")
    statement = unverified_statement((folder / "decision.json").read_bytes())
    subjects = {each.name: f"sha256:{each.digest_set.sha256}" for each in statement.subject}
    signed = sign_statement(record, subjects, DECISION_PREDICATE, pipeline_signer())
    (folder / "decision.json").write_bytes(envelope_bytes(signed))
    code, (found,) = call(output, "verify", str(folder), "--keyring", ring)
    assert code == 0 and found["signed"]


def test_a_challenger_that_is_worse_stays_challenger_and_can_come_again(
    output: Path, runs: tuple[Path, ...]
) -> None:
    first, _, _, weak = (each.name for each in runs)
    assert call(output, "promote", first)[1]["outcome"] == "promoted"
    code, report = call(output, "promote", weak, "--require-promoted")
    assert (code, report["outcome"], report["champion_version"]) == (4, "champion_kept", 1)
    verdicts = {rule["name"]: rule["verdict"] for rule in report["decision"]["rules"]}
    assert verdicts["not inferior to the champion"] == "fail"
    versions = call(output, "models")[1][0]["versions"]
    assert [each["aliases"] for each in versions] == [["champion", "anchor"], ["challenger"]]
    code, refused = call(output, "rollback", "topics", "--to", "2", "--reason", "x")
    assert code == 2 and "never champion" in refused["message"]
    looks = (output / ".looks" / "looks.jsonl").read_text(encoding="utf-8")
    assert call(output, "promote", weak)[1]["outcome"] == "champion_kept"
    assert (output / ".looks" / "looks.jsonl").read_text(encoding="utf-8") == looks, "the same is no new look"
    with open_ledger(ledger_location(output), read_only=True) as ledger:
        kept = [each for each in ledger.entries(weak) if each.kind is EntryKind.CHAMPION_KEPT]
    assert len(kept) == 1


def test_nothing_that_was_not_accepted_can_be_promoted(output: Path, runs: tuple[Path, ...]) -> None:
    code, refused = call(output, "promote", runs[2].name)
    assert code == 1 and "nothing was accepted" in refused["message"]
    assert call(output, "models") == (0, [])
    assert Outcome.PILOT_INVALID.value in refused["message"]


def test_a_dossier_that_does_not_verify_is_refused_with_every_fault(
    output: Path, runs: tuple[Path, ...]
) -> None:
    dossier = output / runs[0].name
    weights = next(dossier.glob("pilot-*/adapter/adapter_model.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    card = dossier / "MODEL_CARD.md"
    card.write_text(card.read_text(encoding="utf-8") + "\nExcellent.\n", encoding="utf-8")
    code, refused = call(output, "promote", runs[0].name)
    assert code == 1
    assert "adapter_model.safetensors" in refused["message"] and "MODEL_CARD.md" in refused["message"]
    assert call(output, "models") == (0, [])


def test_what_cannot_be_rolled_back_to_is_refused_and_changes_nothing(
    output: Path, runs: tuple[Path, ...]
) -> None:
    first, second, *_ = (each.name for each in runs)
    code, refused = call(output, "rollback", "topics", "--reason", "x")
    assert code == 2 and "nothing was registered" in refused["message"]
    call(output, "promote", first)
    for arguments, found in (
        (("--reason", " "), "0 characters"),
        (("--reason", "x"), "before which there was none"),
        (("--reason", "x", "--to", "1"), "the champion itself"),
        (("--reason", "x", "--to", "7"), "no such version"),
    ):
        code, refused = call(output, "rollback", "topics", *arguments)
        assert code == 2 and found in refused["message"]
    call(output, "promote", second)
    weights = next((output / first).glob("pilot-*/adapter/adapter_model.safetensors"))
    weights.unlink()
    code, refused = call(output, "rollback", "topics", "--reason", "x")
    assert code == 1 and "its digest is another" in refused["message"]
    assert call(output, "models")[1][0]["versions"][1]["aliases"] == ["champion"]
    with open_ledger(ledger_location(output), read_only=True) as ledger:
        assert EntryKind.ROLLBACK not in {entry.kind for entry in ledger.entries()}


def test_a_registry_that_was_changed_behind_the_ledgers_back_says_so(
    output: Path, runs: tuple[Path, ...]
) -> None:
    first, second, *_ = (each.name for each in runs)
    call(output, "promote", first)
    call(output, "promote", second)
    registry = open_registry(output)
    registry.call(registry.versions("topics")[0], Alias.CHAMPION)
    assert call(output, "models")[1][0]["warnings"] == [
        f"the registry calls {first} champion, and the ledger {second}"
    ]


def test_a_promotion_that_broke_off_before_the_registry_changed_is_finished_by_the_same_command(
    output: Path, runs: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_: object) -> None:
        raise OSError("the power went")

    with monkeypatch.context() as patched:
        patched.setattr(promoting, "_crown", cut_off)
        result = CliRunner().invoke(app, ["promote", runs[0].name, "--output", str(output)])
        assert isinstance(result.exception, OSError)
    (entry,) = call(output, "models")[1]
    assert entry["warnings"] == [f"the registry calls nothing champion, and the ledger {runs[0].name}"]
    assert call(output, "promote", runs[0].name)[1]["outcome"] == "promoted"
    assert call(output, "models")[1][0]["warnings"] == []
    with open_ledger(ledger_location(output), read_only=True) as ledger:
        kinds = [entry.kind for entry in ledger.entries(runs[0].name)]
    assert kinds.count(EntryKind.PROMOTION) == 1


def test_a_champion_that_changes_while_it_is_compared_is_compared_anew(
    output: Path, runs: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, _, weak = (each.name for each in runs)
    call(output, "promote", first)
    call(output, "promote", second)
    registry = open_registry(output)
    decide, compared = promoting.promotion_gate, []

    def decide_late(*given: Any, champion: ModelVersion | None, **options: Any) -> Any:
        decided = decide(*given, champion=champion, **options)
        if not compared:
            registry.call(registry.versions("topics")[0], Alias.CHAMPION)
        compared.append(champion and champion.version)
        return decided

    monkeypatch.setattr(promoting, "promotion_gate", decide_late)
    report = call(output, "promote", weak)[1]
    assert compared == [2, 1]
    assert (report["outcome"], report["champion_version"]) == ("champion_kept", 1)
    with open_ledger(ledger_location(output), read_only=True) as ledger:
        kinds = [entry.kind for entry in ledger.entries(weak)]
    assert kinds.count(EntryKind.CHAMPION_KEPT) == 1, "what was not acted upon is not entered"


def test_a_ledger_that_promotes_what_no_run_accepted_is_a_fault(output: Path, runs: tuple[Path, ...]) -> None:
    run = runs[2].name
    assert call(output, "verify", str(output / run))[0] == 0
    with open_ledger(ledger_location(output)) as ledger:
        ledger.append(EntryKind.PROMOTION, run_id=run, about=digest_json(1), actor="gate promotion")
    code, (found,) = call(output, "verify", str(output / run))
    told = [fault["what"] for check in found["checks"] for fault in check["faults"]]
    assert (code, told) == (1, ["a promotion of a run that accepted nothing"])
