"""Each rung changes exactly the weights it may, learns, and can be loaded by others."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_contracts.errors import PermitRefusedError, TrainingDivergedError
from data_contracts.records.decision import Decision, Gate, RuleResult, Verdict
from data_contracts.records.permit import Permit, Redemption
from data_contracts.records.rungs import Rung
from data_contracts.records.settings import GenerationSettings, PilotSettings, TrainingSettings
from tasks.training.baseline import fit_probe
from tasks.training.fit import Fitted, fit, planned_steps
from tasks.training.loading import load_base
from tasks.training.rungs import FullRung, PilotRung, prepare
from tasks.training.score import score
from tests.forked import run_script
from tests.tasks.training.conftest import Encoded, given_of

DIGEST = "sha256:" + "0" * 64
LORA = PilotRung(PilotSettings(rank=4, alpha=8))
TRAINING = TrainingSettings(epochs=2, effective_batch_size=32, micro_batch_size=16, curve_points=2)


def permitted(verdict: Verdict = Verdict.PASS, rung: Rung = Rung.FULL, seed: int = 5) -> Permit:
    rule = RuleResult(
        name="demonstrated shortfall",
        observed="",
        interval=None,
        threshold="",
        verdict=verdict,
        sentence="",
    )
    decision = Decision(
        gate=Gate.ESCALATION,
        verdict=verdict,
        rules=(rule,),
        sentence="",
        run_id="run",
        policy=DIGEST,
        evidence=(),
    )
    work = {"run_id": "run", "snapshot": DIGEST, "base_model": DIGEST, "policy": DIGEST}
    return Permit(
        issuer="escalation gate",
        **work,
        rung=rung,
        seeds=(seed,),
        price_processor_hours=1.0,
        issued_at="2026-11-25T08:00:00.000000Z",
        expires_at="2026-12-02T08:00:00.000000Z",
        decision=decision,
    )


def redeemed(permit: Any, **changes: Any) -> Redemption:
    """For a training of its first seed."""
    held = permit if isinstance(permit, Permit) else permitted()
    values = {"permit": held.digest(), "run_id": "run", "seed": held.seeds[0], "training": DIGEST}
    return Redemption(**{**values, **changes})


def full_rung(permit: Any = None, *, redemption: Any = None, seed: int = 5) -> FullRung:
    permit = permit or permitted(seed=seed)
    work = {"run_id": "run", "snapshot": DIGEST, "base_model": DIGEST, "policy": DIGEST}
    return FullRung(permit, redemption or redeemed(permit), **work)


def train(encoded: Encoded, rung: PilotRung | FullRung, artifact: Path, **changes: Any) -> Fitted:
    usual = {"training": TRAINING, "learning_rate": 2e-3 if isinstance(rung, PilotRung) else 2e-4}
    return fit(given_of(encoded, rung, **{**usual, **changes}), artifact=artifact)


def scores(encoded: Encoded, rung: Rung, artifact: Path) -> np.ndarray:
    table = score(
        base=encoded.base,
        artifact=artifact,
        rung=rung,
        head=encoded.head,
        rows=encoded.tune,
        tokenizer=encoded.tokenizer,
        generation=GenerationSettings(),
    )
    return np.asarray(table.scores["cross_entropy"])


@pytest.mark.slow
def test_lora_trains_adapters_and_head_and_leaves_the_base_as_it_was(
    encoded: Encoded, tmp_path: Path
) -> None:
    import torch

    before = load_base(encoded.base, encoded.head).model.state_dict()
    model = prepare(encoded.base, encoded.head, LORA, seed=5).model
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trainable and all("lora_" in name or "classifier" in name for name in trainable)
    fitted = train(encoded, LORA, tmp_path / "adapter")
    assert fitted.trainable_parameters < 0.05 * fitted.total_parameters
    assert "query" in fitted.adapted_modules
    after = load_base(encoded.base, encoded.head).model.state_dict()
    unchanged = [name for name in before if "classifier" not in name]
    assert all(torch.equal(before[name], after[name]) for name in unchanged)
    files = {path.name for path in (tmp_path / "adapter").iterdir()}
    assert files == {"adapter_config.json", "adapter_model.safetensors"}


@pytest.mark.slow
def test_training_lowers_the_loss_on_rows_it_never_saw(encoded: Encoded, tmp_path: Path) -> None:
    fitted = train(encoded, LORA, tmp_path / "adapter", training=TRAINING.model_copy(update={"epochs": 4.0}))
    assert fitted.steps == 24
    assert fitted.rows_seen == fitted.supervised_tokens == 24 * 32
    assert [point.step for point in fitted.curve] == [0, 12, 24]
    assert fitted.curve[-1].tune_loss < fitted.curve[0].tune_loss - 0.1


@pytest.mark.slow
def test_the_same_seed_gives_the_same_adapter(encoded: Encoded, tmp_path: Path) -> None:
    contents = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        train(
            encoded, LORA, tmp_path / name, seed=seed, training=TRAINING.model_copy(update={"max_steps": 3})
        )
        contents.append((tmp_path / name / "adapter_model.safetensors").read_bytes())
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


@pytest.mark.slow
def test_a_saved_adapter_scores_alike_in_plain_peft(encoded: Encoded, tmp_path: Path) -> None:
    """In a process that has never imported lorafirst."""
    train(encoded, LORA, tmp_path / "adapter")
    ours = scores(encoded, Rung.LORA, tmp_path / "adapter")
    np.savez(
        tmp_path / "rows.npz",
        labels=encoded.tune["labels"],
        **{str(index): ids for index, ids in enumerate(encoded.tune["input_ids"])},
    )
    script = """
