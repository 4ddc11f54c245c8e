"""Rows come in an order that only the data and the seed decide."""

from hypothesis import given
from hypothesis import strategies as st

from tasks.training.batching import batches_by_length, pad_batch
from tasks.training.order import training_order

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=200)


@given(LENGTHS, st.integers(1, 40), st.integers(1, 16), st.integers(0, 5))
def test_the_order_is_whole_and_repeatable(lengths: list[int], steps: int, batch: int, seed: int) -> None:
    order = training_order(lengths, steps=steps, batch_size=batch, seed=seed)
    assert len(order) == steps * batch
    assert order == training_order(lengths, steps=steps, batch_size=batch, seed=seed)
    full_passes = len(order) // len(lengths)
    for number in range(full_passes):
        one_pass = order[number * len(lengths) : (number + 1) * len(lengths)]
        assert sorted(one_pass) == list(range(len(lengths)))


def test_another_seed_gives_another_order() -> None:
    orders = [training_order([1] * 100, steps=10, batch_size=10, seed=seed) for seed in (1, 2)]
    assert orders[0] != orders[1]


@given(LENGTHS, st.integers(1, 100), st.integers(1, 20))
def test_batches_hold_every_row_once_within_their_bounds(lengths: list[int], tokens: int, rows: int) -> None:
    batches = list(batches_by_length(lengths, tokens=tokens, rows=rows))
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) <= rows
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= tokens


def test_padding_goes_where_it_is_asked_for() -> None:
    right = pad_batch([[5, 6], [7]], pad=0)
    left = pad_batch([[5, 6], [7]], pad=0, left=True)
    assert right.ids.tolist() == [[5, 6], [7, 0]] and right.attention.tolist() == [[1, 1], [1, 0]]
    assert left.ids.tolist() == [[5, 6], [0, 7]] and left.attention.tolist() == [[1, 1], [0, 1]]
