"""General rows are mixed in by an exact share of every step, the same for every rung."""

import pytest
from datasets import Dataset
from pydantic import ValidationError

from data_contracts.records.settings import ReplaySettings, TrainingSettings
from tasks.training.mixture import Mixture, mix
from tasks.training.packing import Layout
from tasks.training.tensors import Tensors

OWN = range(1, 51)
"""Token ids of the data's own rows, each of which repeats its id."""
GENERAL = range(101, 108)


def rows(ids: range) -> Dataset:
    return Dataset.from_dict(
        {
            "row_id": [str(each) for each in ids],
            "input_ids": [[each] * (each % 9 + 1) for each in ids],
            "labels": [[each] * (each % 9 + 1) for each in ids],
        }
    )


def mixed(share: float | None, *, seed: int = 5, batch: int = 8, steps: int = 10) -> Mixture:
    training = TrainingSettings(
        effective_batch_size=batch,
        replay=None if share is None else ReplaySettings(source="general.jsonl", share=share),
    )
    others = None if share is None else rows(GENERAL)
    return mix(rows(OWN), others, steps=steps, training=training, seed=seed)


def ids_of(mixture: Mixture) -> list[int]:
    return [ids[0] for ids in mixture.rows["input_ids"]]


@pytest.mark.parametrize(("share", "replayed"), [(0.1, 1), (0.25, 2), (0.5, 4), (0.01, 1)])
def test_every_step_replays_the_same_share(share: float, replayed: int) -> None:
    mixture = mixed(share)
    ids = ids_of(mixture)
    assert len(ids) == 80
    for start in range(0, 80, 8):
        assert sum(each in GENERAL for each in ids[start : start + 8]) == replayed
    assert mixture.replayed_a_step == replayed


def test_rows_of_a_step_lie_by_length_and_none_is_passed_over() -> None:
    ids = ids_of(mixed(0.25, steps=9))
    own = [each for each in ids if each in OWN]
    # Nine steps of six are one pass over fifty rows and four of the next.
    assert set(own) == set(OWN) and len(own) == 54
    assert {each for each in ids if each in GENERAL} == set(GENERAL)
    for start in range(0, 72, 8):
        lengths = [each % 9 + 1 for each in ids[start : start + 8]]
        assert lengths == sorted(lengths)


def test_without_replay_all_rows_are_the_datas_own() -> None:
    mixture = mixed(None)
    assert mixture.replayed_a_step == 0 and set(ids_of(mixture)) == set(OWN)
    assert len(ids_of(mixture)) == 80


def test_the_order_follows_from_the_seed() -> None:
    assert ids_of(mixed(0.25)) == ids_of(mixed(0.25)) != ids_of(mixed(0.25, seed=6))


def test_a_share_that_leaves_no_row_of_the_data_is_refused() -> None:
    with pytest.raises(ValidationError, match="effective_batch_size"):
        TrainingSettings(
            effective_batch_size=1, micro_batch_size=1, replay=ReplaySettings(source="a.jsonl", share=0.1)
        )


def test_what_was_seen_is_of_the_steps_that_were_taken() -> None:
    """Four of ten steps, as where training stopped early; by hand from the rows themselves."""
    mixture = mixed(0.25)
    tensors = Tensors(lambda rows: {}, lambda rows: {}, Layout(packed=False, reason="padded"), mixture)
    seen = tensors.seen(steps=4, effective_batch_size=8, micro_batch_size=4)
    ids = mixture.rows["input_ids"][:32]
    assert seen.tokens == sum(len(each) for each in ids) < sum(mixture.lengths)
    assert seen.replayed_rows == 8 == sum(each[0] in GENERAL for each in ids)
    # A row's first token is predicted from nothing.
    assert seen.supervised == seen.tokens - 32
    micro = [ids[start : start + 4] for start in range(0, 32, 4)]
    assert seen.padding == sum(4 * max(map(len, each)) - sum(map(len, each)) for each in micro)
    assert seen.supervised_a_pass == sum(each % 9 for each in OWN)
