"""The second example does what its files say: LoRA falls short, and full fine-tuning is allowed once."""

from pathlib import Path

import pytest

from tasks.evidence.dossier import read_permit
from tests.examples.running import check_dossier, read, rule, run_example

pytestmark = pytest.mark.slow


def test_syllables_ends_with_full_fine_tuning_because_a_fair_pilot_was_shown_short(tmp_path: Path) -> None:
    dossier = run_example("syllables", tmp_path)
    report = read(dossier, "outcome.json")
    by_gate = {each["gate"]: each for each in report["decisions"]}
    if report["outcome"] == "inconclusive":
        # Trainings this short depend on the processor's last digit; a doubt must never reach full.
        assert rule(by_gate["quality"], "level")["verdict"] == "inconclusive"
        assert not (dossier / "full").exists() and not (dossier / "permit.json").exists()
        return
    assert report["outcome"] == "full_accepted", report
    fairness, quality, justification = (by_gate[gate] for gate in ("fairness", "quality", "justification"))
    # The remedies were spent, and every rule of a fair test holds.
    assert {each["remedy"] for each in report["decisions"]} >= {"sweep", "double_rank"}
    assert fairness["remedy"] is None
    assert {each["verdict"] for each in fairness["rules"]} == {"pass"}
    assert "twice the rank did not help" in rule(fairness, "the adapter has the capacity")["sentence"]
    assert rule(quality, "level")["verdict"] == "fail" and rule(quality, "level")["interval"]["seeds"] == 12
    permit = read_permit((dossier / "permit.json").read_bytes())
    assert permit.decision.model_dump(mode="json") == by_gate["escalation"] and permit.seeds == (17,)
    assert all(each["verdict"] == "pass" for each in justification["rules"])
    assert (dossier / "full" / "model" / "model.safetensors").stat().st_size > 80_000_000
    check_dossier(dossier)
