"""A model card that the Hub's own library reads, and that says of a run what its dossier says."""

import dataclasses
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from data_contracts.records.decision import Interval
from data_contracts.records.evidence import ArtifactKind
from data_contracts.records.settings import FullSettings
from tasks.audit.accepted import Accepted, read_accepted
from tasks.audit.model_card import MODEL_CARD, card_metadata, card_text, model_card
from tasks.evidence.dossier import Dossier
from tests.flows.conftest import ANSWERED

pytestmark = pytest.mark.slow


@pytest.fixture
def found(answered: Path) -> Accepted:
    dossier = Dossier(answered)
    report = dossier.report()
    assert report is not None
    accepted = read_accepted(dossier, report)
    assert accepted is not None
    return accepted


def test_the_hub_reads_what_was_written(answered: Path, found: Accepted) -> None:
    card = ModelCard.load(answered / MODEL_CARD)
    assert str(card).rstrip() == model_card(found).rstrip()
    assert card.data.eval_results == card_metadata(found).eval_results
    results = {result.metric_type: result for result in card.data.eval_results or ()}
    assert {name: each.metric_value for name, each in results.items()} == {
        metric.name: metric.value for metric in found.scoring.metrics
    }
    judged = results["completion_loss"]
    assert judged.dataset_split == "gate" and judged.dataset_revision == found.snapshot.digest()
    assert found.level is not None and Interval.model_validate(judged.metric_args) == found.level
    assert (card.data.library_name, card.data.license, card.data.base_model) == ("peft", "unknown", "llama")
    assert {"lorafirst", "lora"} <= set(card.data.tags or ())


def test_it_says_what_the_dossier_says_and_the_manifest_names_it(answered: Path, found: Accepted) -> None:
    text = (answered / MODEL_CARD).read_text(encoding="utf-8")
    for told in (
        found.training.artifact.digest(),
        found.training.base_model,
        found.snapshot.digest(),
        found.contract.sources[0].sha256,
        f"lorafirst verify {found.report.run_id}",
        *(each.gate.value for each in found.report.decisions),
    ):
        assert told in text
    rule = next(rule for rule in found.judged.rules if rule.interval is not None)
    assert rule.interval is not None and f"| {rule.interval.lower:.4g} |" in text
    assert MODEL_CARD in {file.path for file in Dossier(answered).manifest().files}


def test_it_holds_no_row_and_no_place_of_this_machine(answered: Path) -> None:
    text = (answered / MODEL_CARD).read_text(encoding="utf-8")
    assert not [each for row in ANSWERED for each in row if each in text]
    assert str(answered.parent) not in text and "/llama" not in text


def test_a_full_model_names_its_permit_and_a_licence_that_was_given(found: Accepted) -> None:
    permit = "sha256:" + "7" * 64
    full = found.training.model_copy(
        update={"pilot": None, "full": FullSettings(), "permit": permit, "served": ArtifactKind.MODEL}
    )
    settings = found.settings.model_copy(
        update={
            "license": "apache-2.0",
            "model": found.settings.model.model_copy(update={"source": "org/name@abc"}),
        }
    )
    changed = dataclasses.replace(found, training=full, settings=settings)
    assert f"under the unsigned permit `{permit}`" in card_text(changed)
    signed = dataclasses.replace(changed, permit_is_signed=True)
    assert f"under the signed permit `{permit}`" in card_text(signed)
    assert "at revision abc" in card_text(changed)
    data = card_metadata(changed)
    assert (data.library_name, data.license, data.base_model) == ("transformers", "apache-2.0", "org/name")


def test_markup_in_names_stays_text(found: Accepted) -> None:
    contract = found.contract.model_copy(update={"contract_name": "a | b\n# <i>c</i>: {x}"})
    changed = dataclasses.replace(found, contract=contract)
    assert "<i>" not in card_text(changed) and "\n# \\<i" not in card_text(changed)
    card = ModelCard(model_card(changed))
    assert next(each.dataset_name for each in card.data.eval_results or ()) == "a | b\n# <i>c</i>: {x}"


def test_nothing_accepted_has_no_card(answered: Path) -> None:
    dossier = Dossier(answered)
    report = dossier.report()
    assert report is not None
    assert read_accepted(dossier, report.model_copy(update={"accepted_artifact": None})) is None
