"""Every way to full fine-tuning leads past the permit: forged, spent or of something else, it is refused."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from benchmarks.laboratory import laboratory_rung
from data_contracts.errors import PermitRefusedError
from data_contracts.key_roles import KeyRole
from data_contracts.records.base import digest_json, utc_time
from data_contracts.records.bases import EscalationBasis, Judgement
from data_contracts.records.decision import Gate, Verdict
from data_contracts.records.evidence import TrainingEvidence
from data_contracts.records.ledger import EntryKind
from data_contracts.records.permit import Permit, PermitIssuer, Redemption
from data_contracts.records.settings import RunSettings
from data_contracts.records.statements import PERMIT_PREDICATE
from tasks.evidence.dossier import PERMIT, Dossier
from tasks.evidence.kept_permits import KeptPermits
from tasks.evidence.ledger.book import FILE, open_ledger
from tasks.evidence.redeeming import Work
from tasks.evidence.signing.envelopes import envelope_bytes, sign_statement
from tasks.evidence.signing.keys import create_key, load_signer
from tasks.evidence.store import Stored
from tasks.stages import full, permits, training
from tasks.stages.context import RunContext
from tasks.stages.findings import Findings, Trained
from tasks.stages.recording import record_decision, record_permit, sign_permit
from tasks.training.job import JOB, PermittedWork, TrainingJob
from tasks.training.rungs import FullRung
from tests.data_contracts.test_permit import OTHER, make_decision
from tests.tasks.decisions.conftest import ENOUGH
from tests.tasks.evidence.test_dossier import request
from tests.tasks.stages.test_recording import findings as findings

POLICY = {"extends": "exploratory", "metric": "accuracy", "target": 0.5, "margin": 0.05}
RATE = 1e-4


class ReachedError(Exception):
    """What would have been trained next."""


@dataclass(frozen=True)
class Run:
    """A run that has come to full fine-tuning."""

    context: RunContext
    findings: Findings

    def train_full(self, seed: int = 17, rate: float = RATE) -> None:
        """Raises ``ReachedError`` when it was allowed, before anything is read."""
        pilot = cast(Trained, SimpleNamespace(stored=SimpleNamespace(folder=self.context.dossier.folder)))
        training.train_full.fn(self.context, self.findings, pilot=pilot, learning_rate=rate, seed=seed)

    def train_rung(self, rung: FullRung, rate: float = RATE) -> None:
        training.train_rung(
            self.context, self.findings, rung=rung, learning_rate=rate, seed=17, folder_name="full"
        )

    def entries(self, kind: EntryKind) -> list[str]:
        with open_ledger(str(self.context.settings.output / FILE), read_only=True) as ledger:
            return [entry.about for entry in ledger.entries() if entry.kind is kind]

    def permit(self, **changes: Any) -> Permit:
        """One that covers what this run would train, unless it is changed."""
        context = self.context
        decision = make_decision().model_copy(
            update={"run_id": context.run_id, "policy": context.settings.policy.digest()}
        )
        assert self.findings.snapshot is not None
        now = datetime.now(UTC)
        values = {
            "issuer": PermitIssuer.ESCALATION_GATE,
            "run_id": context.run_id,
            "snapshot": self.findings.snapshot.record.digest(),
            "base_model": self.findings.base.identity(),
            "policy": context.settings.policy.digest(),
            "rung": "full",
            "seeds": context.settings.permitted_seeds,
            "price_processor_hours": 2.0,
            "issued_at": utc_time(now),
            "expires_at": utc_time(now + timedelta(hours=1)),
            "decision": decision,
            **changes,
        }
        return Permit.model_validate(values)

    def issue(self, permit: Permit | None = None, signer: Any = None) -> Permit:
        """As the permit stage does, whatever ``permit`` says."""
        permit = permit or self.permit()
        record_permit(self.context, permit, stated(permit, signer) if signer else sign_permit(permit))
        return permit

    def rung(self, held: Permit, **changes: Any) -> FullRung:
        redemption = {"permit": held.digest(), "run_id": held.run_id, "seed": 17, "training": OTHER}
        work = {name: getattr(held, name) for name in ("run_id", "snapshot", "base_model", "policy")}
        return FullRung(held, Redemption(**{**redemption, **changes}), **work)


def stated(permit: Permit, signer: Any = None) -> bytes:
    return envelope_bytes(sign_statement(permit, {"snapshot": permit.snapshot}, PERMIT_PREDICATE, signer))


@pytest.fixture
def run(tmp_path: Path, findings: Findings, monkeypatch: pytest.MonkeyPatch) -> Run:
    def reached(*_: Any, **__: Any) -> None:
        raise ReachedError

    # Prefect's own engine has nothing to say here.
    monkeypatch.setattr(training, "train_rung", training.train_rung.fn)
    monkeypatch.setattr(training, "inputs_for", reached)
    return run_in(tmp_path, "run-1", findings)


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunContext:
    for name in (
        "LORAFIRST_LEDGER",
        "LORAFIRST_KEYRING",
        "LORAFIRST_SIGNING_KEY",
        "LORAFIRST_SIGNING_KEY_FILE",
    ):
        monkeypatch.delenv(name, raising=False)
    return context_in(tmp_path, "run-1")


def context_in(output: Path, run_id: str) -> RunContext:
    settings = RunSettings.model_validate(
        {
            "name": "small",
            "task": "classification",
            "model": {"source": "some/model"},
            "data": {"source": "rows.jsonl"},
            "policy": POLICY,
            "output": output,
        }
    )
    (output / run_id).mkdir(parents=True, exist_ok=True)
    return RunContext(run_id, settings, Dossier(output / run_id), output, 1)


def run_in(output: Path, run_id: str, findings: Findings) -> Run:
    context = context_in(output, run_id)
    context.dossier.write_request(request(run_id))
    snapshot = cast(Any, SimpleNamespace(digest=lambda: digest_json("snapshot")))
    return Run(context, replace(findings, snapshot=Stored(snapshot, output, reused=False)))


def refusal(act: Callable[[], Any]) -> str:
    with pytest.raises(PermitRefusedError) as caught:
        act()
    return str(caught.value)


def test_a_permit_that_covers_it_is_redeemed_before_anything_is_read(run: Run) -> None:
    permit = run.issue()
    with pytest.raises(ReachedError):
        run.train_full()
    (redeemed,) = run.entries(EntryKind.PERMIT_REDEEMED)
    written = Redemption.model_validate_json(
        (run.context.dossier.folder / "redemptions" / "seed-17.json").read_bytes()
    )
    assert written.digest() == redeemed and written.permit == permit.digest()
    # It goes on after a crash, also in a dossier that was cleared, and the ledger holds it once.
    run.context.dossier.clear()
    run.issue(permit)
    with pytest.raises(ReachedError):
        run.train_full()
    assert run.entries(EntryKind.PERMIT_REDEEMED) == [redeemed]
    assert run.entries(EntryKind.PERMIT_ISSUED) == [permit.digest()]
    told = refusal(lambda: run.train_full(rate=2 * RATE))
    assert "seed 17 was redeemed for the training" in told
    assert "this is seed 18" in refusal(lambda: run.train_full(seed=18))


def test_who_trains_for_a_run_elsewhere_is_given_nothing_that_the_run_did_not_redeem(run: Run) -> None:
    """A deployment's form has a rate and a pilot; whoever fills it in chooses no training by them."""
    run.issue()
    pilot = cast(Trained, SimpleNamespace(stored=SimpleNamespace(folder=run.context.dossier.folder)))

    def ask(rate: float) -> None:
        work = training.full_work(run.context, run.findings, pilot=pilot, learning_rate=rate, seed=17)
        permits.require_asked_for(run.context, work)

    assert "has redeemed none for the training" in refusal(lambda: ask(RATE))
    assert run.entries(EntryKind.PERMIT_REDEEMED) == []
    with pytest.raises(ReachedError):
        run.train_full()
    ask(RATE)
    assert "has redeemed none for the training" in refusal(lambda: ask(1.0))
    assert len(run.entries(EntryKind.PERMIT_REDEEMED)) == 1


