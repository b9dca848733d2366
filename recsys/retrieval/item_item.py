"""Weights between items, dense or sparse, and the ranked lists of rows that have some of the items. Knows no ids.

    score(row, i) = offset_i + Σ_{j of the row} w_j · B_ji

summed in float64 in the order of the row's entries and rounded once to float32: a pair scores the same in every list, alone or
among others. Imports errors, fold_in's rows, kernels, parallel and `exact` for its result.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from recsys.errors import DataError
from recsys.fold_in import Rows
from recsys.kernels import csr
from recsys.kernels import item_item as kernels
from recsys.kernels.dense import row_blocks
from recsys.parallel import Workers
from recsys.retrieval.exact import RankedLists, require_k
from recsys.retrieval.shortlists import empty_lists, inverse

__all__ = ["DenseWeights", "ItemWeights", "SparseWeights"]

# Rows, or pairs, that a thread takes at a time. Of dense weights it takes more: each tile of them is a round of tasks.
_ROWS, _DENSE_ROWS, _REASON_ROWS, _PAIRS = 64, 512, 32, 2**14
# Columns of dense weights that are gathered at a time: what of them the rows need should stay in a cache.
_TILE_BYTES = 2**20
_COLUMNS_AT_ONCE, _COPIED_ROWS = 256, 4096


@dataclass(frozen=True, eq=False)
class ItemWeights(ABC):
    """B and the offsets. B_ji is what one unit of item j adds to the score of item i.

    offsets : (n_items,) float32, what an item scores whatever a row has.
    """

    offsets: np.ndarray

    @property
    def n_items(self) -> int:
        """How many items there are."""
        return len(self.offsets)

    @property
    @abstractmethod
    def n_weights(self) -> int:
        """How many weights are stored."""

    # ---- what is stored how -------------------------------------------------------------------------------------

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays, by the names of the files they are saved as."""

    @abstractmethod
    def take(self, positions: np.ndarray) -> ItemWeights:
        """The weights among the items at `positions`, in that order."""

    @abstractmethod
    def is_finite(self) -> np.ndarray:
        """(n_items,) bool: whether an item's offset and all that it adds to others are finite."""

    @abstractmethod
    def _search(self, rows: Rows, lists: RankedLists, seen: Rows, labels: np.ndarray, workers: Workers) -> None:
        """Fills the lists, as heaps, with the best of the items `labels` (rising int32)."""

    @abstractmethod
    def _pairs(self, block: slice, rows: np.ndarray, columns: np.ndarray, entries: Rows, scores: np.ndarray) -> None:
        """Fills scores[block]."""

    @abstractmethod
    def rows(self, entries: Rows) -> np.ndarray:
        """(n, n_items) float32: the scores of every item, by the calling thread alone."""

    @abstractmethod
    def _carried(self, block: slice, entries: Rows, lists: RankedLists, found: tuple[np.ndarray, ...]) -> None:
        """Fills the rows `block` of `found`: see `kernels.item_item.carried_dense`."""

    @abstractmethod
    def nearest(self, items: np.ndarray, k: int, num_threads: int | None = None) -> RankedLists:
        """For each of `items` (positions) the k others j of greatest B_ji > 0, ties by position."""

    # ---- what is the same for all ---------------------------------------------------------------------------------

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over all arrays and their names."""
        digest = hashlib.sha256()
        for name, array in sorted(self.arrays().items()):
            digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def search(
        self,
        rows: Rows,
        k: int,
        *,
        seen: tuple[np.ndarray, np.ndarray] | None = None,
        candidates: np.ndarray | None = None,
        num_threads: int | None = None,
    ) -> RankedLists:
        """The k best items of each of `rows`; the other arguments are those of `recsys.retrieval.top_k`."""
        require_k(k)
        labels = _frozen(np.arange(self.n_items) if candidates is None else candidates, np.int32)
        n, k = len(rows), min(k, len(labels))
        lists = empty_lists(n, k)
        if not n or not k:
            return lists
        hidden = (np.zeros(n + 1, np.int64), np.empty(0, np.int32)) if seen is None else seen
        masked = Rows(_frozen(hidden[0], np.int64), _frozen(hidden[1], np.int32), np.empty(0, np.float32))
        with Workers(num_threads) as workers:
            self._search(_frozen_rows(rows), lists, masked, labels, workers)
            heaps = lists.scores, lists.positions, lists.counts
            workers.map(lambda block: kernels.sort_lists(block.start, block.stop, *heaps), row_blocks(n, _ROWS))
        return lists

    def pairs(self, entries: Rows, rows: np.ndarray, columns: np.ndarray, num_threads: int | None = None) -> np.ndarray:
        """(n,) float32: the scores of the rows of `entries` at `rows` and the items at `columns`."""
        scores, held = np.empty(len(rows), np.float32), _frozen_rows(entries)
        places = _frozen(rows, np.int64), _frozen(columns, np.int64)
        with Workers(num_threads) as workers:
            workers.map(lambda block: self._pairs(block, *places, held, scores), row_blocks(len(rows), _PAIRS))
        return scores

    def carried(
        self, entries: Rows, lists: RankedLists, n_reasons: int, num_threads: int | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What of each row's entries added most to the score of each item in its list, if it is above 0.

        Returns positions (n, k, n_reasons) int32, amounts (n, k, n_reasons) float64, largest first, and counts (n, k) int32.
        """
        shape = (*lists.positions.shape, n_reasons)
        found = np.zeros(shape, np.int32), np.zeros(shape, np.float64), np.zeros(shape[:2], np.int32)
        held = _frozen_rows(entries)
        with Workers(num_threads) as workers:
            workers.map(lambda block: self._carried(block, held, lists, found), row_blocks(len(entries), _REASON_ROWS))
        return found


