"""How fast this machine can fetch the vectors that one sweep needs, and do nothing with them: the floor of any ALS.

A half sweep must fetch the vector of the other side for every pair once, pairs × factors × 4 bytes, in the order of the pairs.
The same index sequence, blocks and threads as in training are used, so caches help here as much as there.
"""

from __future__ import annotations

import time

import numba
import numpy as np

import recsys
from recsys.fold_in import Rows
from recsys.parallel import Workers

__all__ = ["sweep_floor"]


def sweep_floor(data: recsys.Interactions, factors: int, repeats: int = 3) -> tuple[float, float]:
    """(seconds, bytes a second): the fastest of `repeats` bare fetches of both half sweeps."""
    sides = [
        (Rows(data.indptr, data.indices, data.weights), np.ones((data.n_items, factors), np.float32)),
        (Rows(*data.by_item), np.ones((data.n_users, factors), np.float32)),
    ]
    _gather(0, 1, *(array[:2] for array in (data.indptr, data.indices)), sides[0][1])
    times = []
    with Workers() as workers:
        for _ in range(repeats):
            began = time.perf_counter()
            for rows, fixed in sides:
                workers.map(lambda block, r=rows, f=fixed: _gather(*block, r.indptr, r.indices, f), rows.blocks())
            times.append(time.perf_counter() - began)
    return min(times), 2 * len(data) * factors * 4 / min(times)


@numba.njit(nogil=True, fastmath={"reassoc", "contract"})
def _gather(begin, end, indptr, indices, fixed):
    total = np.zeros(fixed.shape[1], np.float32)
    for entry in range(indptr[begin], indptr[end]):
        row = fixed[indices[entry]]
        for k in range(len(total)):
            total[k] += row[k]
    return total