def test_every_seed_is_redeemed_before_another_pool_is_asked_for_the_first(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = {"compute": run.context.settings.compute.model_copy(update={"full_on": "train-full/train-full"})}
    settings = run.context.settings.model_copy(update=pool)
    monkeypatch.setattr(RunSettings, "permitted_seeds", (17, 18))
    run = Run(replace(run.context, settings=settings), run.findings)
    run.issue()
    pilot = cast(Trained, SimpleNamespace(stored=SimpleNamespace(folder=run.context.dossier.folder)))
    redeemed: list[int] = []

    def asked(*_: Any, **__: Any) -> None:
        redeemed.append(len(run.entries(EntryKind.PERMIT_REDEEMED)))
        raise ReachedError

    monkeypatch.setattr(full, "train_elsewhere", asked)
    monkeypatch.setattr(full, "best_trainings", lambda *_: [pilot])
    monkeypatch.setattr(full, "full_rate", lambda *_: RATE)
    with pytest.raises(ReachedError):
        full.train_permitted(run.context, run.findings)
    assert redeemed == [2]


def test_there_is_no_way_without_one(run: Run) -> None:
    assert "there is none" in refusal(run.train_full)
    # A plain record is no statement, though it says all that it should.
    (run.context.dossier.folder / PERMIT).write_bytes(run.permit().canonical_json())
    assert "no DSSE envelope" in refusal(run.train_full)
    # Nor is a statement that no gate made.
    run.context.dossier.write_permit(stated(run.permit()))
    assert "was issued for this run by the ledger" in refusal(run.train_full)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "snapshot": ({"snapshot": OTHER}, "for snapshot"),
    "base": ({"base_model": OTHER}, "for base model"),
    "policy": ({"policy": OTHER}, "for policy"),
    "method": ({"rung": "layers"}, "for method layers"),
    "run": ({"run_id": "run-2"}, "for run run-2"),
    "seed": ({"seeds": (5,)}, "for seed 5"),
    "issuer": ({"issuer": "laboratory"}, "by the laboratory"),
    "expiry": (
        {"issued_at": "2026-01-01T00:00:00.000000Z", "expires_at": "2026-01-02T00:00:00.000000Z"},
        "expired at 2026-01-02",
    ),
    "gate": ({"decision": make_decision(gate=Gate.QUALITY)}, "of the quality gate"),
    "verdict": ({"decision": make_decision(verdict=Verdict.FAIL)}, "says fail"),
}


