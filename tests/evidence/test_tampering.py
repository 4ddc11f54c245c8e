"""Every attack is found, and named for what it is; what nobody touched is found to be in order."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner, SSlibKey

from data_contracts.errors import EnvelopeRefusedError
from data_contracts.key_roles import KeyRole
from data_contracts.records.base import canonical_json, digest_file
from data_contracts.records.ledger import Checkpoint
from data_contracts.records.statements import Keyring, KeyringEntry
from data_contracts.records.verification import Check, Verification
from tasks.audit.checkpoints import checkpoint_bytes, read_checkpoint
from tasks.audit.rescoring import rescore_dossier
from tasks.audit.verify.verifying import verify_dossier
from tasks.evidence.dossier import MANIFEST
from tasks.evidence.ledger.book import open_ledger
from tests.evidence.conftest import Recorded
from tests.evidence.forging import Forger, copy_of, moved

pytestmark = pytest.mark.slow

PILOT = "pilot-1-lora-r8"


@dataclass(frozen=True)
class Attack:
    """What somebody does, and what must be found."""

    name: str
    do: Callable[[Forger], None]
    check: Check
    where: str
    """Part of the place that is named."""
    what: str
    """Part of what is said of it."""
    insider: bool = False
    """Whether it takes the pipeline's key: the manifest is then made anew and signed with it."""
    checkpoint: bool = False
    """Whether it takes a checkpoint kept elsewhere to find it."""


ATTACKS: list[Attack] = []


def attack(
    check: Check, where: str, what: str, *, insider: bool = False, checkpoint: bool = False
) -> Callable[[Callable[[Forger], None]], Callable[[Forger], None]]:
    def register(do: Callable[[Forger], None]) -> Callable[[Forger], None]:
        ATTACKS.append(Attack(do.__name__.strip("_"), do, check, where, what, insider, checkpoint))
        return do

    return register


def by_insider(
    check: Check, where: str, what: str
) -> Callable[[Callable[[Forger], None]], Callable[[Forger], None]]:
    return attack(check, where, what, insider=True)


SCORED, ADAPTER = f"{PILOT}/gate/scores.parquet", f"{PILOT}/adapter/adapter_model.safetensors"
OUTCOME, ESCALATION = "outcome.json", "escalation.json"

# Files, by anybody who can write to the folder.


@attack(Check.FILES, SCORED, "bytes; the manifest says")
def _a_score(forger: Forger) -> None:
    def flip(columns: dict[str, list[Any]]) -> None:
        columns["accuracy"][0] = 1.0 - columns["accuracy"][0]

    forger.edit_table(SCORED, flip)


@attack(Check.FILES, "adapter_model.safetensors", "its digest is not the manifest's")
def _a_swapped_adapter(forger: Forger) -> None:
    other = forger.folder / f"{PILOT}-seed-18" / "adapter" / "adapter_model.safetensors"
    forger.write(ADAPTER, other.read_bytes())


@attack(Check.FILES, f"{PILOT}/adapter/extra.safetensors", "it was added")
def _a_file_added(forger: Forger) -> None:
    forger.write(f"{PILOT}/adapter/extra.safetensors", b"more weights")


@attack(Check.FILES, "registration.json", "it is not there, and the manifest names it")
def _a_file_removed(forger: Forger) -> None:
    (forger.folder / "registration.json").unlink()


@attack(Check.FILES, "report.html", "bytes; the manifest says")
def _a_file_cut_short(forger: Forger) -> None:
    forger.write("report.html", (forger.folder / "report.html").read_bytes()[:-100])


@attack(Check.FILES, "full/model/config.json", "it is a link")
def _a_link_out_of_the_folder(forger: Forger) -> None:
    outside = forger.folder.parent / "config.json"
    path = forger.folder / "full/model/config.json"
    shutil.copy(path, outside)
    path.unlink()
    path.symlink_to(outside)


@attack(Check.FILES, MANIFEST, "lies outside the dossier")
def _a_manifest_that_names_what_lies_outside(forger: Forger) -> None:
    def outside(manifest: Any) -> None:
        manifest["files"][0]["path"] = "../elsewhere"

    forger.resay(MANIFEST, outside)


@attack(Check.FILES, MANIFEST, "it is not there: the run has not ended")
def _a_manifest_removed(forger: Forger) -> None:
    (forger.folder / MANIFEST).unlink()


@attack(Check.FILES, MANIFEST, "it cannot be read")
def _a_manifest_cut_short(forger: Forger) -> None:
    forger.write(MANIFEST, (forger.folder / MANIFEST).read_bytes()[:500])


@attack(Check.SIGNATURES, MANIFEST, "it has no signature")
def _a_manifest_made_anew_and_signed_by_nobody(forger: Forger) -> None:
    _a_score(forger)
    forger.complete(None)


@attack(Check.SIGNATURES, MANIFEST, "is not in the keyring")
def _a_manifest_made_anew_and_signed_by_a_stranger(forger: Forger) -> None:
    _a_score(forger)
    forger.complete(forger.stranger)


# What was decided, under the signature that it had.


@attack(Check.SIGNATURES, "quality.json", "the signature of pipeline is bad")
def _a_threshold(forger: Forger) -> None:
    def lower(record: Any) -> None:
        record["judgement"]["decision"]["rules"][0]["threshold"] = "at least 0.2"

    forger.resay(forger.decision_file("quality"), lower)


@attack(Check.SIGNATURES, "quality.json", "the signature of pipeline is bad")
def _a_verdict(forger: Forger) -> None:
    forger.resay(forger.decision_file("quality"), _pass)


@attack(Check.SIGNATURES, "quality.json", "is not in the keyring")
def _a_verdict_signed_by_a_stranger(forger: Forger) -> None:
    forger.restate(forger.decision_file("quality"), _pass, forger.stranger)


