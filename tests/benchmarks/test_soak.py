"""What can be told of the soak without a server: its runs, its kills, and what it calls a growth."""

import json
import os
import random
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.endings import decisions_of, entries_twice, trained_in
from benchmarks.growth import MEBIBYTE, Sample, growth, sample, without_largest_step
from benchmarks.growth import told as told_of
from benchmarks.soak import Asked, held_against
from benchmarks.soak_runs import KINDS, Victim, asked_again, jobs, strikes
from data_contracts.records.ledger import NOTHING_BEFORE, EntryKind, LedgerEntry
from data_contracts.records.settings import RunSettings
from flows.operating.processes import record


def test_every_run_is_one_that_settings_allow_and_no_two_are_the_same() -> None:
    chosen = jobs(50, "runs")
    asked = [RunSettings.model_validate(job.settings) for job in chosen]
    assert len({each.name for each in asked}) == 50
    assert len({(job.kind.name, job.seed) for job in chosen}) == 50
    assert {each.output.name for each in asked} == {"runs"}
    kinds = Counter(job.kind.name for job in chosen)
    assert set(kinds) == {kind.name for kind in KINDS} and kinds["invalid"] == kinds["accepted"] == 15
    # Of each kind one has the seed of the undisturbed run.
    assert {job.kind.name for job in chosen if job.seed == 0} == set(kinds)


def test_no_run_asks_the_question_of_another_that_is_answered_otherwise() -> None:
    waiting = [kind for kind in KINDS if kind.answer is not None]
    assert len(waiting) == 2
    assert len({kind.settings["policy"]["target"] for kind in waiting}) == 2
    assert all(kind.settings["policy"]["escalation"]["approval"] == "recorded" for kind in waiting)


def test_what_is_asked_for_again_waits_for_nobody() -> None:
    again = asked_again(jobs(50, "runs"))
    assert {job.kind.name for job in again} == {kind.name for kind in KINDS if kind.answer is None}
    assert {job.seed for job in again} == {0}


def test_kills_come_to_everything_and_leave_a_long_rest_to_what_took_its_place() -> None:
    planned = strikes(50, random.Random(7))
    assert planned == strikes(50, random.Random(7)) != strikes(50, random.Random(8))
    victims = Counter(each.victim for each in planned)
    assert victims == {Victim.RUN: 12, Victim.SERVER: 1, Victim.FIRST_WORKER: 1, Victim.SECOND_WORKER: 1}
    assert max(each.after for each in planned if each.victim is not Victim.RUN) <= 10
    # A run is at work as long as not all have ended.
    assert max(each.after for each in planned) < 50


def test_a_figure_that_grows_is_told_from_one_that_only_varies() -> None:
    grows = growth(range(40), [100 + 0.5 * run + run % 2 for run in range(40)])
    assert grows.per_run == pytest.approx(0.5, abs=0.01)
    assert grows.last_quarter - grows.first_quarter == pytest.approx(15, abs=1)
    warm = growth(range(40), [100.0 if run < 5 else 250.0 for run in range(40)])
    assert warm.per_run == pytest.approx(0)
    varies = growth(range(40), [100 + run % 2 for run in range(40)])
    assert abs(varies.per_run) < 0.01 and varies.first_quarter == varies.last_quarter
    with pytest.raises(ValueError, match="fewest that can show"):
        growth([1, 1, 1, 1], [1.0, 2.0, 3.0, 4.0])


def test_what_is_loaded_once_is_told_from_a_growth() -> None:
    step, others = without_largest_step([100, 101, 101, 251, 252, 252])
    assert (step, others) == (150, [100, 101, 101, 101, 102, 102])
    looks = [Sample(run, (100 if run < 20 else 250) * MEBIBYTE, 0, 7) for run in range(40)]
    found = told_of(looks)
    assert found["largest_step_of_resident_mib"] == 150
    assert found["resident_mib_per_run_without_it"] == pytest.approx(0)
    assert found["open_files"] == {"first_quarter": 7, "last_quarter": 7, "per_run": 0}


def test_memory_and_open_files_are_those_of_the_process() -> None:
    here = record("here", os.getpid())
    before = sample(here, 1)
    kept = bytearray(os.urandom(1)) * 2**26
    files = [Path(os.devnull).open("rb") for _ in range(5)]  # noqa: SIM115 - counted while they are open
    after = sample(here, 2)
    for file in files:
        file.close()
    assert before is not None and after is not None
    assert after.resident_bytes - before.resident_bytes >= len(kept) * 0.9
    assert before.proportional_bytes <= before.resident_bytes
    assert after.open_files - before.open_files == 5
    assert told_of([before, after]) == {"looks": 2, "runs_ended_meanwhile": 1}
    assert sample(here.model_copy(update={"started_ticks": here.started_ticks - 1}), 3) is None


def test_a_run_that_ended_otherwise_is_named(tmp_path: Path) -> None:
    rule = {"name": "level", "observed": "accuracy 0.5"}
    late = {"name": "forecast within the budget", "observed": "2 hours"}
    report = {
        "outcome": "pilot_invalid",
        "decisions": [{"gate": "need", "verdict": "pass", "rules": [rule, late]}],
    }
    dossier = tmp_path / "run"
    (dossier / "pilot").mkdir(parents=True)
    (dossier / "outcome.json").write_text(json.dumps(report), encoding="utf-8")
    (dossier / "pilot" / "evidence.json").write_text(
        json.dumps({"artifact": {"files": ["a"]}}), encoding="utf-8"
    )
    same = {
        "state": "PilotInvalid",
        "outcome": "pilot_invalid",
        "decisions": decisions_of(report),
        "trained": trained_in(dossier),
    }
    assert same["decisions"] == [["need", "pass", [["level", "accuracy 0.5"]]]]
    assert same["trained"] == [["pilot", {"files": ["a"]}]]
    job = jobs(1, "runs")[0]
    asked = Asked(job, [], state="PilotInvalid")
    assert held_against(asked, [dossier], same) == []
    assert held_against(asked, [dossier], {**same, "trained": []}) == ["trained"]
    assert held_against(asked, [dossier], {**same, "decisions": []}) == ["decisions"]
    assert held_against(asked, [], same) == ["outcome no dossier"]
    asked.state = "Failed"
    assert held_against(asked, [dossier], same) == ["state Failed"]


def test_an_entry_that_is_to_stand_once_is_found_twice() -> None:
    def entry(sequence: int, kind: EntryKind) -> LedgerEntry:
        return LedgerEntry(
            sequence=sequence,
            previous=NOTHING_BEFORE,
            kind=kind,
            run_id="run",
            about=NOTHING_BEFORE,
            actor="run",
            at="2026-11-26T00:00:00.000000Z",
            clock_set_back=False,
            entry_digest=NOTHING_BEFORE,
        )

    kinds = (EntryKind.ATTEMPT, EntryKind.ATTEMPT, EntryKind.OUTCOME)
    once = [entry(order, kind) for order, kind in enumerate(kinds, 1)]
    assert entries_twice(once) == 0
    assert entries_twice([*once, entry(4, EntryKind.OUTCOME)]) == 1