@pytest.mark.parametrize("name", WRONG)
def test_one_that_is_for_something_else_is_refused_though_the_ledger_has_it(run: Run, name: str) -> None:
    changes, told = WRONG[name]
    run.issue(run.permit(**changes))
    assert told in refusal(run.train_full)
    assert run.entries(EntryKind.PERMIT_REDEEMED) == []


def test_the_file_of_another_dossier_is_refused(run: Run, tmp_path: Path) -> None:
    """Of the same work, in the same output folder and in another: copied file, kept copy and all."""
    import shutil

    for output in (tmp_path, tmp_path / "elsewhere"):
        other = run_in(output, "run-2", run.findings)
        other.issue()
        shutil.copy(other.context.dossier.folder / PERMIT, run.context.dossier.folder / PERMIT)
        shutil.copytree(output / ".permits" / "run-2", tmp_path / ".permits" / "run-1", dirs_exist_ok=True)
        told = refusal(run.train_full)
        assert "for run run-2, and this is run run-1" in told and "was issued for this run" in told


@pytest.mark.parametrize("configured", ["key", "keyring"])
def test_where_there_are_keys_it_must_be_signed_by_the_pipelines(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configured: str
) -> None:
    begin = datetime.now(UTC) - timedelta(days=1)
    secrets = {
        name: create_key(tmp_path / "keys", name=name, role=role, password=None, now=begin)
        for name, role in (("pipeline", KeyRole.PIPELINE), ("forger", KeyRole.PIPELINE))
    }
    unsigned = run.issue()
    key, keyring = secrets["pipeline"]
    if configured == "key":
        monkeypatch.setenv("LORAFIRST_SIGNING_KEY_FILE", str(key))
    else:
        monkeypatch.setenv("LORAFIRST_KEYRING", str(keyring))
    assert "it has no signature" in refusal(run.train_full)
    # A forger writes the ledger too.
    forged = run.issue(run.permit(price_processor_hours=0.0), load_signer(secrets["forger"][0], None))
    assert forged != unsigned and "is not in the keyring" in refusal(run.train_full)
    run.issue(run.permit(), load_signer(key, None))
    with pytest.raises(ReachedError):
        run.train_full()