@attack(Check.DECISIONS, "quality.json", "it cannot be read")
def _a_decision_cut_short(forger: Forger) -> None:
    name = forger.decision_file("quality")
    forger.write(name, (forger.folder / name).read_bytes()[:-40])


@attack(Check.DECISIONS, "quality.json", "payload is not canonical JSON")
def _a_payload_written_otherwise(forger: Forger) -> None:
    import base64

    name = forger.decision_file("quality")
    document = json.loads((forger.folder / name).read_bytes())
    payload = json.dumps(json.loads(base64.b64decode(document["payload"])), indent=1)
    document["payload"] = base64.b64encode(payload.encode()).decode()
    forger.write(name, canonical_json(document))


def _pass(record: Any) -> None:
    decision = record["judgement"]["decision"]
    decision["verdict"] = "pass"
    for rule in decision["rules"]:
        rule["verdict"] = "pass"


# The same by somebody who holds the pipeline's key, and signs everything anew.


@by_insider(Check.DECISIONS, "quality.json", "its verdict is fail, and the file says pass")
def _a_verdict_by_an_insider(forger: Forger) -> None:
    forger.restate(forger.decision_file("quality"), _pass, forger.key)


@by_insider(Check.LEDGER, "quality.json", "the ledger does not hold it")
def _a_verdict_by_an_insider_is_not_in_the_ledger(forger: Forger) -> None:
    forger.restate(forger.decision_file("quality"), _pass, forger.key)


@by_insider(Check.DECISIONS, "quality.json", "the threshold of 'level' is at least 0.94")
def _a_threshold_by_an_insider(forger: Forger) -> None:
    def lower(record: Any) -> None:
        record["judgement"]["decision"]["rules"][0]["threshold"] = "at least 0.2"

    forger.restate(forger.decision_file("quality"), lower, forger.key)


@by_insider(Check.DECISIONS, "quality.json", "the interval of 'level' is")
def _an_interval_by_an_insider(forger: Forger) -> None:
    def widen(record: Any) -> None:
        record["judgement"]["decision"]["rules"][0]["interval"]["upper"] += 1e-6

    forger.restate(forger.decision_file("quality"), widen, forger.key)


@by_insider(Check.DECISIONS, "justification.json", "it has the rule 'gain over the pilot', which")
def _a_rule_left_out(forger: Forger) -> None:
    def drop(record: Any) -> None:
        record["judgement"]["decision"]["rules"].pop()

    forger.restate(forger.decision_file("justification"), drop, forger.key)


@attack(
    Check.SCORES,
    SCORED,
    "accuracy of 125 rows is not what answer and reference give",
    insider=True,
)
def _a_score_by_an_insider(forger: Forger) -> None:
    def better(columns: dict[str, list[Any]]) -> None:
        columns["accuracy"] = [1.0] * len(columns["accuracy"])

    forger.rescore(f"{PILOT}/gate", better)


@by_insider(Check.SCORES, SCORED, "its references are not the labels")
def _references_made_to_fit(forger: Forger) -> None:
    def fit(columns: dict[str, list[Any]]) -> None:
        columns["reference"] = list(columns["answer"])
        columns["accuracy"] = [1.0] * len(columns["accuracy"])

    forger.rescore(f"{PILOT}/gate", fit)


@attack(Check.SCORES, SCORED, "its rows are not the gate rows of the snapshot", insider=True)
def _hard_rows_left_out(forger: Forger) -> None:
    def drop(columns: dict[str, list[Any]]) -> None:
        kept = [index for index, right in enumerate(columns["accuracy"]) if right]
        for name, values in columns.items():
            columns[name] = [values[index] for index in kept]

    forger.rescore(f"{PILOT}/gate", drop)


@by_insider(Check.SCORES, SCORED, "its mean accuracy is")
def _a_mean(forger: Forger) -> None:
    def higher(evidence: Any) -> None:
        for metric in evidence["metrics"]:
            if metric["name"] == "accuracy":
                metric["value"] = 0.99

    forger.recite(f"{PILOT}/gate", higher)


@by_insider(Check.SCORES, f"{PILOT}/gate/evidence.json", "another artifact was scored")
def _scores_of_another_artifact(forger: Forger) -> None:
    other = json.loads((forger.folder / f"{PILOT}-seed-18/gate/evidence.json").read_bytes())["artifact"]
    forger.recite(f"{PILOT}/gate", lambda evidence: evidence.update(artifact=other))


@by_insider(Check.SCORES, f"{PILOT}/gate/evidence.json", "it is of the tune rows")
def _scores_of_other_rows(forger: Forger) -> None:
    for name in ("evidence.json", "scores.parquet"):
        content = (forger.folder / PILOT / "tune" / name).read_bytes()
        before = digest_file(forger.folder / PILOT / "gate" / name)
        forger.write(f"{PILOT}/gate/{name}", content)
        forger.replace_everywhere(before, digest_file(forger.folder / PILOT / "gate" / name))


@attack(
    Check.TRAININGS,
    ADAPTER,
    "it is not the file that was trained",
    insider=True,
)
def _a_swapped_adapter_by_an_insider(forger: Forger) -> None:
    _a_swapped_adapter(forger)


@by_insider(Check.TRAININGS, f"{PILOT}/evidence.json", "it was trained on the snapshot")
def _a_training_on_other_data(forger: Forger) -> None:
    forger.recite(PILOT, lambda evidence: evidence.update(snapshot="sha256:" + "5" * 64))


@by_insider(Check.TRAININGS, "full/evidence.json", "base weights were updated without a permit")
def _a_training_that_forgets_its_permit(forger: Forger) -> None:
    forger.recite("full", lambda evidence: evidence.update(permit=None))


@by_insider(Check.WAY, OUTCOME, "its decisions are not those of the files")
def _a_rejection_left_out(forger: Forger) -> None:
    forger.renumber(lambda files: [name for name in files if not name.startswith("05-")])


@by_insider(Check.LEDGER, "ledger, entry", "the dossier lacks the rejection of the gate fairness")
def _a_rejection_left_out_is_missed(forger: Forger) -> None:
    forger.renumber(lambda files: [name for name in files if not name.startswith("05-")])


