"""The order in which training rows come: a function of the lengths and the seed, never of the rung.

Pilot and full must see the same rows in the same order to be comparable; an order drawn from the
process's random state would depend on how many numbers the model's own initialisation used up.
"""

from collections.abc import Sequence

import numpy as np

_POOL_BATCHES = 32
"""Batches are formed inside shuffled pools of this many, sorted by length, so that little is padded."""


def training_order(lengths: Sequence[int], *, steps: int, batch_size: int, seed: int) -> list[int]:
    """Indices of the rows for ``steps`` batches of ``batch_size``: ``steps * batch_size`` of them.

    Each pass over the data is a new shuffle; rows of a batch have similar lengths, and batches of
    different lengths are mixed.
    """
    wanted = steps * batch_size
    sizes = np.asarray(lengths)
    order: list[int] = []
    epoch = 0
    while len(order) < wanted:
        random = np.random.default_rng((seed, epoch))
        shuffled = random.permutation(sizes.size)
        batches = []
        for start in range(0, sizes.size, batch_size * _POOL_BATCHES):
            pool = shuffled[start : start + batch_size * _POOL_BATCHES]
            pool = pool[np.argsort(sizes[pool], kind="stable")]
            batches += [pool[at : at + batch_size] for at in range(0, pool.size, batch_size)]
        random.shuffle(batches)
        order += np.concatenate(batches).tolist()
        epoch += 1
    return order[:wanted]