def test_a_rung_made_by_hand_trains_nothing_in_a_run(run: Run) -> None:
    """``FullRung`` cannot know the ledger; the stage that trains asks it."""
    permit = run.issue()
    told = refusal(lambda: run.train_rung(run.rung(permit)))
    assert "holds no redemption of it" in told and f"redeemed for the training {OTHER}" in told
    with pytest.raises(ReachedError):
        run.train_full()
    written = (run.context.dossier.folder / "redemptions" / "seed-17.json").read_bytes()
    redeemed = run.rung(permit, **Redemption.model_validate_json(written).model_dump())
    with pytest.raises(ReachedError):
        run.train_rung(redeemed)
    assert "and this is the training" in refusal(lambda: run.train_rung(redeemed, 2 * RATE))
    with pytest.raises(PermitRefusedError, match="no permit, or one that was not redeemed"):
        FullRung(permit, None, run_id="run-1", snapshot=OTHER, base_model=OTHER, policy=OTHER)  # type: ignore[arg-type]
    assert "for run run-2" in refusal(lambda: run.rung(permit, run_id="run-2"))


def test_a_rung_of_the_laboratory_trains_nothing_in_a_run(run: Run) -> None:
    assert run.findings.snapshot is not None
    rung = laboratory_rung(
        snapshot=run.findings.snapshot.record.digest(),
        base_model=run.findings.base.identity(),
        policy=run.context.settings.policy.digest(),
        seed=17,
    )
    told = refusal(lambda: run.train_rung(rung))
    assert "run laboratory, and this is run run-1" in told and "holds no redemption" in told


def test_what_the_laboratory_trained_is_not_taken_for_the_pipelines_own(run: Run, tmp_path: Path) -> None:
    for permit in (run.permit(), run.permit(issuer="laboratory")):
        (tmp_path / PERMIT).write_bytes(stated(permit))
        if permit.issuer is PermitIssuer.ESCALATION_GATE:
            permits.require_issued_by_a_gate(tmp_path)
        else:
            assert "laboratory" in refusal(lambda: permits.require_issued_by_a_gate(tmp_path))
    (tmp_path / PERMIT).unlink()
    assert "cannot be read" in refusal(lambda: permits.require_issued_by_a_gate(tmp_path))


