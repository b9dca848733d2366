"""Rows moved towards their least-squares minimum by the kernels, in tasks of equal work. May import kernels, parallel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recsys.fold_in.rows import BLOCK_WORK, Rows
from recsys.kernels import als
from recsys.parallel import Workers

__all__ = ["CONVERGED", "Effort", "improve_rows"]

# Vectors that a group of long rows works on.
_GROUP_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Effort:
    """How far rows are moved towards their minimum.

    steps : conjugate gradient steps at most;  tolerance : estimated relative error that ends them before.
    relaxation : above 1 each row goes on past where the steps lead, by that factor.
    """

    steps: int
    tolerance: float = 1e-6
    relaxation: float = 1.0


# Enough steps that the tolerance ends them, which is about the last digit that float32 can promise.
CONVERGED = Effort(steps=200)


def improve_rows(
    rows: Rows,
    terms: np.ndarray,
    fixed: np.ndarray,
    dense: np.ndarray,
    ridge: np.ndarray,
    solution: np.ndarray,
    workers: Workers,
    effort: Effort,
) -> None:
    """Moves each row of `solution` (n, dim) in place towards its minimum; the arguments are those of `kernels.als`."""

    def solve(task: tuple[bool, np.ndarray]) -> None:
        is_long, positions = task
        entries = (rows.indptr, rows.indices, rows.weights, terms)
        limits = (effort.steps, np.float32(effort.tolerance), np.float32(effort.relaxation))
        system = (fixed, dense, ridge, *limits)
        if is_long:
            als.solve_long_rows(positions, *entries, *system, als.tile_rows(fixed.shape[1]), solution)
        else:
            als.solve_short_rows(positions, *entries, *system, solution)

    workers.map(solve, _tasks(rows.counts, fixed.shape[1], workers.num_threads))


def _tasks(counts: np.ndarray, factors: int, num_threads: int) -> list[tuple[bool, np.ndarray]]:
    """(is_long, row positions) of tasks of about equal work, long rows first; a row's result does not depend on its task."""
    is_long = counts > als.short_row_entries(factors)
    long_rows = np.flatnonzero(is_long)
    # Each group of long rows streams the fixed side once more, so there are only as many as threads and memory want.
    n_groups = min(len(long_rows), max(num_threads, 1 + len(long_rows) * factors * 20 // _GROUP_BYTES))
    dealt = long_rows[np.argsort(-counts[long_rows], kind="stable")]
    groups = [np.sort(dealt[start::n_groups]) for start in range(n_groups)]
    short_rows = np.flatnonzero(~is_long)
    # A row without entries still costs its vector: count it as some entries.
    work = np.cumsum(counts[short_rows] + 16)
    cuts = np.searchsorted(work, np.arange(BLOCK_WORK, work[-1] if len(work) else 0, BLOCK_WORK))
    blocks = np.split(short_rows, cuts)
    return [(True, group) for group in groups] + [(False, block) for block in blocks if len(block)]