@attack(
    Check.DECISIONS, "decisions/06-fairness.json", "it should be decisions/05-fairness.json", insider=True
)
def _a_decision_file_removed(forger: Forger) -> None:
    (forger.folder / "decisions/05-fairness.json").unlink()


@by_insider(Check.WAY, "decisions/03-fit.json", "the need gate comes here, not fit")
def _decisions_in_another_order(forger: Forger) -> None:
    forger.renumber(lambda files: [files[0], files[1], files[3], files[2], *files[4:]])


@by_insider(Check.WAY, "decisions", "the quality gate comes next, and its decision is not there")
def _a_run_cut_short_before_its_look(forger: Forger) -> None:
    forger.renumber(lambda files: files[:6])


@by_insider(Check.REQUEST, "quality.json", "than was asked for")
def _a_policy_made_to_fit(forger: Forger) -> None:
    before = digest_file(forger.folder / "request.yaml")

    def lower(request: Any) -> None:
        request["settings"]["policy"]["target"] = 0.2

    forger.edit_request(lower)
    forger.replace_everywhere(before, digest_file(forger.folder / "request.yaml"))


@by_insider(Check.REQUEST, "request.yaml", "do not have the digest that stands beside them")
def _settings_made_to_fit(forger: Forger) -> None:
    forger.edit_request(lambda request: request["settings"].update(seed=99))


@by_insider(Check.REQUEST, "quality.json", "as who asked")
def _a_requester_renamed(forger: Forger) -> None:
    forger.edit_request(lambda request: request.update(requested_by="somebody else"))


@by_insider(Check.REQUEST, "quality.json", "other code, versions or another machine")
def _another_version_of_the_code(forger: Forger) -> None:
    forger.edit_request(lambda request: request["environment"].update(code="sha256:" + "7" * 64))


@by_insider(Check.QUESTION, "registration.json", "its target is 0.2")
def _a_question_made_to_fit(forger: Forger) -> None:
    _reregister(forger, lambda registration: registration.update(target=0.2))


@by_insider(Check.QUESTION, "registration.json", "has 160 rows and alpha 0.2")
def _a_level_made_to_fit(forger: Forger) -> None:
    _reregister(forger, lambda registration: registration["looks"][0].update(alpha=0.2))


@by_insider(Check.QUESTION, "power.json", "it was made before its question was registered")
def _a_question_registered_after_its_answer(forger: Forger) -> None:
    _reregister(forger, lambda registration: registration.update(registered_at="2099-01-01T00:00:00Z"))


def _reregister(forger: Forger, change: Callable[[Any], Any]) -> None:
    before = digest_file(forger.folder / "registration.json")
    forger.edit("registration.json", change)
    forger.replace_everywhere(before, digest_file(forger.folder / "registration.json"))


@by_insider(Check.DATA, "snapshot/gate.parquet", "it holds 159 rows, and the snapshot says 160")
def _a_gate_row_removed(forger: Forger) -> None:
    def drop(columns: dict[str, list[Any]]) -> None:
        for name, values in columns.items():
            columns[name] = values[1:]

    forger.edit_table("snapshot/gate.parquet", drop)


@by_insider(Check.DATA, "snapshot/gate.parquet", "its labels are not as many of each")
def _labels_of_gate_rows_changed(forger: Forger) -> None:
    def relabel(columns: dict[str, list[Any]]) -> None:
        columns["label"] = ["HUM"] * len(columns["label"])

    forger.edit_table("snapshot/gate.parquet", relabel)


@by_insider(Check.DATA, "snapshot/gate.parquet", "is in train too")
def _gate_rows_trained_on(forger: Forger) -> None:
    import pyarrow.parquet as pq

    trained = pq.read_table(forger.folder / "snapshot/train.parquet").to_pydict()

    def swap(columns: dict[str, list[Any]]) -> None:
        for name in columns:
            columns[name][0] = trained[name][0]

    forger.edit_table("snapshot/gate.parquet", swap)


@by_insider(Check.DATA, "decisions/02-power.json", "it was made on another snapshot")
def _another_snapshot(forger: Forger) -> None:
    forger.edit("snapshot/evidence.json", lambda snapshot: snapshot.update(rejected_rows=0))


@by_insider(Check.DECISIONS, "fairness.json", "tune_score of pilot 1 was told as 0.1")
def _a_pilot_made_worse(forger: Forger) -> None:
    def worse(record: Any) -> None:
        record["judgement"]["basis"]["trials"][0]["tune_score"] = 0.1

    forger.restate(forger.decision_file("fairness"), worse, forger.key)


@by_insider(Check.DECISIONS, "fairness.json", "full_steps of pilot 1 was told as 99")
def _a_pilot_said_to_have_had_too_little(forger: Forger) -> None:
    def more(record: Any) -> None:
        record["judgement"]["basis"]["trials"][0]["full_steps"] = 99

    forger.restate(forger.decision_file("fairness"), more, forger.key)


@by_insider(Check.DECISIONS, "fairness.json", "holds no evidence with the digest")
def _a_learning_rate_that_nobody_tried(forger: Forger) -> None:
    def invent(record: Any) -> None:
        record["judgement"]["basis"]["sweep"][1]["tune_loss"] = 0.01

    forger.restate(forger.decision_file("fairness"), invent, forger.key)


@by_insider(Check.WAY, "quality.json", "it rests on 1 seeds; 3 were needed")
def _seeds_left_out(forger: Forger) -> None:
    def fewer(record: Any) -> None:
        pilot = record["judgement"]["basis"]["pilot"]
        pilot["evidence"] = pilot["evidence"][:1]

    forger.restate(forger.decision_file("quality"), fewer, forger.key)