@dataclass(frozen=True, eq=False)
class DenseWeights(ItemWeights):
    """values : (n_items, n_items) float32, B itself."""

    values: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.offsets)
        if self.values.dtype != np.float32 or self.values.shape != (n, n) or not self.values.flags.c_contiguous:
            got = f"{self.values.dtype} of shape {self.values.shape}"
            raise DataError(f"Weights of {n:,} items must be float32 of shape ({n}, {n}), row by row. Got {got}.")
        _freeze(self, values=np.float32, offsets=np.float32)

    @property
    def n_weights(self) -> int:
        """n_items²."""
        return int(self.values.size)

    def arrays(self) -> dict[str, np.ndarray]:
        """See `ItemWeights`."""
        return {"offsets": self.offsets, "weights": self.values}

    def take(self, positions: np.ndarray) -> DenseWeights:
        """See `ItemWeights`."""
        return DenseWeights(self.offsets[positions], self.values[np.ix_(positions, positions)])

    def is_finite(self) -> np.ndarray:
        """See `ItemWeights`."""
        rows = [np.isfinite(self.values[block]).all(axis=1) for block in row_blocks(self.n_items, 1024)]
        return np.asarray(np.concatenate([np.empty(0, bool), *rows]) & np.isfinite(self.offsets))

    def _search(self, rows: Rows, lists: RankedLists, seen: Rows, labels: np.ndarray, workers: Workers) -> None:
        is_used = np.zeros(self.n_items, bool)
        is_used[rows.indices] = True
        used = np.flatnonzero(is_used).astype(np.int32)
        indices = _frozen((np.cumsum(is_used) - 1).astype(np.int32)[rows.indices], np.int32)
        numbered = Rows(rows.indptr, indices, rows.weights)
        width = kernels.TILE * max(1, _TILE_BYTES // (4 * kernels.TILE * max(1, len(used))))
        for columns in row_blocks(len(labels), width):
            self._keep_columns(numbered, used, lists, seen, labels[columns], workers)

    def _keep_columns(
        self, rows: Rows, used: np.ndarray, lists: RankedLists, seen: Rows, labels: np.ndarray, workers: Workers
    ) -> None:
        """Enters the items `labels` into the lists of rows whose entries are places in `used`."""
        width = -(-len(labels) // kernels.TILE) * kernels.TILE
        lines, offsets = np.empty((len(used), width), np.float32), self.offsets[labels]

        def gather(block: slice) -> None:
            kernels.gather_columns(block.start, block.stop, self.values, used, labels, lines)

        def keep(block: slice) -> None:
            kernels.keep_dense(
                block.start, block.stop, rows.indptr, rows.indices, rows.weights, lines, labels, offsets, seen.indptr,
                seen.indices, lists.scores, lists.positions, lists.counts,
            )  # fmt: skip

        workers.map(gather, row_blocks(len(used), _COPIED_ROWS))
        workers.map(keep, row_blocks(len(rows), _DENSE_ROWS))

    def _pairs(self, block: slice, rows: np.ndarray, columns: np.ndarray, entries: Rows, scores: np.ndarray) -> None:
        kernels.pairs_dense(
            block.start, block.stop, rows, columns, entries.indptr, entries.indices, entries.weights, self.values, self.offsets,
            scores,
        )  # fmt: skip

    def rows(self, entries: Rows) -> np.ndarray:
        """See `ItemWeights`."""
        held, scores = _frozen_rows(entries), np.empty((len(entries), self.n_items), np.float32)
        kernels.rows_dense(0, len(held), held.indptr, held.indices, held.weights, self.values, self.offsets, scores)
        return scores

    def _carried(self, block: slice, entries: Rows, lists: RankedLists, found: tuple[np.ndarray, ...]) -> None:
        kernels.carried_dense(
            block.start, block.stop, entries.indptr, entries.indices, entries.weights, self.values, lists.positions,
            lists.counts, *found,
        )  # fmt: skip

    def nearest(self, items: np.ndarray, k: int, num_threads: int | None = None) -> RankedLists:
        """See `ItemWeights`."""
        n, k = len(items), min(k, self.n_items)
        lists = empty_lists(n, k)

        def work(block: slice) -> None:
            columns = np.ascontiguousarray(self.values[:, items[block]].T)
            columns[np.arange(len(columns)), items[block]] = 0
            kernels.keep_positive(columns, *(part[block] for part in (lists.scores, lists.positions, lists.counts)))

        with Workers(num_threads) as workers:
            workers.map(work, row_blocks(n, _COLUMNS_AT_ONCE))
        return lists


@dataclass(frozen=True, eq=False)
class SparseWeights(ItemWeights):
    """The rows of B, compressed: indptr (n_items + 1,) int64, indices int32, rising within a row, values float32."""

    indptr: np.ndarray
    indices: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        _freeze(self, indptr=np.int64, indices=np.int32, values=np.float32, offsets=np.float32)
        n, whole = self.n_items, len(self.indices) == len(self.values)
        if len(self.indptr) != n + 1 or self.indptr[0] != 0 or self.indptr[-1] != len(self.indices) or not whole:
            raise DataError(f"Weights of {n:,} items must have as many rows, and a value for each index.")
        if (np.diff(self.indptr) < 0).any() or not csr.rows_are_sorted(self.indptr, self.indices, n):
            raise DataError("The indices of weights must strictly rise within each row and lie within the items.")

    @property
    def n_weights(self) -> int:
        """Entries of all rows."""
        return len(self.values)

    def arrays(self) -> dict[str, np.ndarray]:
        """See `ItemWeights`."""
        return {
            "offsets": self.offsets,
            "weights_indptr": self.indptr,
            "weights_indices": self.indices,
            "weights_values": self.values,
        }

    @property
    def _matrix(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.indptr, self.indices, self.values

    @cached_property
    def _by_column(self) -> Rows:
        indptr, rows, order = csr.transpose(self.indptr, self.indices, self.n_items)
        return Rows(indptr, rows, self.values[order])

    def take(self, positions: np.ndarray) -> SparseWeights:
        """See `ItemWeights`. The positions must rise."""
        place = inverse(positions, self.n_items)
        rows = Rows(*self._matrix).take(positions)
        columns = place[rows.indices]
        kept = columns >= 0
        indptr = np.concatenate([[0], np.cumsum(kept)])[rows.indptr]
        return SparseWeights(self.offsets[positions], indptr, columns[kept], rows.weights[kept])

    def is_finite(self) -> np.ndarray:
        """See `ItemWeights`."""
        bad = np.repeat(np.arange(self.n_items), np.diff(self.indptr))[~np.isfinite(self.values)]
        finite = np.isfinite(self.offsets)
        finite[bad] = False
        return np.asarray(finite)

    def _search(self, rows: Rows, lists: RankedLists, seen: Rows, labels: np.ndarray, workers: Workers) -> None:
        allowed = np.zeros(self.n_items if len(labels) < self.n_items else 0, bool)
        if len(allowed):
            allowed[labels] = True
        by_offset = labels[np.argsort(-self.offsets[labels], kind="stable")]

        def keep(block: slice) -> None:
            kernels.keep_sparse(
                block.start, block.stop, rows.indptr, rows.indices, rows.weights, *self._matrix, self.offsets, by_offset,
                allowed, seen.indptr, seen.indices, lists.scores, lists.positions, lists.counts,
            )  # fmt: skip

        workers.map(keep, row_blocks(len(rows), _ROWS))

    def _pairs(self, block: slice, rows: np.ndarray, columns: np.ndarray, entries: Rows, scores: np.ndarray) -> None:
        kernels.pairs_sparse(
            block.start, block.stop, rows, columns, entries.indptr, entries.indices, entries.weights, *self._matrix,
            self.offsets, scores,
        )  # fmt: skip

    def rows(self, entries: Rows) -> np.ndarray:
        """See `ItemWeights`."""
        held, scores = _frozen_rows(entries), np.empty((len(entries), self.n_items), np.float32)
        kernels.rows_sparse(0, len(held), held.indptr, held.indices, held.weights, *self._matrix, self.offsets, scores)
        return scores

    def _carried(self, block: slice, entries: Rows, lists: RankedLists, found: tuple[np.ndarray, ...]) -> None:
        kernels.carried_sparse(
            block.start, block.stop, entries.indptr, entries.indices, entries.weights, *self._matrix, lists.positions,
            lists.counts, *found,
        )  # fmt: skip

    def nearest(self, items: np.ndarray, k: int, num_threads: int | None = None) -> RankedLists:
        """See `ItemWeights`; by the calling thread alone."""
        rows = self._by_column.take(items)
        owners = np.repeat(np.arange(len(items)), rows.counts)
        kept = (rows.weights > 0) & (rows.indices != items[owners])
        owners, positions, values = owners[kept], rows.indices[kept], rows.weights[kept]
        order = np.lexsort((positions, -values, owners))
        counts = np.bincount(owners, minlength=len(items))
        place = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
        order, owners, place = order[place < k], owners[place < k], place[place < k]
        shape = len(items), min(k, self.n_items)
        lists = RankedLists(np.zeros(shape, np.int32), np.zeros(shape, np.float32), np.minimum(counts, k).astype(np.int32))
        lists.positions[owners, place], lists.scores[owners, place] = positions[order], values[order]
        return lists


def _frozen(array: np.ndarray, dtype: Any) -> np.ndarray:
    """A read-only contiguous view: numba compiles a kernel once for read-only and once for writeable arrays."""
    view = np.ascontiguousarray(array, dtype).view()
    view.flags.writeable = False
    return view


def _frozen_rows(rows: Rows) -> Rows:
    return Rows(_frozen(rows.indptr, np.int64), _frozen(rows.indices, np.int32), _frozen(rows.weights, np.float32))


def _freeze(weights: ItemWeights, **dtypes: Any) -> None:
    for name, dtype in dtypes.items():
        object.__setattr__(weights, name, _frozen(getattr(weights, name), dtype))
