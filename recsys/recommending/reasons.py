"""Reasons: which of a user's own items carried the score of each item in the list, for a batch of users at once.

The same sums as `FoldIn.contributions`, in one system of equations a user. May import fold_in, kernels, parallel, retrieval.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from recsys.fold_in import FoldIn, Rows
from recsys.ids import IdMap
from recsys.kernels.pairs import carried
from recsys.parallel import Workers
from recsys.retrieval import RankedLists

__all__ = ["ReasonFinder", "Reasons", "all_contributions", "reason_type"]

# Rows a task: a row costs up to milliseconds.
_ROWS = 32
_MOST_ITEMS = 2**31


@dataclass(frozen=True)
class Reasons:
    """Item positions (n, k, r) int32 and contributions (n, k, r) float64, largest first; counts (n, k) int32 are valid."""

    positions: np.ndarray
    contributions: np.ndarray
    counts: np.ndarray

    def column(self, items: IdMap, valid: np.ndarray) -> pa.Array:
        """The reasons of the `valid` (n, k) places as an Arrow array of lists of item_id, contribution."""
        counts = self.counts[valid]
        chosen = np.arange(self.positions.shape[2]) < counts[:, None]
        ids = items.ids_at(self.positions[valid][chosen])
        kind = reason_type(items)
        amounts = pa.array(self.contributions[valid][chosen].astype(np.float32))
        entries = pa.StructArray.from_arrays(
            [ids.cast(kind.value_type.field(0).type), amounts], names=["item_id", "contribution"]
        )
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), entries).cast(kind)


def all_contributions(rows: Rows, largest: Callable[[int, int], Reasons]) -> np.ndarray:
    """(n, k, width) float64: what each entry of a row adds to each place of its list, in order of entries, 0 after the last.

    largest : (how many, sign) → that many of the largest of `sign` times the contributions, those above 0.
    """
    width = int(rows.counts.max(initial=1))
    owners = np.repeat(np.arange(len(rows)), rows.counts)
    # An item stands once in a row: its place there follows from row and item.
    keys = owners * np.int64(_MOST_ITEMS) + rows.indices
    signed = {sign: largest(width, sign) for sign in (1, -1)}
    amounts = np.zeros(signed[1].contributions.shape)
    for sign, found in signed.items():
        row, place, slot = np.nonzero(np.arange(width) < found.counts[:, :, None])
        entries = np.searchsorted(keys, row * np.int64(_MOST_ITEMS) + found.positions[row, place, slot])
        amounts[row, place, entries - rows.indptr[row]] = sign * found.contributions[row, place, slot]
    return amounts


def reason_type(items: IdMap) -> pa.DataType:
    """The Arrow type of a column of reasons."""
    item_id = pa.int64() if items.is_integer else pa.string()
    return pa.list_(pa.struct([("item_id", item_id), ("contribution", pa.float32())]))


@dataclass(frozen=True, eq=False)
class ReasonFinder:
    """Finds up to `n_reasons` a place. `item_vectors` (n_items, dim); `method` is how the users' vectors came about."""

    method: FoldIn
    item_vectors: np.ndarray
    n_reasons: int

    @cached_property
    def _features(self) -> tuple[np.ndarray, np.ndarray]:
        return self.method.features(self.item_vectors)

    def find(self, rows: Rows, lists: RankedLists, num_threads: int | None) -> Reasons:
        """The reasons of the lists of users whose entries are `rows`; none where a row is empty."""
        return self._largest(rows, lists, self.n_reasons, 1, num_threads)

    def contributions(self, rows: Rows, lists: RankedLists, num_threads: int | None) -> np.ndarray:
        """See `FindsReasons`."""
        return all_contributions(rows, lambda n, sign: self._largest(rows, lists, n, sign, num_threads))

    def _largest(self, rows: Rows, lists: RankedLists, n_reasons: int, sign: int, num_threads: int | None) -> Reasons:
        """The largest of `sign` times the contributions."""
        shape = (*lists.positions.shape, n_reasons)
        found = Reasons(np.zeros(shape, np.int32), np.zeros(shape, np.float64), np.zeros(shape[:2], np.int32))
        a, t, ridge = self.method.entry_terms(rows, self.item_vectors)
        t = t if sign > 0 else -t
        features, dense = self._features
        indptr, indices = _read_only(rows.indptr), _read_only(rows.indices)

        def work(begin: int) -> None:
            carried(
                begin, min(begin + _ROWS, len(rows)), indptr, indices, a, t, ridge, features, dense,
                lists.positions, lists.counts, found.positions, found.contributions, found.counts,
            )  # fmt: skip

        with Workers(num_threads) as workers:
            workers.map(work, range(0, len(rows), _ROWS))
        return found


def _read_only(array: np.ndarray) -> np.ndarray:
    # numba compiles a kernel once for read-only and once for writeable arrays: histories are read-only, baskets are not.
    view = array.view()
    view.flags.writeable = False
    return view