@by_insider(Check.DECISIONS, "quality.json", "the rows of the slice")
def _a_slice_made_to_fit(forger: Forger) -> None:
    def others(record: Any) -> None:
        members = record["judgement"]["basis"]["guardrails"]["slices"][0]["members"]
        members["bits"] = "f" * len(members["bits"])

    forger.restate(forger.decision_file("quality"), others, forger.key)


@by_insider(Check.DECISIONS, "quality.json", "the alternatives that it names")
def _alternatives_hushed_up(forger: Forger) -> None:
    forger.restate(forger.decision_file("quality"), lambda record: record.update(alternatives=[]), forger.key)


@by_insider(Check.DECISIONS, "quality.json", "before the one that it follows")
def _times_moved(forger: Forger) -> None:
    def earlier(record: Any) -> None:
        record["made_at"] = moved(record["made_at"], -20)

    forger.restate(forger.decision_file("quality"), earlier, forger.key)


@by_insider(Check.LEDGER, "justification.json", "and entered at")
def _times_moved_are_not_those_of_the_ledger(forger: Forger) -> None:
    def later(record: Any) -> None:
        record["made_at"] = moved(record["made_at"], 3600)

    forger.restate(forger.decision_file("justification"), later, forger.key)


@attack(Check.DECISIONS, MANIFEST, "before the last decision")
def _a_manifest_moved_back(forger: Forger) -> None:
    forger.complete(forger.key, made_at="2026-01-01T00:00:00.000000Z")


@attack(
    Check.WAY,
    OUTCOME,
    "the decisions lead to full_unjustified, and it says full_accepted",
    insider=True,
)
def _an_outcome(forger: Forger) -> None:
    forger.edit(OUTCOME, lambda report: report.update(outcome="full_accepted"))


@attack(Check.WAY, OUTCOME, "it offers full/model, and the run ended in full_unjustified", insider=True)
def _a_model_offered_all_the_same(forger: Forger) -> None:
    forger.edit(OUTCOME, lambda report: report.update(accepted_artifact="full/model"))


@by_insider(Check.WAY, OUTCOME, "its decisions are not those of the files")
def _a_report_of_other_decisions(forger: Forger) -> None:
    forger.edit(OUTCOME, lambda report: report["decisions"].pop(4) and None)


@by_insider(Check.PERMIT, ESCALATION, "asked for the run and answered for it")
def _an_approver_who_is_the_requester(forger: Forger) -> None:
    def same(record: Any) -> None:
        record["judgement"]["basis"]["facts"]["approval"]["name"] = record["requested_by"]
        record["answered_by"] = record["requested_by"]

    forger.restate(forger.decision_file("escalation"), same, forger.key)


@attack(
    Check.PERMIT,
    ESCALATION,
    "the policy asks for a person's approval, and there is none",
    insider=True,
)
def _an_approval_that_nobody_gave(forger: Forger) -> None:
    def nobody(record: Any) -> None:
        record["judgement"]["basis"]["facts"]["approval"] = None
        record["answered_by"] = None

    forger.restate(forger.decision_file("escalation"), nobody, forger.key)


@by_insider(Check.LEDGER, ESCALATION, "the ledger holds no approval by Eve")
def _an_approval_by_somebody_else(forger: Forger) -> None:
    def eve(record: Any) -> None:
        record["judgement"]["basis"]["facts"]["approval"]["name"] = "Eve"
        record["answered_by"] = "Eve"

    forger.restate(forger.decision_file("escalation"), eve, forger.key)


@by_insider(Check.LEDGER, ESCALATION, "it was first asked at 2020-")
def _a_question_that_was_asked_at_another_time(forger: Forger) -> None:
    def asked(record: Any) -> None:
        record["judgement"]["basis"]["facts"]["asked_at"] = "2020-01-01T00:00:00.000000Z"

    forger.restate(forger.decision_file("escalation"), asked, forger.key)


@by_insider(Check.LEDGER, ESCALATION, "it is said to have waited 1.000 days")
def _a_wait_of_another_length(forger: Forger) -> None:
    def waited(record: Any) -> None:
        record["judgement"]["basis"]["facts"]["waited_days"] = 1.0

    forger.restate(forger.decision_file("escalation"), waited, forger.key)


@by_insider(Check.PERMIT, "full/evidence.json", "the dossier holds no permit")
def _a_permit_removed(forger: Forger) -> None:
    (forger.folder / "permit.json").unlink()


@by_insider(Check.LEDGER, "ledger, entry", "a permit was issued, and the dossier does not hold it")
def _a_permit_removed_is_missed(forger: Forger) -> None:
    (forger.folder / "permit.json").unlink()


def _restated_permit(**changes: Any) -> Callable[[Forger], None]:
    def restate(forger: Forger) -> None:
        forger.restate("permit.json", lambda permit: permit.update(changes), forger.key)

    return restate


_LATE = "2099-01-01T00:00:00.000000Z"
for _name, _value, _check, _what in (
    ("price_processor_hours", 0.0, Check.PERMIT, "its price is 0.0 processor hours"),
    ("seeds", [17, 18], Check.PERMIT, "its seeds is (17, 18)"),
    ("issuer", "laboratory", Check.PERMIT, "its issuer is laboratory"),
    ("expires_at", _LATE, Check.LEDGER, "does not hold that it was issued"),
):
    _do = _restated_permit(**{_name: _value})
    ATTACKS.append(Attack(f"a_permit_of_another_{_name}", _do, _check, "permit.json", _what, insider=True))


@attack(Check.SIGNATURES, "permit.json", "bad: not of this content")
def _a_permit_edited_under_its_signature(forger: Forger) -> None:
    forger.resay("permit.json", lambda permit: permit.update(expires_at=_LATE))


REDEMPTION = "redemptions/seed-17.json"


@by_insider(Check.PERMIT, REDEMPTION, "what full was redeemed for cannot be read")
def _a_redemption_removed(forger: Forger) -> None:
    (forger.folder / REDEMPTION).unlink()


