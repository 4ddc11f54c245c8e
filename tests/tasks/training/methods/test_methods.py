"""Each method changes exactly what it may, learns, and leaves an artifact that others load alike."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_contracts.errors import InputError, PermitRefusedError
from data_contracts.records.metrics import Task
from data_contracts.records.rungs import Rung
from tasks.training.fit import Fitted
from tasks.training.loading import load_base, load_served, with_adapter
from tasks.training.methods.blocks import block_names, promise_of
from tasks.training.methods.kinds import WeightsMethod
from tasks.training.rungs import prepare
from tasks.training.saving import merge
from tests.forked import run_script
from tests.tasks.training.conftest import Encoded
from tests.tasks.training.methods.conftest import ADAPTERS, pilot_rung, train, weights_rung
from tests.tasks.training.methods.test_registry import Install
from tests.tasks.training.methods.test_registry import install as install

pytestmark = pytest.mark.slow

TRAINED = {"adapter": "bottleneck_", "dora": "lora_"}
"""What the names of a method's own parameters hold."""


def logits(model: Any, rows: Encoded) -> np.ndarray:
    import torch

    with torch.inference_mode():
        return np.stack(
            [
                model(input_ids=torch.tensor(ids, device=model.device)[None])
                .logits[0, -1 if rows.head.labels == () else slice(None)]
                .double()
                .cpu()
                .numpy()
                for ids in rows.tune["input_ids"][:16]
            ]
        )


