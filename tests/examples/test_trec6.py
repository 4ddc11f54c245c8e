"""The first example does what its files say: LoRA passes its gate."""

from pathlib import Path

import pytest

from tests.examples.running import check_dossier, read, rule, run_example

pytestmark = pytest.mark.slow


def test_trec6_ends_with_the_pilot_and_never_trains_in_full(tmp_path: Path) -> None:
    dossier = run_example("trec6", tmp_path)
    report = read(dossier, "outcome.json")
    assert report["outcome"] == "pilot_accepted"
    assert (dossier / report["accepted_artifact"] / "adapter_model.safetensors").is_file()
    level = rule(report["decisions"][5], "level")
    assert level["interval"]["lower"] >= 0.89
    assert not (dossier / "full").exists() and not (dossier / "permit.json").exists()
    assert not list((tmp_path / ".store").glob("train-full-*"))
    check_dossier(dossier)