@by_insider(Check.LEDGER, "ledger, entry", "a permit was redeemed, and the dossier does not hold it")
def _a_redemption_removed_is_missed(forger: Forger) -> None:
    (forger.folder / REDEMPTION).unlink()


@by_insider(Check.LEDGER, REDEMPTION, "does not hold that it was redeemed")
def _a_redemption_for_another_training(forger: Forger) -> None:
    forger.edit(REDEMPTION, lambda redemption: redemption.update(training="sha256:" + "5" * 64))


@by_insider(Check.PERMIT, REDEMPTION, "its permit is sha256:5")
def _a_redemption_of_another_permit(forger: Forger) -> None:
    forger.edit(REDEMPTION, lambda redemption: redemption.update(permit="sha256:" + "5" * 64))


@by_insider(Check.PERMIT, "full/permit.json", "this was trained for a benchmark")
def _weights_of_the_laboratory(forger: Forger) -> None:
    forger.restate("full/permit.json", lambda permit: permit.update(issuer="laboratory"), forger.key)


@by_insider(Check.PERMIT, "full/permit.json", "it is not the permit that the training names")
def _weights_trained_under_another_permit(forger: Forger) -> None:
    forger.restate("full/permit.json", lambda permit: permit.update(price_processor_hours=9.0), forger.key)


@by_insider(Check.PERMIT, "approval.json", "it is not the answer that")
def _an_answer_for_another_reason(forger: Forger) -> None:
    forger.restate("approval.json", lambda answer: answer.update(reason="whatever"), None)


@by_insider(Check.PERMIT, "approval.json", "it is not the answer that")
def _an_answer_removed(forger: Forger) -> None:
    (forger.folder / "approval.json").unlink()


@by_insider(Check.PERMIT, ESCALATION, "the gate was told Eve as who asked for the run")
def _a_requester_that_the_gate_was_told(forger: Forger) -> None:
    def eve(record: Any) -> None:
        record["judgement"]["basis"]["facts"]["requested_by"] = "Eve"

    forger.restate(forger.decision_file("escalation"), eve, forger.key)


@by_insider(Check.PERMIT, ESCALATION, "signed by ada, and the answer does not say so")
def _a_signature_that_the_gate_was_told(forger: Forger) -> None:
    def ada(record: Any) -> None:
        record["judgement"]["basis"]["facts"]["signed_by"] = "ada"

    forger.restate(forger.decision_file("escalation"), ada, forger.key)


# The ledger, by somebody who owns the database.


@attack(Check.LEDGER, "ledger, entry 5", "its digest is not that of its content")
def _an_entry_changed(forger: Forger) -> None:
    forger.rewrite("UPDATE ledger_entries SET actor = 'nobody' WHERE sequence = 5")


@attack(Check.LEDGER, "ledger, entry 14", "it is no entry: kind")
def _an_entry_made_unreadable(forger: Forger) -> None:
    forger.rewrite("UPDATE ledger_entries SET kind = 'nothing' WHERE sequence >= 14")


@attack(Check.LEDGER, "ledger, entry 7", "it does not follow the entry before it")
def _an_entry_removed(forger: Forger) -> None:
    forger.rewrite("DELETE FROM ledger_entries WHERE sequence = 6")


@attack(Check.LEDGER, "ledger, entry 5", "it does not follow the entry before it")
def _entries_in_another_order(forger: Forger) -> None:
    forger.rewrite(
        "UPDATE ledger_entries SET sequence = 9999 WHERE sequence = 5",
        "UPDATE ledger_entries SET sequence = 5 WHERE sequence = 6",
        "UPDATE ledger_entries SET sequence = 6 WHERE sequence = 9999",
    )


@attack(Check.LEDGER, OUTCOME, "the ledger does not hold this outcome")
def _a_chain_cut_short(forger: Forger) -> None:
    forger.rewrite("DELETE FROM ledger_entries WHERE kind = 'outcome'")


@attack(Check.LEDGER, "ledger", "the checkpoint knows", checkpoint=True)
def _a_chain_cut_short_behind_a_checkpoint(forger: Forger) -> None:
    forger.rewrite("DELETE FROM ledger_entries WHERE sequence > 20")


@attack(Check.LEDGER, "ledger, entry", "its digest is not the checkpoint's head", checkpoint=True)
def _a_chain_written_anew(forger: Forger) -> None:
    def rename(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows[0]["actor"] = "nobody"
        return rows

    forger.rechain(rename)


@attack(Check.LEDGER, MANIFEST, "that was written anew")
def _a_chain_written_anew_without_a_checkpoint(forger: Forger) -> None:
    _a_chain_written_anew(forger)


@attack(Check.LEDGER, "fairness.json", "the ledger does not hold it")
def _a_rejection_left_out_of_a_chain_written_anew(forger: Forger) -> None:
    forger.rechain(lambda rows: [row for row in rows if row["kind"] != "rejection"])


@attack(Check.LEDGER, "ledger, entry", "the run ended twice")
def _an_entry_replayed(forger: Forger) -> None:
    forger.rechain(lambda rows: [*rows, dict(next(row for row in rows[::-1] if row["kind"] == "outcome"))])


@attack(Check.LEDGER, "ledger, entry", "it calls decisions/05-fairness.json a decision")
def _a_rejection_called_a_decision(forger: Forger) -> None:
    def soften(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "kind": "decision"} if row["kind"] == "rejection" else row for row in rows]

    forger.rechain(soften)


