"""New data, a reason to train or to skip, and one retraining at a time."""

import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from data_contracts.records.bases import PromotionBasis
from data_contracts.records.evidence import TrainingEvidence
from data_contracts.records.retraining import DataFindings
from data_contracts.records.settings import RetrainSettings, RunSettings, StartFrom
from data_contracts.row_salts import read_names
from tasks.audit.candidates import offered_by
from tasks.audit.verify.held import hold as hold_dossier
from tasks.audit.verify.trainings import training_faults
from tasks.evidence.dossier import Dossier, read_decision
from tasks.evidence.records import read_record
from tasks.evidence.store import RECORD_FILE
from tasks.registry.locking import retraining
from tasks.stages.continuing import rows_learned
from tasks.stages.drifting import begun_at, champion_in
from tests.flows.conftest import ANSWERED, OTHERS, Answered, call, retrain, topics, write_rows
from tests.forked import lorafirst

pytestmark = pytest.mark.slow

MORE: Answered = [
    (
        f"What is written on door {number} of the \u00e9cole \u5b66\u6821 \U0001f6aa?",
        f"the number {number}",
        "",
    )
    for number in range(300, 360)
]
"""A fifth as many rows again, of the same source."""


def test_unchanged_data_are_skipped_with_a_reason(champion: Path, tiny_llama: Path) -> None:
    before = set(champion.iterdir())
    code, report = retrain(champion, tiny_llama, ANSWERED)
    assert (code, report["outcome"]) == (0, "skipped"), report["plan"]
    assert report["plan"]["reasons"] == [
        "0 rows are new beside 300 (0.0%); 10.0% are enough, and nothing has drifted."
    ]
    assert {path.name for path in set(champion.iterdir()) - before} == {"drift"}


def test_enough_new_rows_are_trained_on_and_held_against_the_champion_on_their_gate_rows(
    champion: Path, tiny_llama: Path, runs: tuple[Path, ...]
) -> None:
    code, report = retrain(champion, tiny_llama, [*ANSWERED, *MORE])
    assert code == 0 and "60 rows are new beside 300 (20.0%); 10.0% are enough." in report["plan"]["reasons"]
    assert report["outcome"] in ("promoted", "champion_kept")
    dossier = Path(report["run"]["dossier"])
    asked = Dossier(dossier).request().settings
    assert asked["data"]["earlier"] == [str((champion / runs[0].name / "snapshot").resolve())]
    assert call(champion, "verify", str(dossier))[0] == 0
    # Both were scored on the gate rows of the new snapshot, of which the champion had learned none.
    gate = read_names(dossier / "snapshot" / "gate.parquet").values()
    folder = Path(report["promotion"]["folder"])
    for name in ("challenger", "champion"):
        scored = pq.read_table(folder / name / "gate" / "scores.parquet")
        assert sorted(scored["row_id"].to_pylist()) == sorted(gate)
        assert "answer" not in scored.column_names, "texts stay in the dossiers"
    basis = read_decision(folder / "decision.json").judgement.basis
    assert isinstance(basis, PromotionBasis) and basis.rows_champion_learned == 0
    # What was a reason is none any more.
    if report["outcome"] == "promoted":
        assert retrain(champion, tiny_llama, [*ANSWERED, *MORE])[1]["outcome"] == "skipped"


FROM_CHAMPION: dict[str, Any] = {"retrain": {"start_from": "champion"}}


def test_a_retraining_may_go_on_from_the_champions_adapter(
    champion: Path, tiny_llama: Path, runs: tuple[Path, ...]
) -> None:
    code, report = retrain(champion, tiny_llama, [*ANSWERED[30:], *MORE], **FROM_CHAMPION)
    assert code == 0 and report["run"]["outcome"] == "pilot_accepted", report
    # Where it begins is no setting by which it would be another model than the champion.
    assert not any("Other settings" in reason for reason in report["plan"]["reasons"])
    dossier = Path(report["run"]["dossier"])
    assert Dossier(dossier).request().settings["pilot"]["continues"] == runs[0].name
    before = training_of(champion / runs[0].name)
    after = training_of(dossier)
    assert after.pilot is not None and after.pilot.continues == runs[0].name
    assert after.start == before.artifact.digest()
    # Other rows are in tune now, so nearly the loss at which the champion ended, and far from the base's.
    ended, base = before.kept_tune_loss, before.curve[0].tune_loss
    assert abs(after.curve[0].tune_loss - ended) < 0.2 * abs(base - ended)
    fairness = next(each for each in report["run"]["decisions"] if each["gate"] == "fairness")
    assert [rule["name"] for rule in fairness["rules"]] == ["clears the target on tune"]
    assert call(champion, "verify", str(dossier))[0] == 0
    assert (
        f"trained on from the adapter of the run `{runs[0].name}`" in (dossier / "MODEL_CARD.md").read_text()
    )
    held = hold_dossier(Dossier(dossier))
    denied = {name: each.model_copy(update={"start": None}) for name, each in held.trainings.items()}
    vars(held)["trainings"] = denied  # where the cached property keeps them
    assert [fault.what for fault in training_faults(held)] == [
        "it does not say of one run what it went on from"
    ]
    # Its own rows and those of the adapter that it went on from: neither are any of the gate's.
    basis = read_decision(Path(report["promotion"]["folder"]) / "decision.json").judgement.basis
    assert isinstance(basis, PromotionBasis) and basis.rows_champion_learned == 0
    again = offered_by(Dossier(dossier))
    learned = frozenset(
        identity
        for each in (dossier, champion / runs[0].name)
        for identity in read_names(each / "snapshot" / "train.parquet")
    )
    assert (
        rows_learned(again, learned) == len(learned) > len(read_names(dossier / "snapshot" / "train.parquet"))
    )


