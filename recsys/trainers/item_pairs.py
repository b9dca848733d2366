"""Which items stand together how often, as pairs dealt into buckets for training. May import kernels, parallel, sequences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recsys.kernels.cooccurrence import count_pairs, sum_pairs
from recsys.kernels.csr import transpose
from recsys.kernels.glove import bucket_sizes, deal_pairs
from recsys.parallel import Workers
from recsys.trainers.sequences import Sequences

__all__ = ["BLOCKS", "BYTES_A_PAIR", "Cooccurrences", "ItemPairs"]

# Items are cut into so many blocks, whatever the number of threads; at most so many threads have work at once.
BLOCKS = 16
# A pair as it is summed (column, sum) and as it is trained on (row, column, logarithm): for a while both are there.
BYTES_A_PAIR = 8 + 12
# Places that one task looks at before the next takes over.
_TASK_PLACES = 2_000_000


@dataclass(frozen=True)
class Cooccurrences:
    """The upper half of a symmetric item × item matrix: indptr (n_items + 1,) int64, columns int32, sums float32."""

    indptr: np.ndarray
    columns: np.ndarray
    sums: np.ndarray

    @classmethod
    def of(
        cls,
        sequences: Sequences,
        n_items: int,
        *,
        window: int | None,
        by_distance: bool,
        check_size: Callable[[int], None],
        workers: Workers,
    ) -> Cooccurrences:
        """How often two items stand within `window` places of each other (None: anywhere in one sequence), 1 each time.

        by_distance : each time counts 1 / distance instead.
        check_size : called with the number of pairs before memory is taken for them; may raise.
        """
        by_item, sequence_of, places = transpose(sequences.starts, sequences.items, n_items)
        reach = np.int64(len(sequences.items) if window is None else window)
        arrays = (sequences.starts, sequences.items, by_item, sequence_of, places, reach)
        tasks = _tasks(sequences.lengths, by_item, sequence_of, int(reach))
        counts = np.zeros(n_items, np.int64)
        workers.map(lambda task: count_pairs(*task, *arrays, counts), tasks)
        n_pairs = int(counts.sum())
        check_size(n_pairs)
        indptr = np.concatenate([[0], np.cumsum(counts)])
        columns, sums = np.empty(n_pairs, np.int32), np.empty(n_pairs, np.float32)
        workers.map(lambda task: sum_pairs(*task, *arrays, by_distance, indptr, columns, sums), tasks)
        return cls(indptr, columns, sums)

    def pair_counts(self) -> np.ndarray:
        """(n_items,) int64: how many others each item stands together with."""
        return np.asarray(np.diff(self.indptr) + np.bincount(self.columns, minlength=len(self.indptr) - 1))


@dataclass(frozen=True)
class ItemPairs:
    """Pairs of items in buckets: rows and columns (n_pairs,) int32 by number, logs (n_pairs,) float32 of their sums.

    numbers (n_items,) int64 : the number of each item, so that a block of items is one range.
    paired (n_items,) bool : which items stand with another.
    bounds (BLOCKS² + 1,) int64 : bucket (a, b), a <= b, of the pairs of blocks a and b, begins at bounds[a * BLOCKS + b].
    """

    numbers: np.ndarray
    paired: np.ndarray
    bounds: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    logs: np.ndarray

    @classmethod
    def of(cls, counted: Cooccurrences, random_state: int, workers: Workers) -> ItemPairs:
        """The pairs dealt into buckets, in random order within each."""
        pair_counts = counted.pair_counts()
        blocks = _balanced_blocks(pair_counts)
        numbers = np.argsort(np.argsort(blocks, kind="stable"), kind="stable")
        sizes = bucket_sizes(counted.indptr, counted.columns, blocks, BLOCKS)
        bounds = np.concatenate([[0], np.cumsum(sizes)])
        n_pairs = len(counted.columns)
        rows, columns, logs = np.empty(n_pairs, np.int32), np.empty(n_pairs, np.int32), np.empty(n_pairs, np.float32)
        next_place = bounds[:-1].reshape(BLOCKS, BLOCKS).copy()
        deal_pairs(counted.indptr, counted.columns, counted.sums, numbers, blocks, next_place, rows, columns, logs)

        def shuffle(bucket: int) -> None:
            where = slice(bounds[bucket], bounds[bucket + 1])
            order = np.random.default_rng([random_state, bucket]).permutation(where.stop - where.start)
            for array in (rows, columns, logs):
                array[where] = array[where][order]

        workers.map(shuffle, range(BLOCKS * BLOCKS))
        return cls(numbers, pair_counts > 0, bounds, rows, columns, logs)

    def bucket(self, one: int, other: int) -> tuple[int, int]:
        """(begin, end) of the bucket of blocks `one` <= `other`."""
        place = one * BLOCKS + other
        return int(self.bounds[place]), int(self.bounds[place + 1])


def _tasks(lengths: np.ndarray, by_item: np.ndarray, sequence_of: np.ndarray, window: int) -> list[tuple[int, int]]:
    """(begin, end) of runs of items of about equal work, whatever the number of threads."""
    looked_at = np.concatenate([[0], np.cumsum(np.minimum(lengths, 2 * window + 1)[sequence_of])])[by_item]
    cuts = np.searchsorted(looked_at, np.arange(0, looked_at[-1], _TASK_PLACES)[1:])
    edges = np.unique(np.concatenate([[0], cuts, [len(by_item) - 1]]))
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def _balanced_blocks(counts: np.ndarray) -> np.ndarray:
    """(n_items,) int64: the block of each item; dealt from the most pairs to the fewest, forth and back."""
    deal = np.concatenate([np.arange(BLOCKS), np.arange(BLOCKS)[::-1]])
    blocks = np.empty(len(counts), np.int64)
    blocks[np.argsort(-counts, kind="stable")] = np.resize(deal, len(counts))
    return blocks