@attack(Check.LEDGER, "ledger, entry", "rows were looked at before the question was registered")
def _a_look_before_its_question(forger: Forger) -> None:
    def hurry(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        looks = [row for row in rows if row["kind"] == "look"]
        return [*looks, *(row for row in rows if row["kind"] != "look")]

    forger.rechain(hurry)


@attack(Check.LEDGER, "ledger", "the database's rule ledger_keeps is gone")
def _a_rule_of_the_database_dropped(forger: Forger) -> None:
    import sqlite3

    with sqlite3.connect(forger.ledger) as database:
        database.execute("DROP TRIGGER ledger_keeps")


@attack(Check.LEDGER, "ledger, entry 8", "no mark says so")
def _a_clock_set_back(forger: Forger) -> None:
    def back(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows[7]["at"] = moved(rows[7]["at"], -86_400)
        return rows

    forger.rechain(back)


# What is rarer.


@attack(Check.FILES, MANIFEST, "it is of the run another")
def _a_manifest_of_another_run(forger: Forger) -> None:
    forger.complete(forger.key, run_id="another-20260101-000000-abcd")


@attack(Check.FILES, MANIFEST, "it names a file twice")
def _a_manifest_that_names_a_file_twice(forger: Forger) -> None:
    forger.restate(MANIFEST, lambda manifest: manifest["files"].append(manifest["files"][0]), forger.key)


@by_insider(Check.REQUEST, "power.json", "it is of the run another")
def _a_decision_of_another_run(forger: Forger) -> None:
    def rename(record: Any) -> None:
        record["judgement"]["decision"]["run_id"] = "another"

    forger.restate(forger.decision_file("power"), rename, forger.key)


@by_insider(Check.REQUEST, "power.json", "it is about the base")
def _a_decision_about_another_base(forger: Forger) -> None:
    forger.restate(
        forger.decision_file("power"),
        lambda record: record["inputs"].update(base_model="sha256:" + "3" * 64),
        forger.key,
    )


@by_insider(Check.REQUEST, "base-model.json", "it is not there")
def _a_base_removed(forger: Forger) -> None:
    (forger.folder / "base-model.json").unlink()


@by_insider(Check.REQUEST, OUTCOME, "it is of the run another")
def _a_report_of_another_run(forger: Forger) -> None:
    forger.edit(OUTCOME, lambda report: report.update(run_id="another"))


@attack(Check.REQUEST, "request.yaml", "it is not there")
def _a_request_removed(forger: Forger) -> None:
    (forger.folder / "request.yaml").unlink()


@by_insider(Check.DATA, "snapshot/evidence.json", "it was made under another contract")
def _a_snapshot_under_another_contract(forger: Forger) -> None:
    forger.recite("snapshot", lambda snapshot: snapshot.update(contract="sha256:" + "4" * 64))


@by_insider(Check.DATA, "snapshot/evidence.json", "it holds 399 rows and 7 rejected")
def _rejected_rows_miscounted(forger: Forger) -> None:
    forger.recite("snapshot", lambda snapshot: snapshot.update(rejected_rows=7))


@by_insider(Check.DATA, "snapshot/rejected.parquet", "it is not there")
def _rejected_rows_removed(forger: Forger) -> None:
    (forger.folder / "snapshot/rejected.parquet").unlink()


@by_insider(Check.DATA, "snapshot/tune.parquet", "it is not there")
def _a_split_removed(forger: Forger) -> None:
    (forger.folder / "snapshot/tune.parquet").unlink()


@by_insider(Check.DATA, "snapshot/tune.parquet", "it cannot be read")
def _a_split_cut_short(forger: Forger) -> None:
    content = (forger.folder / "snapshot/tune.parquet").read_bytes()
    forger.write("snapshot/tune.parquet", content[: len(content) // 2])


@by_insider(Check.DATA, "snapshot/tune.parquet", "a row stands in it twice")
def _a_row_twice(forger: Forger) -> None:
    def repeat(columns: dict[str, list[Any]]) -> None:
        for values in columns.values():
            values[0] = values[1]

    forger.edit_table("snapshot/tune.parquet", repeat)


@by_insider(Check.QUESTION, "power.json", "it names another registration")
def _a_decision_on_another_question(forger: Forger) -> None:
    def other(record: Any) -> None:
        record["judgement"]["decision"]["registration"] = "sha256:" + "6" * 64

    forger.restate(forger.decision_file("power"), other, forger.key)


@by_insider(Check.QUESTION, "registration.json", "it registers 2 looks; there can be 1")
def _a_look_more_than_there_can_be(forger: Forger) -> None:
    def another(registration: Any) -> None:
        registration["looks"].append({**registration["looks"][0], "split": "reserve"})

    _reregister(forger, another)


@by_insider(Check.QUESTION, "registration.json", "it is not there, and decisions name it")
def _a_question_removed(forger: Forger) -> None:
    (forger.folder / "registration.json").unlink()


@by_insider(Check.TRAININGS, f"{PILOT}/adapter/extra.bin", "its training does not name it")
def _a_file_added_to_an_adapter(forger: Forger) -> None:
    forger.write(f"{PILOT}/adapter/extra.bin", b"more")


@by_insider(
    Check.TRAININGS, f"{PILOT}/adapter/adapter_config.json", "it is not there, and its training names it"
)
def _a_file_of_an_adapter_removed(forger: Forger) -> None:
    (forger.folder / PILOT / "adapter/adapter_config.json").unlink()


@by_insider(Check.TRAININGS, "full/model", "it is not there")
def _a_model_removed(forger: Forger) -> None:
    shutil.rmtree(forger.folder / "full/model")


@by_insider(Check.TRAININGS, f"{PILOT}/evidence.json", "it was trained on the base")
def _a_training_on_another_base(forger: Forger) -> None:
    forger.recite(PILOT, lambda evidence: evidence.update(base_model="sha256:" + "5" * 64))


@by_insider(Check.TRAININGS, f"{PILOT}/evidence.json", "a pilot names a permit")
def _a_pilot_with_a_permit(forger: Forger) -> None:
    forger.recite(PILOT, lambda evidence: evidence.update(permit="sha256:" + "5" * 64))


@by_insider(Check.TRAININGS, "full/evidence.json", "it is neither a pilot alone nor")
def _a_training_that_is_both(forger: Forger) -> None:
    pilot = json.loads((forger.folder / PILOT / "evidence.json").read_bytes())["pilot"]
    forger.recite("full", lambda evidence: evidence.update(pilot=pilot))


@by_insider(Check.SCORES, f"{PILOT}/gate/evidence.json", "its rows are of another snapshot")
def _scores_on_another_snapshot(forger: Forger) -> None:
    forger.recite(f"{PILOT}/gate", lambda evidence: evidence.update(snapshot="sha256:" + "5" * 64))


@by_insider(Check.SCORES, f"{PILOT}/gate/evidence.json", "it calls full what was trained by lora")
def _scores_said_to_be_full_s(forger: Forger) -> None:
    forger.recite(f"{PILOT}/gate", lambda evidence: evidence.update(rung="full"))


@by_insider(Check.SCORES, "baseline/gate/evidence.json", "another base or probe was scored")
def _scores_of_another_base(forger: Forger) -> None:
    forger.recite("baseline/gate", lambda evidence: evidence.update(artifact="sha256:" + "5" * 64))


@by_insider(Check.SCORES, "invented/gate/evidence.json", "invented trained nothing, and lora was scored")
def _scores_of_what_was_never_trained(forger: Forger) -> None:
    for name in ("evidence.json", "scores.parquet"):
        forger.write(f"invented/gate/{name}", (forger.folder / PILOT / "gate" / name).read_bytes())


@by_insider(Check.SCORES, SCORED, "it is not there")
def _scores_removed(forger: Forger) -> None:
    (forger.folder / SCORED).unlink()


@by_insider(Check.SCORES, SCORED, "it cannot be read as scores")
def _scores_cut_short(forger: Forger) -> None:
    forger.write(SCORED, (forger.folder / SCORED).read_bytes()[:1000])


@by_insider(Check.SCORES, SCORED, "it has no column accuracy")
def _scores_without_the_metric(forger: Forger) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(forger.folder / SCORED).drop_columns(["accuracy"])
    (forger.folder / SCORED).unlink()
    pq.write_table(table, forger.folder / SCORED)


@by_insider(Check.DECISIONS, "power.json", "it rests on what the contract gate is told")
def _a_basis_of_another_gate(forger: Forger) -> None:
    def other(record: Any) -> None:
        record["judgement"]["basis"] = {"gate": "contract", "contract": record["inputs"]["contract"]}

    forger.restate(forger.decision_file("power"), other, forger.key)


@by_insider(Check.DECISIONS, "quality.json", "its rules are others, or in another order")
def _rules_in_another_order(forger: Forger) -> None:
    forger.restate(
        forger.decision_file("quality"),
        lambda record: record["judgement"]["decision"]["rules"].reverse(),
        forger.key,
    )


@by_insider(Check.WAY, OUTCOME, "it is not there, or cannot be read")
def _a_report_removed(forger: Forger) -> None:
    (forger.folder / OUTCOME).unlink()


@by_insider(Check.WAY, "decisions/10-quality.json", "the run had ended in full_unjustified before it")
def _a_decision_after_the_end(forger: Forger) -> None:
    content = (forger.folder / forger.decision_file("quality")).read_bytes()
    forger.write("decisions/10-quality.json", content)


@by_insider(Check.WAY, OUTCOME, "its sentence is not the one that its decisions lead to")
def _a_sentence_made_milder(forger: Forger) -> None:
    forger.edit(OUTCOME, lambda report: report.update(sentence="All is well."))


@by_insider(Check.WAY, OUTCOME, "which no training of this dossier serves")
def _a_model_offered_that_is_not_there(forger: Forger) -> None:
    forger.edit(OUTCOME, lambda report: report.update(accepted_artifact="elsewhere/model"))


@by_insider(Check.PERMIT, "escalation.json", "the answer has no name, or no reason")
def _an_approval_without_a_reason(forger: Forger) -> None:
    def blank(record: Any) -> None:
        record["judgement"]["basis"]["facts"]["approval"]["reason"] = " "

    forger.restate(forger.decision_file("escalation"), blank, forger.key)


@by_insider(Check.PERMIT, "escalation.json", "it names somebody else as who answered")
def _an_answer_said_to_be_another_s(forger: Forger) -> None:
    forger.restate(
        forger.decision_file("escalation"), lambda record: record.update(answered_by="Eve"), forger.key
    )


@by_insider(Check.PERMIT, "permit.json", "it cannot be read")
def _a_permit_cut_short(forger: Forger) -> None:
    forger.write("permit.json", (forger.folder / "permit.json").read_bytes()[:200])


@attack(Check.LEDGER, "ledger, entry", "it says that gate nobody made decisions/03-need.json")
def _another_actor(forger: Forger) -> None:
    def rename(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "actor": "gate nobody"} if row["actor"] == "gate need" else row for row in rows]

    forger.rechain(rename)


@attack(Check.LEDGER, "ledger, entry", "and no look stands before it")
def _looks_left_out(forger: Forger) -> None:
    forger.rechain(lambda rows: [row for row in rows if row["kind"] != "look"])


@attack(Check.LEDGER, "registration.json", "the ledger does not hold it")
def _a_question_left_out_of_the_ledger(forger: Forger) -> None:
    forger.rechain(lambda rows: [row for row in rows if row["kind"] != "registration"])


def test_other_code_is_named_where_something_does_not_hold(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forger = copy_of(recorded.dossier, recorded.ledger, tmp_path, recorded.key, recorded.key)

    def told() -> bool:
        found = verified(forger.folder, forger.ledger, None)
        return any("other code of lorafirst" in sentence for sentence in found.not_proven)

    monkeypatch.setattr("tasks.audit.verify.verifying.code_digest", lambda *_: "sha256:" + "0" * 64)
    assert not told()
    forger.write("outcome.json", b"{}")
    assert told()
    monkeypatch.undo()
    assert not told()


@pytest.fixture(scope="session")
def stranger() -> CryptoSigner:
    key = Ed25519PrivateKey.generate()
    return CryptoSigner(key, SSlibKey.from_crypto(key.public_key()))


def verified(
    dossier: Path, ledger: Path, keyring: Keyring | None, checkpoint: Checkpoint | None = None
) -> Verification:
    with open_ledger(str(ledger), read_only=True) as book:
        return verify_dossier(dossier, keyring=keyring, ledger=book, checkpoint=checkpoint)


def test_there_are_enough_attacks() -> None:
    assert len({each.name for each in ATTACKS}) == len(ATTACKS) >= 100
    root = Path(__file__).resolve().parents[2]
    for page in ("README.md", "docs/evidence.md"):
        told = " ".join((root / page).read_text(encoding="utf-8").split())
        assert f"{len(ATTACKS)} attacks" in told, page


@pytest.mark.parametrize("each", ATTACKS, ids=[each.name for each in ATTACKS])
def test_it_is_found_and_named(
    each: Attack, recorded: Recorded, stranger: CryptoSigner, tmp_path: Path
) -> None:
    forger = copy_of(recorded.dossier, recorded.ledger, tmp_path, recorded.key, stranger)
    each.do(forger)
    if each.insider:
        forger.complete(recorded.key)
    checkpoint = recorded.checkpoint if each.checkpoint else None
    found = verified(forger.folder, forger.ledger, recorded.keyring, checkpoint)
    named = [
        fault
        for fault in found.faults
        if fault.check is each.check and each.where in fault.where and each.what in fault.what
    ]
    assert named, "\n".join(f"{fault.check}: {fault}" for fault in found.faults) or "nothing was found"
    if each.insider:  # who signs with the right key is not found by the signature
        assert not [fault for fault in found.faults if fault.check in (Check.SIGNATURES, Check.FILES)]
    assert not found.verified


def test_what_nobody_touched_is_in_order(recorded: Recorded) -> None:
    for dossier in (recorded.dossier, recorded.waiting):
        found = verified(dossier, recorded.ledger, recorded.keyring, recorded.checkpoint)
        assert found.faults == () and found.signed
        without = verify_dossier(dossier)
        assert without.faults == () and not without.signed
        assert any("--keyring" in sentence for sentence in without.not_proven)
        assert any("--ledger" in sentence for sentence in without.not_proven)


def test_weights_are_read_once_however_many_checks_ask(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may be large. Every digest of a file is taken by one function of the standard library."""
    read, take = Counter[str](), hashlib.file_digest

    def counting(stream: Any, *options: Any) -> Any:
        read[stream.name] += 1
        return take(stream, *options)

    monkeypatch.setattr(hashlib, "file_digest", counting)
    assert verify_dossier(recorded.dossier).faults == ()
    weights = {name: count for name, count in read.items() if name.endswith(".safetensors")}
    assert len(weights) >= 5 and set(weights.values()) == {1}


def test_a_copy_elsewhere_is_in_order(recorded: Recorded, stranger: CryptoSigner, tmp_path: Path) -> None:
    forger = copy_of(recorded.dossier, recorded.ledger, tmp_path, recorded.key, stranger)
    assert verified(forger.folder, forger.ledger, recorded.keyring).faults == ()


def test_answers_that_the_model_does_not_give_are_found_by_asking_it(
    recorded: Recorded, stranger: CryptoSigner, tmp_path: Path
) -> None:
    """Made up so that scores, means and answers agree; nothing but the artifact itself tells otherwise."""
    forger = copy_of(recorded.dossier, recorded.ledger, tmp_path, recorded.key, stranger)

    def right(columns: dict[str, list[Any]]) -> None:
        columns["answer"] = list(columns["reference"])
        columns["accuracy"] = [1.0] * len(columns["answer"])
        columns["right_label_probability"] = [0.97] * len(columns["answer"])

    forger.rescore(f"{PILOT}/gate", right)
    forger.complete(recorded.key)
    found = verified(forger.folder, forger.ledger, recorded.keyring)
    assert not [fault for fault in found.faults if fault.check is Check.SCORES]
    asked = rescore_dossier(found, forger.folder, rows=20)
    told = [str(fault) for fault in asked.faults if fault.check is Check.RESCORING]
    assert len(told) >= 15 and all(f"{PILOT}/gate/scores.parquet: row" in each for each in told)
    assert not any("--rescore" in sentence for sentence in asked.not_proven)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"role": KeyRole.APPROVER}, "has the role approver"),
        ({"valid_until": datetime(2026, 1, 2, tzinfo=UTC)}, "and not at"),
        ({"name": "other", "public_key": "ab" * 32}, "is not in the keyring"),
    ],
)
def test_a_keyring_that_does_not_trust_the_key(
    changes: dict[str, Any], what: str, recorded: Recorded
) -> None:
    entry = recorded.keyring.keys[0].model_dump()
    valid = {"valid_from": datetime(2026, 1, 1, tzinfo=UTC)} if "valid_until" in changes else {}
    keyring = Keyring(keys=(KeyringEntry.model_validate({**entry, **valid, **changes}),))
    found = verified(recorded.dossier, recorded.ledger, keyring)
    assert {fault.check for fault in found.faults} == {Check.SIGNATURES} and not found.signed
    assert all(what in fault.what for fault in found.faults)


def test_a_checkpoint_by_a_stranger_is_refused(
    recorded: Recorded, stranger: CryptoSigner, tmp_path: Path
) -> None:
    kept = tmp_path / "checkpoint.json"
    kept.write_bytes(checkpoint_bytes(recorded.checkpoint, stranger))
    with pytest.raises(EnvelopeRefusedError, match="is not in the keyring"):
        read_checkpoint(kept, recorded.keyring)


def test_a_dossier_of_a_run_that_nobody_entered(recorded: Recorded, tmp_path: Path) -> None:
    with open_ledger(str(tmp_path / "other.sqlite")) as book:
        found = verify_dossier(recorded.dossier, keyring=recorded.keyring, ledger=book)
    assert [fault.what for fault in found.faults] == [f"it holds no entry of the run {recorded.dossier.name}"]