import sys, numpy as np, torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification
base, adapter, rows, labels = sys.argv[1:]
model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=int(labels), dtype=torch.float32)
model = PeftModel.from_pretrained(model, adapter).eval()
rows = np.load(rows)
with torch.inference_mode():
    for index, label in enumerate(rows["labels"]):
        logits = model(input_ids=torch.tensor(rows[str(index)])[None]).logits[0]
        print(float(torch.nn.functional.cross_entropy(logits, torch.tensor(int(label)))))
assert "tasks" not in sys.modules
"""
    labels = str(len(encoded.head.labels))
    arguments = [str(encoded.base), str(tmp_path / "adapter"), str(tmp_path / "rows.npz"), labels]
    ended = run_script(script, *arguments)
    assert ended.code == 0, ended.errors
    theirs = np.array([float(line) for line in ended.said.split()])
    assert np.abs(ours - theirs).max() < 1e-4


@pytest.mark.slow
def test_the_micro_batch_decides_memory_only(encoded: Encoded, tmp_path: Path) -> None:
    """The same rows in one step, in one or four micro-batches: the same loss and nearly the same weights."""
    from safetensors.numpy import load_file

    weights, losses = [], []
    for size in (32, 8):
        training = TRAINING.model_copy(
            update={"micro_batch_size": size, "max_steps": 2, "warmup_share": 0.0, "curve_points": 1}
        )
        folder = tmp_path / str(size)
        fitted = train(_without_dropout(encoded, tmp_path), LORA, folder, training=training)
        weights.append(load_file(folder / "adapter_model.safetensors"))
        losses.append(fitted.curve[-1].train_loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert max(float(np.abs(weights[0][name] - weights[1][name]).max()) for name in weights[0]) < 1e-3


def _without_dropout(encoded: Encoded, folder: Path) -> Encoded:
    import json
    import shutil

    copy = folder / "base"
    if not copy.exists():
        shutil.copytree(encoded.base, copy)
        config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
        config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        (copy / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return replace(encoded, base=copy)


@pytest.mark.slow
def test_layers_that_the_checkpoint_lacks_are_saved_with_the_adapter(
    encoded: Encoded, tmp_path: Path
) -> None:
    """Else they would be other random weights whenever the adapter is loaded."""
    import shutil

    from safetensors.numpy import load_file, save_file

    base = tmp_path / "base"
    shutil.copytree(encoded.base, base)
    tensors = load_file(base / "model.safetensors")
    kept = {name: value for name, value in tensors.items() if "pooler" not in name}
    assert len(kept) < len(tensors)
    save_file(kept, base / "model.safetensors", metadata={"format": "pt"})
    without = replace(encoded, base=base)
    training = TRAINING.model_copy(update={"max_steps": 2})
    train(without, LORA, tmp_path / "adapter", training=training)
    first = scores(without, Rung.LORA, tmp_path / "adapter")
    second = scores(without, Rung.LORA, tmp_path / "adapter")
    assert np.array_equal(first, second)
    saved = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert any("pooler" in name for name in saved)


@pytest.mark.slow
def test_full_changes_the_base_weights_and_loads_with_plain_transformers(
    encoded: Encoded, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    fitted = train(encoded, full_rung(), tmp_path / "model")
    assert fitted.trainable_parameters == fitted.total_parameters
    assert fitted.adapted_modules == ()
    before = load_base(encoded.base, encoded.head).model.state_dict()
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "model", local_files_only=True)
    name = "bert.encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(before[name], model.state_dict()[name])
    assert model.config.id2label[0] == encoded.head.labels[0]
    AutoTokenizer.from_pretrained(tmp_path / "model", local_files_only=True)


@pytest.mark.slow
def test_qlora_keeps_a_4_bit_base_and_scores_on_it(encoded: Encoded, tmp_path: Path) -> None:
    import bitsandbytes as bnb

    rung = PilotRung(PilotSettings(method=Rung.QLORA, rank=4, alpha=8))
    model = prepare(encoded.base, encoded.head, rung, seed=5).model
    assert any(isinstance(module, bnb.nn.Linear4bit) for module in model.modules())
    fitted = train(encoded, rung, tmp_path / "adapter")
    assert fitted.curve[-1].tune_loss < fitted.curve[0].tune_loss
    quantised = scores(encoded, Rung.QLORA, tmp_path / "adapter")
    unquantised = scores(encoded, Rung.LORA, tmp_path / "adapter")
    assert not np.allclose(quantised, unquantised)


@pytest.mark.parametrize("permit", [True, {"verdict": "pass"}, permitted(Verdict.FAIL)])
def test_full_is_refused_without_a_permit_for_this_work(permit: Any) -> None:
    with pytest.raises(PermitRefusedError):
        full_rung(permit)


@pytest.mark.parametrize(
    ("redemption", "told"),
    [
        ({"seed": 5}, "not redeemed"),
        (redeemed(permitted(seed=6), seed=5), "redeemed for permit"),
        (redeemed(permitted(), run_id="other"), "redeemed for run other"),
        (redeemed(permitted(), seed=6), "for seed 5, and this is seed 6"),
    ],
)
def test_full_is_refused_with_a_permit_that_was_not_redeemed_for_it(redemption: Any, told: str) -> None:
    with pytest.raises(PermitRefusedError, match=told):
        full_rung(redemption=redemption)


def test_full_is_refused_from_another_seed_and_on_another_base(encoded: Encoded, tmp_path: Path) -> None:
    """Before anything is read: there is no such folder."""
    nowhere = replace(encoded, base=tmp_path / "nowhere")
    with pytest.raises(PermitRefusedError, match="redeemed for seed 5, and this is seed 6"):
        prepare(nowhere.base, encoded.head, full_rung(), seed=6)
    with pytest.raises(PermitRefusedError, match="redeemed for seed 5, and this is seed 6"):
        train(nowhere, full_rung(), tmp_path / "model", seed=6)
    with pytest.raises(
        PermitRefusedError, match=r"redeemed for base model sha256:0{64}, and this is .* sha256:1{64}"
    ):
        train(nowhere, full_rung(), tmp_path / "model", base_digest="sha256:" + "1" * 64)


def test_a_permit_swapped_after_the_check_is_checked_again(encoded: Encoded, tmp_path: Path) -> None:
    rung = full_rung()
    object.__setattr__(rung, "permit", permitted(Verdict.FAIL))
    with pytest.raises(PermitRefusedError):
        train(encoded, rung, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_nothing_but_a_rung_can_be_trained(encoded: Encoded) -> None:
    with pytest.raises(PermitRefusedError, match="not a rung"):
        prepare(encoded.base, encoded.head, "full", seed=5)  # type: ignore[arg-type]


def test_a_loss_that_is_not_finite_stops_at_its_step(encoded: Encoded, tmp_path: Path) -> None:
    with pytest.raises(TrainingDivergedError, match=r"stopped at step [123] of 12: the loss is (nan|inf)"):
        train(encoded, full_rung(), tmp_path / "model", learning_rate=1e30)
    assert not (tmp_path / "model").exists()


def test_steps_follow_from_rows_epochs_and_the_limit() -> None:
    settings = TrainingSettings(epochs=1.5, effective_batch_size=32)
    assert planned_steps(100, settings) == 5
    assert planned_steps(100, settings.model_copy(update={"max_steps": 3})) == 3
    assert planned_steps(1, settings) == 1


def test_the_baseline_probe_is_the_regression_it_was_fitted_as(encoded: Encoded, tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from data_contracts.progress import silent
    from tasks.training.baseline import embed

    fitted = fit_probe(base=encoded.base, train=encoded.train, tune=encoded.tune, artifact=tmp_path)
    features = embed(encoded.base, encoded.train, progress=silent, what="")
    pipeline = make_pipeline(
        StandardScaler(), LogisticRegression(C=fitted.inverse_regularisation, max_iter=1_000)
    )
    pipeline.fit(features, encoded.train["labels"])
    expected = pipeline.predict_log_proba(embed(encoded.base, encoded.tune, progress=silent, what=""))
    truth = np.asarray(encoded.tune["labels"])
    ours = scores(encoded, Rung.BASELINE, tmp_path)
    assert np.abs(ours + expected[np.arange(len(truth)), truth]).max() < 1e-6
    majority = np.bincount(np.asarray(encoded.train["labels"])).argmax()
    assert fitted.tune_accuracy > (truth == majority).mean()


def test_a_probe_of_two_labels_gives_both_probabilities(encoded: Encoded, tmp_path: Path) -> None:
    two = replace(
        encoded,
        head=replace(encoded.head, labels=("no", "yes")),
        train=encoded.train.map(lambda row: {"labels": int(row["labels"] == 2)}),
        tune=encoded.tune.map(lambda row: {"labels": int(row["labels"] == 2)}),
    )
    fit_probe(base=two.base, train=two.train, tune=two.tune, artifact=tmp_path)
    assert np.exp(-scores(two, Rung.BASELINE, tmp_path)).mean() > 0.6
