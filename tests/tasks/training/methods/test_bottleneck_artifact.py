"""What is saved, who can load it, and what the base is without it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel, PeftType, get_peft_model_state_dict

from tasks.training.methods import bottleneck
from tests.forked import Ended, run_script
from tests.tasks.training.methods.tiny_models import adapted, tiny


def logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(ids).logits


@pytest.mark.parametrize("kind", ["bert", "llama", "gpt2"])
def test_a_saved_adapter_scores_alike(kind: str, ids: torch.Tensor, tmp_path: Path) -> None:
    saved = ["classifier"] if kind == "bert" else None
    model = adapted(tiny(kind), bottleneck_size=5, modules_to_save=saved)
    if saved:
        with torch.no_grad():
            model.base_model.model.classifier.modules_to_save["default"].weight.normal_()
    model.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    again = PeftModel.from_pretrained(tiny(kind), tmp_path).eval()
    assert torch.equal(logits(model, ids), logits(again, ids))
    assert not torch.allclose(logits(model, ids), logits(tiny(kind), ids), atol=1e-2)
    assert not any(p.requires_grad for p in again.parameters())


@pytest.mark.parametrize("kind", ["bert", "llama", "gpt2"])
def test_without_the_adapter_the_base_is_exactly_itself(kind: str, ids: torch.Tensor) -> None:
    base = logits(tiny(kind), ids)
    model = adapted(tiny(kind), bottleneck_size=5)
    before = logits(model, ids)
    with model.disable_adapter():
        assert torch.equal(logits(model, ids), base)
    assert torch.equal(logits(model, ids), before)
    assert torch.equal(logits(model.unload(), ids), base)


def test_merging_is_refused_and_leaves_the_model_as_it_was(ids: torch.Tensor) -> None:
    model = adapted(tiny("llama"), bottleneck_size=5)
    before = logits(model, ids)
    for merge in (model.merge_and_unload, model.merge_adapter):
        with pytest.raises(ValueError, match="cannot be merged"):
            merge()
    assert torch.equal(logits(model, ids), before)


def test_the_state_has_the_adapter_without_its_name_and_nothing_of_the_base() -> None:
    model = adapted(tiny("llama", layers=1), bottleneck_size=5)
    model.add_adapter("other", bottleneck.BottleneckConfig(bottleneck_size=2))
    assert not any(p.requires_grad for name, p in model.named_parameters() if ".other." in name)
    layers = "base_model.model.model.layers.0"
    shapes = {name: tuple(value.shape) for name, value in get_peft_model_state_dict(model).items()}
    assert shapes == {
        f"{layers}.{place}.bottleneck_{part}.{kind}": shape
        for place in ("self_attn.o_proj", "mlp.down_proj")
        for part, kind, shape in [
            ("down", "weight", (5, 16)),
            ("down", "bias", (5,)),
            ("up", "weight", (16, 5)),
            ("up", "bias", (16,)),
        ]
    }


def test_adapters_of_a_half_precision_base_stay_in_float32(ids: torch.Tensor) -> None:
    model = adapted(tiny("llama").to(torch.bfloat16), bottleneck_size=5)
    assert {p.dtype for n, p in model.named_parameters() if "bottleneck_" in n} == {torch.float32}
    assert logits(model, ids).dtype is torch.bfloat16


def test_an_adapter_on_four_bits_scores_alike_when_loaded_again(ids: torch.Tensor, tmp_path: Path) -> None:
    from transformers import BitsAndBytesConfig, LlamaForCausalLM

    tiny("llama", width=64, inner=128).save_pretrained(tmp_path / "base")

    def quantised() -> Any:
        four_bits = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
        return LlamaForCausalLM.from_pretrained(tmp_path / "base", quantization_config=four_bits).eval()

    model = adapted(quantised(), bottleneck_size=5)
    layer = model.get_submodule("base_model.model.model.layers.0.mlp.down_proj")
    assert type(layer.base_layer).__name__ == "Linear4bit"
    assert layer.bottleneck_up["default"].weight.dtype is torch.float32
    model.save_pretrained(tmp_path / "adapter")
    again = PeftModel.from_pretrained(quantised(), tmp_path / "adapter").eval()
    assert torch.equal(logits(model, ids), logits(again, ids))
    assert not torch.allclose(logits(model, ids), logits(quantised(), ids), atol=1e-2)


SCORE = """
import json, sys, time
import peft, torch
from transformers import BertForSequenceClassification
start = time.perf_counter()
{extra}
seconds = time.perf_counter() - start
base, adapter = sys.argv[1:]
model = peft.PeftModel.from_pretrained(BertForSequenceClassification.from_pretrained(base), adapter).eval()
with torch.no_grad():
    logits = model(torch.tensor([[4, 8, 15, 16, 23, 42]])).logits
ours = sorted(n for n in sys.modules if n.split('.')[0] in ('tasks', 'data_contracts', 'flows', 'prefect'))
print(json.dumps([logits.tolist(), ours, seconds]))
"""


def elsewhere(tmp_path: Path, extra: str) -> Ended:
    """Loads and asks the adapter below ``tmp_path`` in a process of its own."""
    return run_script(SCORE.format(extra=extra), str(tmp_path / "base"), str(tmp_path / "adapter"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.Tensor]:
    folder = tmp_path_factory.mktemp("served")
    model = tiny("bert")
    model.save_pretrained(folder / "base")
    model = adapted(model, bottleneck_size=5)
    model.save_pretrained(folder / "adapter")
    return folder, logits(model, torch.tensor([[4, 8, 15, 16, 23, 42]]))


@pytest.mark.slow
def test_one_import_lets_plain_peft_load_it(served: tuple[Path, torch.Tensor]) -> None:
    folder, expected = served
    answer = elsewhere(folder, "import tasks.training.methods.bottleneck")
    assert answer.code == 0, answer.errors
    found, ours, seconds = json.loads(answer.said)
    assert torch.allclose(torch.tensor(found), expected, rtol=0, atol=1e-6)
    assert ours == ["tasks", "tasks.training", "tasks.training.methods", "tasks.training.methods.bottleneck"]
    assert seconds < 1, "the import costs next to nothing beside PEFT's own"


@pytest.mark.slow
def test_without_it_peft_refuses_the_adapter(served: tuple[Path, torch.Tensor]) -> None:
    answer = elsewhere(served[0], "pass")
    assert answer.code != 0
    assert answer.errors.strip().endswith("KeyError: 'LORAFIRST_BOTTLENECK'")
    assert not answer.said


def test_the_method_is_a_member_like_any_other() -> None:
    member = PeftType["LORAFIRST_BOTTLENECK"]
    assert PeftType("LORAFIRST_BOTTLENECK") is member is PeftType.LORAFIRST_BOTTLENECK  # type: ignore[attr-defined]
    assert list(PeftType).count(member) == 1
    assert isinstance(member, PeftType) and member in PeftType
    assert len({each.value for each in PeftType}) == len(PeftType)


def test_registering_twice_changes_nothing() -> None:
    before = len(PeftType)
    bottleneck._register()
    assert len(PeftType) == before


def test_a_method_of_this_name_by_somebody_else_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = type("BottleneckConfig", (), {"__module__": "peft.tuners.bottleneck"})
    monkeypatch.setitem(bottleneck.PEFT_TYPE_TO_CONFIG_MAPPING, PeftType["LORAFIRST_BOTTLENECK"], theirs)
    with pytest.raises(RuntimeError, match=r"already has a method .*peft\.tuners\.bottleneck"):
        bottleneck._register()