def test_a_stored_result_is_refused_and_reused_by_the_same_rule(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing is built; that it is there does not make it allowed."""
    store: list[str] = []

    def reuse(self: Any, key: Any, kind: Any, build: Any) -> Stored[TrainingEvidence]:
        store.append(key.stage)
        (tmp_path / "stored").mkdir(exist_ok=True)
        (tmp_path / "stored" / PERMIT).write_bytes(stated(run.permit(issuer="laboratory")))
        return Stored(cast(TrainingEvidence, None), tmp_path / "stored", reused=True)

    monkeypatch.setattr(
        training.RunContext,
        "store",
        property(
            lambda self: SimpleNamespace(
                reuse_or_build=lambda *given: reuse(self, *given),
                checkpoints=lambda key: SimpleNamespace(remove=lambda: None),
            )
        ),
    )
    assert "there is none" in refusal(run.train_full) and store == []
    run.issue()
    assert "permit of the laboratory" in refusal(run.train_full) and store == ["train-full"]


@pytest.mark.slow
def test_a_worker_refuses_what_its_job_has_no_permit_for(run: Run, tmp_path: Path) -> None:
    """The process that torchrun starts, with a job that somebody wrote by hand."""
    permit = run.permit()
    given = {
        "base": tmp_path / "nowhere",
        "base_name": "base",
        "base_digest": permit.base_model,
        "task": "classification",
        "labels": ("a", "b"),
        "pad_token_id": 0,
        "precision": "float32",
        "pilot": None,
        "start": None,
        "training": {},
        "learning_rate": RATE,
        "seed": 17,
        "artifact": tmp_path / "artifact",
        "checkpoints": None,
    }
    whole = PermittedWork.of(run.rung(permit)).model_dump(mode="json")
    for change, told in (
        ({"snapshot": OTHER}, "for snapshot"),
        ({"redemption": {**whole["redemption"], "permit": OTHER}}, "redeemed for permit"),
        ({"redemption": {**whole["redemption"], "seed": 18}}, "this is seed 18"),
    ):
        job = TrainingJob.model_validate({**given, "permitted": {**whole, **change}})
        with pytest.raises(PermitRefusedError, match=told):
            job.rung()
    folder = tmp_path / "job"
    folder.mkdir()
    (folder / JOB).write_bytes(job.canonical_json())
    alone = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1", "GROUP_RANK": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "tasks.stages.worker", str(folder)],
        env={**os.environ, **alone},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    assert "PermitRefusedError" in (folder / "fault.json").read_text(encoding="utf-8")
    assert not (tmp_path / "artifact").exists()


def test_the_gates_permit_is_issued_once_and_used_again(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A run that goes on has the permit that it had, until the gate would give another or it is spent."""
    escalated(run)
    first = permits.issue(run.context, run.findings)
    assert first.seeds == (17,) and first.price_processor_hours == 3.5
    assert permits.issue(run.context, run.findings) == first
    assert run.entries(EntryKind.PERMIT_ISSUED) == [first.digest()]
    # Kept without having been entered, it is nobody's.
    planted = first.model_copy(update={"issued_at": utc_time(datetime.now(UTC) - timedelta(hours=1))})
    KeptPermits.of(tmp_path, "run-1").keep(stated(planted))
    assert permits.issue(run.context, run.findings) not in (first, planted)
    # A dearer one is not what the gate would give.
    dearer = run.issue(first.model_copy(update={"price_processor_hours": 9.0}))
    assert permits.issue(run.context, run.findings) != dearer
    hours = timedelta(hours=run.context.settings.policy.escalation.permit_valid_hours)
    begin, end = (datetime.fromisoformat(at) for at in (first.issued_at, first.expires_at))
    assert end - begin == hours == timedelta(days=7)


def test_whoever_watches_is_told_whether_it_is_signed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(permits, "listener", lambda: SimpleNamespace(noted=told.append))
    escalated(run)
    permits.issue(run.context, run.findings)
    key, _ = create_key(
        tmp_path / "keys", name="pipeline", role=KeyRole.PIPELINE, password=None, now=datetime.now(UTC)
    )
    monkeypatch.setenv("LORAFIRST_SIGNING_KEY_FILE", str(key))
    permits.issue(run.context, run.findings)
    terms = "seed 17, 3.5 processor hours, to be begun before"
    assert [each.split(terms)[0] for each in told] == [
        "Permit for full, unsigned: ",
        "Permit for full, signed: ",
    ]
    assert len(run.entries(EntryKind.PERMIT_ISSUED)) == 2, "the unsigned one would no longer be redeemed"


def escalated(run: Run) -> None:
    """The run's escalation gate has passed, on a forecast of three and a half hours."""
    decision = run.permit().decision
    facts = ENOUGH.model_copy(update={"train_rows": 1000, "processor_hours_of_full": 3.5})
    basis = EscalationBasis(quality=OTHER, fairness=OTHER, facts=facts, distance=None)
    run.findings.history = run.findings.history.with_decision(decision)
    number = len(run.findings.history.decisions)
    run.findings.checked = None
    bare = replace(run.findings, snapshot=None)
    record_decision(run.context, bare, Judgement(decision=decision, basis=basis), number)


def test_no_permit_without_a_passed_gate_whose_record_is_there(run: Run) -> None:
    history = run.findings.history
    run.findings.history = history.with_decision(make_decision(verdict=Verdict.FAIL))
    assert "holds no decision" in refusal(lambda: permits.issue(run.context, run.findings))
    escalated(run)
    run.findings.history = run.findings.history.with_decision(make_decision(verdict=Verdict.INCONCLUSIVE))
    assert "holds no decision" in refusal(lambda: permits.issue(run.context, run.findings))
    assert run.entries(EntryKind.PERMIT_ISSUED) == []


def test_redeeming_writes_nothing_where_it_is_refused(run: Run) -> None:
    run.issue(run.permit(seeds=(5,)))
    work = Work("run-1", OTHER, OTHER, OTHER, cast(Any, "full"), 17, OTHER)
    refusal(lambda: permits.redeem_here(run.context, work))
    assert not (run.context.dossier.folder / "redemptions").exists()
    assert not list((run.context.settings.output / ".permits").rglob("redemptions/*"))
