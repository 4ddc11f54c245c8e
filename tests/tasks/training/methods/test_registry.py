"""Methods that installed packages bring, and what keeps them within their kind."""

from collections.abc import Callable
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from data_contracts.errors import InputError, PermitRefusedError
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import PilotSettings
from tasks.training.methods import registry
from tasks.training.methods.kinds import AdapterMethod, Place, WeightsMethod
from tasks.training.rungs import PilotRung, prepare
from tests.tasks.training.conftest import Encoded

Install = Callable[[Any], None]


def ia3(settings: PilotSettings, place: Place, **more: Any) -> Any:
    """A method of somebody else: PEFT's IA3, which scales activations."""
    from peft import IA3Config

    return IA3Config(
        target_modules=["key", "value"],
        feedforward_modules=[],
        modules_to_save=[*place.new_modules, *more.get("too", [])],
    )


def one_that_trains_base_biases(settings: PilotSettings, place: Place) -> Any:
    from peft import LoraConfig

    return LoraConfig(bias="all", target_modules=["query"], modules_to_save=list(place.new_modules))


def one_that_saves_base_layers_whole(settings: PilotSettings, place: Place) -> Any:
    return ia3(settings, place, too=["value"])


OFFERED: dict[str, Any] = {}


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Offers an object as an installed package would."""

    def offer(found: Any) -> None:
        OFFERED["method"] = found
        point = EntryPoint("theirs", f"{__name__}:OFFERED", registry.GROUP)
        monkeypatch.setattr(EntryPoint, "load", lambda self: OFFERED["method"])
        monkeypatch.setattr(registry, "entry_points", lambda group: [point])
        _forget()

    yield offer
    _forget()


def _forget() -> None:
    registry.offered.cache_clear()
    registry.methods.cache_clear()


def test_a_method_of_another_package_trains_like_ours(install: Install, encoded: Encoded) -> None:
    install(AdapterMethod(Rung("ia3"), "scaled activations", ia3))
    assert "ia3" in registry.adapter_method_names()
    model = prepare(encoded.base, encoded.head, PilotRung(PilotSettings(method="ia3")), seed=5).model
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    assert any("ia3_" in name for name in trainable)
    assert all("ia3_" in name or "classifier" in name for name in trainable)


@pytest.mark.parametrize("configure", [one_that_trains_base_biases, one_that_saves_base_layers_whole])
def test_one_that_would_update_the_base_without_a_permit_is_refused(
    install: Install, encoded: Encoded, configure: Any
) -> None:
    install(AdapterMethod(Rung("sly"), "says it is an adapter", configure))
    with pytest.raises(PermitRefusedError, match="sly would update base weights, and has no permit"):
        prepare(encoded.base, encoded.head, PilotRung(PilotSettings(method="sly")), seed=5)


def test_one_that_updates_weights_is_no_pilot(install: Install, encoded: Encoded) -> None:
    install(WeightsMethod(Rung("biases"), "biases alone", lambda model, settings, promise: ["x"]))
    assert "biases" in registry.weights_method_names()
    with pytest.raises(InputError, match="biases, which updates base weights"):
        prepare(encoded.base, encoded.head, PilotRung(PilotSettings(method="biases")), seed=5)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ("a text", "an AdapterMethod or a WeightsMethod"),
        (AdapterMethod(Rung.LORA, "", ia3), "another method lora"),
    ],
)
def test_what_is_no_method_is_refused_by_the_package_that_offers_it(
    install: Install, found: Any, told: str
) -> None:
    install(found)
    with pytest.raises(InputError, match=told):
        registry.methods()