def test_a_retraining_begins_at_the_base_where_it_asks_for_another_pilot_or_for_nothing(
    champion: Path, tiny_llama: Path, runs: tuple[Path, ...]
) -> None:
    found = champion_in(champion, "topics")
    assert found is not None
    asked = RunSettings.model_validate(topics(champion, tiny_llama, champion))
    further = asked.model_copy(update={"retrain": RetrainSettings(start_from=StartFrom.CHAMPION)})
    assert begun_at(further, found).pilot.continues == runs[0].name
    assert begun_at(asked, found) == asked
    for changed in ({"rank": 4}, {"merge": True}, {"method": "dora"}):
        other = further.model_copy(update={"pilot": further.pilot.model_copy(update=changed)})
        assert begun_at(other, found) == other


def test_where_the_pilot_from_the_champion_is_short_one_from_the_base_follows(
    champion: Path, tiny_llama: Path
) -> None:
    policy = topics(champion, tiny_llama, champion)["policy"] | {"target": 0.5}
    code, report = retrain(champion, tiny_llama, ANSWERED, policy=policy, **FROM_CHAMPION)
    assert (code, report["outcome"]) == (0, "not_accepted")
    first, *_ = (each for each in report["run"]["decisions"] if each["gate"] == "fairness")
    assert first["remedy"] == "from_base"
    dossier = Path(report["run"]["dossier"])
    continued, own, *_ = (training_of(dossier, folder) for folder in sorted(dossier.glob("pilot-*")))
    assert own.start is None and own.pilot is not None and own.pilot.continues is None
    # It begins where the champion's own training began.
    assert own.curve[0].tune_loss > continued.curve[0].tune_loss + 1.0
    assert call(champion, "verify", str(dossier))[0] == 0


def test_what_the_champion_learned_is_judged_by_no_pilot_that_goes_on_from_it(
    champion: Path, tiny_llama: Path, runs: tuple[Path, ...]
) -> None:
    """Another rotation has other gate rows, which the champion was trained on."""
    splits = topics(champion, tiny_llama, champion)["splits"] | {"rotation": 1}
    code, report = retrain(champion, tiny_llama, ANSWERED, splits=splits, **FROM_CHAMPION)
    assert code == 0, report
    dossier = Path(report["run"]["dossier"])
    assert Dossier(dossier).request().settings["pilot"]["continues"] == runs[0].name
    assert training_of(dossier).start is None


def test_a_run_refuses_to_go_on_from_what_is_no_adapter_of_its_own_kind(
    champion: Path, tiny_llama: Path, runs: tuple[Path, ...]
) -> None:
    pilot = topics(champion, tiny_llama, champion)["pilot"]
    for run, found in (
        ("topics-nobody", "no such run in"),
        (runs[2].name, "nothing was accepted"),
    ):
        code, said = retrain(champion, tiny_llama, ANSWERED, command="run", pilot=pilot | {"continues": run})
        assert code == 2 and found in said["message"], said
    code, said = retrain(
        champion,
        tiny_llama,
        ANSWERED,
        command="run",
        pilot=pilot | {"continues": runs[0].name, "method": "dora"},
    )
    assert code == 2 and "it is of another method: lora" in said["message"]


def training_of(dossier: Path, folder: Path | None = None) -> TrainingEvidence:
    """The training of one of a dossier's pilots; the accepted one by default."""
    if folder is None:
        report = Dossier(dossier).report()
        assert report is not None
        folder = dossier / (report.accepted_artifact or next(dossier.glob("pilot-*")).name).partition("/")[0]
    return read_record(folder / RECORD_FILE, TrainingEvidence)