def values(model: Any) -> dict[str, Any]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    import torch

    assert before.keys() == after.keys()
    return {name for name in before if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("method", ADAPTERS)
def test_an_adapter_trains_what_it_adds_and_the_new_head_alone(rows: Encoded, method: str) -> None:
    prepared = prepare(rows.base, rows.head, pilot_rung(method), seed=5, total_steps=20)
    own = TRAINED.get(method, "lora_")
    trainable = {name for name, p in prepared.model.named_parameters() if p.requires_grad}
    head = {name for name in trainable if "modules_to_save" in name}
    assert trainable - head and all(own in name for name in trainable - head)
    assert bool(head) == (rows.head.task is Task.CLASSIFICATION)
    assert all("classifier" in name for name in head)


@dataclass(frozen=True)
class Trained:
    """An adapter, and what its training changed."""

    artifact: Path
    fitted: Fitted
    trainable: set[str]
    changed: set[str]


Train = Callable[[Encoded, str], Trained]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Trains each method once on each model, with the settings that they have here."""
    made: dict[tuple[Path, str], Trained] = {}

    def once(rows: Encoded, method: str) -> Trained:
        if (rows.base, method) not in made:
            made[rows.base, method] = _trained(rows, method, tmp_path_factory.mktemp("trained") / "adapter")
        return made[rows.base, method]

    return once


def _trained(rows: Encoded, method: str, artifact: Path) -> Trained:
    seen: dict[str, Any] = {}

    def keep(*arguments: Any, **options: Any) -> Any:
        prepared = prepare(*arguments, **options)
        seen.update(model=prepared.model, before=values(prepared.model))
        return prepared

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.training.fit.prepare", keep)
        fitted = train(rows, pilot_rung(method), artifact)
    trainable = {name for name, p in seen["model"].named_parameters() if p.requires_grad}
    return Trained(artifact, fitted, trainable, changed(seen["before"], values(seen["model"])))


@pytest.mark.parametrize("method", ADAPTERS)
def test_its_steps_change_what_is_trainable_and_nothing_else(
    rows: Encoded, method: str, trained: Train
) -> None:
    made = trained(rows, method)
    assert made.changed <= made.trainable
    assert len(made.changed) > 0.8 * len(made.trainable)
    curve = made.fitted.curve
    assert curve[-1].tune_loss < curve[0].tune_loss - 0.02
    assert made.fitted.adapted_modules
    files = {path.name for path in made.artifact.iterdir()}
    assert files == {"adapter_config.json", "adapter_model.safetensors"}


def test_every_adapter_scores_alike_in_plain_peft(rows: Encoded, trained: Train, tmp_path: Path) -> None:
    """In one process that has never imported lorafirst; the bottlenecks need the module that defines them."""
    methods = [name for name in ADAPTERS if name != "adapter"]
    expected = {}
    for method in methods:
        (tmp_path / method).symlink_to(trained(rows, method).artifact)
        expected[method] = logits(load_served(rows.base, tmp_path / method, rows.head, Rung(method)), rows)
    ids = {str(index): ids for index, ids in enumerate(rows.tune["input_ids"][:16])}
    np.savez(tmp_path / "rows.npz", **ids)
    script = """
import sys, numpy as np, torch, transformers
from peft import PeftModel
base, folder, kind, labels, *methods = sys.argv[1:]
rows = np.load(folder + "/rows.npz")
found = {}
for method in methods:
    options = {"dtype": torch.float32}
    if int(labels):
        options["num_labels"] = int(labels)
    if method == "qlora":
        options["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.float32,
            llm_int8_skip_modules=["classifier", "score"] if int(labels) else None)
    torch.manual_seed(99)
    model = getattr(transformers, kind).from_pretrained(base, **options)
    model = PeftModel.from_pretrained(model, folder + "/" + method).eval()
    for module in model.modules():
        # Else bitsandbytes computes in bfloat16 where the processor can.
        if type(module).__name__ == "Linear4bit":
            module.support_avx512bf16_for_cpu = False
    place = slice(None) if int(labels) else -1
    with torch.inference_mode():
        answered = [model(input_ids=torch.tensor(rows[str(i)])[None]) for i in range(len(rows.files))]
    found[method] = np.stack([each.logits[0, place].double().numpy() for each in answered])
assert not {"tasks", "flows", "data_contracts"} & set(sys.modules)
np.savez(folder + "/found.npz", **found)
"""
    kind = "AutoModelForSequenceClassification" if rows.head.labels else "AutoModelForCausalLM"
    arguments = [str(rows.base), str(tmp_path), kind, str(len(rows.head.labels)), *methods]
    done = run_script(script, *arguments)
    assert done.code == 0, done.errors
    found = np.load(tmp_path / "found.npz")
    for method in methods:
        assert np.abs(found[method] - expected[method]).max() < 1e-4, method
        # A check that cannot fail would not tell: the bare base scores otherwise.
        if not rows.head.labels:
            bare = logits(load_base(rows.base, rows.head).model.eval(), rows)
            assert np.abs(bare - expected[method]).max() > 1e-2, method


@pytest.mark.parametrize("method", [name for name in ADAPTERS if name != "adapter"])
def test_merged_and_unmerged_agree(rows: Encoded, method: str, trained: Train, tmp_path: Path) -> None:
    adapter = trained(rows, method).artifact
    merge(rows.base, adapter, rows.head, rows.tokenizer, tmp_path / "model")
    merged = logits(load_served(rows.base, tmp_path / "model", rows.head, Rung(method)), rows)
    unmerged = with_adapter(rows.base, adapter, rows.head, quantised=False)
    assert np.abs(merged - logits(unmerged.eval(), rows)).max() < 2e-4
    assert not (tmp_path / "model" / "adapter_config.json").exists()


@pytest.mark.parametrize(("settings", "expected"), [({"layers": 2}, {1, 2}), ({"layers": (0, 2)}, {0, 2})])
def test_layers_updates_the_chosen_blocks_alone(
    decoder: Encoded, settings: dict[str, Any], expected: set[int], tmp_path: Path
) -> None:
    before = values(load_base(decoder.base, decoder.head).model)
    fitted = train(decoder, weights_rung("layers", **settings), tmp_path / "model")
    model = load_served(decoder.base, tmp_path / "model", decoder.head, Rung.LAYERS)
    prefixes = tuple(f"model.layers.{index}." for index in sorted(expected))
    wanted = {name for name in before if name.startswith(prefixes)}
    assert changed(before, values(model)) == wanted
    assert fitted.trainable_parameters == sum(before[name].numel() for name in wanted)
    assert fitted.curve[-1].tune_loss < fitted.curve[0].tune_loss - 0.02


def test_layers_of_an_encoder_come_with_its_new_head(encoder: Encoded, tmp_path: Path) -> None:
    model = prepare(encoder.base, encoder.head, weights_rung("layers", layers=1), seed=5).model
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    head = {name for name in trainable if not name.startswith("bert.encoder.layer.1.")}
    assert head == {"classifier.weight", "classifier.bias"} and len(trainable) > len(head)


def test_hybrid_begins_with_the_pilot_and_updates_the_blocks_it_changed_most(
    rows: Encoded, trained: Train, tmp_path: Path
) -> None:
    adapter = trained(rows, "lora").artifact
    merge(rows.base, adapter, rows.head, rows.tokenizer, tmp_path / "merged")
    start = load_served(rows.base, tmp_path / "merged", rows.head, Rung.LORA)
    adapted = with_adapter(rows.base, adapter, rows.head, quantised=False)
    blocks = block_names(start)
    promise = promise_of(adapted, blocks).of_blocks
    assert len(promise) == len(blocks) and min(promise) > 0
    best = blocks[int(np.argmax(promise))]
    fitted = train(rows, weights_rung("hybrid", adapter, layers=1), tmp_path / "model")
    model = load_served(rows.base, tmp_path / "model", rows.head, Rung.HYBRID)
    updated = changed(values(start), values(model))
    head = {name for name in updated if name.startswith("classifier.")}
    assert updated - head == {name for name, _ in start.named_parameters() if name.startswith(f"{best}.")}
    assert bool(head) == bool(rows.head.labels)
    assert fitted.curve[-1].tune_loss < fitted.curve[0].tune_loss


def test_the_promise_of_a_block_is_the_norm_of_its_update(decoder: Encoded, trained: Train) -> None:
    """By hand: scale B A against W, over the seven matrices of each block."""
    from safetensors.numpy import load_file

    adapter = trained(decoder, "lora").artifact
    tensors = load_file(adapter / "adapter_model.safetensors")
    base = load_file(decoder.base / "model.safetensors")
    expected = []
    for block in range(3):
        update = whole = 0.0
        for name, a in tensors.items():
            if f"layers.{block}." in name and name.endswith("lora_A.weight"):
                b = tensors[name.replace("lora_A", "lora_B")]
                update += float(((8 / 4 * b @ a) ** 2).sum())
                weight = name.removeprefix("base_model.model.").replace(".lora_A", "")
                whole += float((base[weight] ** 2).sum())
        expected.append((update / whole) ** 0.5)
    model = with_adapter(decoder.base, adapter, decoder.head, quantised=False)
    found = promise_of(model, tuple(f"model.layers.{index}" for index in range(3))).of_blocks
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("method", ["layers", "hybrid"])
def test_what_updates_base_weights_is_refused_on_a_permit_for_another_method(
    decoder: Encoded, method: str
) -> None:
    rung = weights_rung(method)
    object.__setattr__(rung, "settings", rung.settings.model_copy(update={"method": Rung.FULL}))
    with pytest.raises(PermitRefusedError, match=f"for method {method}, and this is method full"):
        prepare(decoder.base, decoder.head, rung, seed=5)


def test_hybrid_without_a_pilot_is_refused(decoder: Encoded) -> None:
    with pytest.raises(InputError, match="a pilot's adapter to begin with"):
        prepare(decoder.base, decoder.head, weights_rung("hybrid"), seed=5)


def test_hybrid_refuses_a_pilot_of_another_base(decoder: Encoded, tmp_path: Path) -> None:
    train(decoder, pilot_rung("lora"), tmp_path / "adapter", base_digest="sha256:" + "1" * 64)
    rung = weights_rung("hybrid", tmp_path / "adapter", layers=1)
    with pytest.raises(InputError, match=r"trained on the base sha256:0{64}(.|\n)*found: +base sha256:1{64}"):
        prepare(decoder.base, decoder.head, rung, seed=5)


def test_a_packages_method_that_begins_with_the_pilot_may_train_everything(
    decoder: Encoded, trained: Train, install: Install
) -> None:
    """A merged pilot leaves the base frozen; what trains all must thaw it."""
    install(WeightsMethod(Rung("after"), "all of it", lambda model, settings, promise: None, from_pilot=True))
    adapter = trained(decoder, "lora").artifact
    model = prepare(decoder.base, decoder.head, weights_rung("after", adapter), seed=5).model
    assert all(parameter.requires_grad for parameter in model.parameters())