def test_a_few_rows_of_another_source_are_drift(champion: Path, tiny_llama: Path) -> None:
    code, found = retrain(champion, tiny_llama, [*ANSWERED, *OTHERS], command="drift")
    assert code == 0 and any("New rows differ in vocabulary" in sign for sign in found["signs"])
    assert found["findings"]["not_scored"].endswith("fresh rows are no basis; 30 would be one")
    kept = list((champion / "drift" / "topics").glob("*.json"))
    assert [DataFindings.model_validate_json(path.read_bytes()) for path in kept] == [
        DataFindings.model_validate(found["findings"])
    ]


def test_answers_that_became_others_are_seen_in_the_champions_scores(
    champion: Path, tiny_llama: Path
) -> None:
    same = [(prompt, answer, "") for prompt, answer, _ in MORE]
    found = retrain(champion, tiny_llama, [*ANSWERED, *same], command="drift")[1]
    assert found["findings"]["fresh"] is not None
    assert not any("demonstrably worse" in sign for sign in found["signs"])
    other = [(prompt, "unreadable scrawl beyond repair", "") for prompt, _, _ in MORE]
    found = retrain(champion, tiny_llama, [*ANSWERED, *other], command="drift")[1]
    assert any("demonstrably worse" in sign for sign in found["signs"]), found["findings"]["fresh"]


def test_other_settings_are_a_reason_and_a_run_that_accepts_nothing_changes_nothing(
    champion: Path, tiny_llama: Path
) -> None:
    settings = topics(champion, tiny_llama, champion, target=0.5)
    code, report = retrain(champion, tiny_llama, ANSWERED, policy=settings["policy"])
    assert (code, report["outcome"], report["promotion"]) == (0, "not_accepted", None)
    assert report["plan"]["reasons"] == ["Other settings than the champion's are asked for: policy."]
    assert len(call(champion, "models")[1][0]["versions"]) == 1


def test_data_that_break_their_contract_are_rejected_and_the_record_says_so(
    champion: Path, tiny_llama: Path
) -> None:
    code, report = retrain(champion, tiny_llama, [("?", "", "")] * 3)
    assert (code, report["outcome"]) == (3, "data_rejected")
    assert report["plan"]["reasons"][0].startswith("The data break their contract: ")
    assert (Path(report["run"]["dossier"]) / "decisions" / "01-contract.json").is_file()


def test_without_a_champion_there_is_nothing_to_compare_with(output: Path, tiny_llama: Path) -> None:
    code, found = retrain(output, tiny_llama, ANSWERED, command="drift")
    assert (code, found["signs"], found["findings"]) == (0, [], None)
    code, report = retrain(output, tiny_llama, ANSWERED)
    assert (code, report["outcome"]) == (0, "promoted")
    assert report["plan"]["reasons"] == ["There is no champion yet."]


def test_one_retraining_at_a_time_and_a_killed_one_holds_nothing(champion: Path, tiny_llama: Path) -> None:
    forks = multiprocessing.get_context("spawn")
    held = forks.Event()
    holder = forks.Process(target=hold, args=(str(champion), held), daemon=True)
    holder.start()
    assert held.wait(60)
    code, refused = retrain(champion, tiny_llama, ANSWERED)
    assert code == 2 and "no other retraining of this model at work" in refused["message"]
    assert holder.pid is not None
    os.kill(holder.pid, signal.SIGKILL)
    holder.join(30)
    assert retrain(champion, tiny_llama, ANSWERED)[1]["outcome"] == "skipped"


def test_a_killed_retraining_goes_on_in_its_dossier_with_the_same_command(
    champion: Path, tiny_llama: Path
) -> None:
    before = {path.parent for path in champion.glob("topics-*/request.yaml")}
    data = write_rows(champion.parent / "now.jsonl", ANSWERED)
    config = champion.parent / "now.yaml"
    settings = topics(data, tiny_llama, champion) | {"training": {"max_steps": 200, "checkpoint_steps": 5}}
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    first = lorafirst("retrain", str(config))
    deadline = time.monotonic() + 240
    while not list((champion / ".store").glob(".checkpoints/train-lora-*/step-*")):
        assert first.poll() is None and time.monotonic() < deadline, first.said(1)
        time.sleep(0.01)
    first.send_signal(signal.SIGKILL)
    first.wait(10)
    (begun,) = {path.parent for path in champion.glob("topics-*/request.yaml")} - before
    assert not (begun / "manifest.json").exists()
    code, report = call(champion, "retrain", str(config))
    assert code == 0 and report["run"]["run_id"] == begun.name
    assert report["outcome"] in ("promoted", "champion_kept")
    assert {path.parent for path in champion.glob("topics-*/request.yaml")} == {*before, begun}
    assert call(champion, "verify", str(begun))[0] == 0


def hold(output: str, held: Any) -> None:
    """Takes the lock of a retraining, and keeps it for as long as the process lives."""
    with retraining(Path(output), "topics"):
        held.set()
        signal.pause()
