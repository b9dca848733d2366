"""`ItemIndex`: an approximate search of item vectors with the interface, the filters, the scores and the ties of the exact one.

Imports errors, kernels, parallel, storage, the exact search and the engines.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recsys.errors import FormatError, InputError, quote_some
from recsys.kernels import found as found_kernels
from recsys.kernels import topk
from recsys.parallel import Workers
from recsys.retrieval.approximate.engine import Engine
from recsys.retrieval.approximate.graph import GraphEngine
from recsys.retrieval.approximate.lists import CODES, ListsEngine
from recsys.retrieval.exact import RankedLists, require_k, top_k
from recsys.storage import Stored, open_stored, write_stored

__all__ = ["KINDS", "WIDE", "ItemIndex", "build_engine"]

KINDS = (*CODES, "hnsw")
_BLOCK_QUERIES = 64
_FEW_BLOCKS = 16  # Starting threads costs as much time as so many blocks.
# With fewer items allowed than this share, they are searched exactly: an index would have to fetch k over that share.
_NARROW = 0.25
# A query for which more than this share of the items must be fetched is searched exactly.
WIDE = 0.1


def build_engine(kind: str, reduction: str, items: np.ndarray, random_state: int) -> Engine:
    """The engine of that kind over (n_items, dim) float32 vectors."""
    if kind == "hnsw":
        return GraphEngine.build(items, reduction, random_state)
    return ListsEngine.build(kind, items, reduction, random_state)


@dataclass(frozen=True, eq=False, repr=False)
class ItemIndex:
    """An engine with the parameters of its search. Knows no ids; immutable.

    For a query of which s items are seen, `spare` · k + s items are fetched (over the share of items that `candidates` allow),
    filtered, scored again from the items' own vectors, and cut to k. Who needs more than `typical` of them is searched more
    widely than `breadth` in proportion. Where fewer than k remain, or the filter leaves under a quarter of the items, or more
    than a tenth of them would be fetched, the exact search answers: so counts are right whatever the filters.

    fingerprint : of what it was built from; it is for nothing else.
    record : what was measured when it was built (see `recsys.retrieval.approximate.choice`).
    """

    engine: Engine
    n_items: int
    dim: int
    breadth: int
    spare: float
    typical: int
    fingerprint: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        return self.engine.kind

    def __repr__(self) -> str:
        recall = f", recall@{self.record['k']} {self.record['recall']:.3f}" if "recall" in self.record else ""
        return f"ItemIndex({self.kind}, {self.engine.reduction}, {self.n_items:,} items × {self.dim}{recall})"

    def describe(self) -> dict[str, Any]:
        """Kind, parameters, and all that was measured: plain values, ready for JSON."""
        return {
            "kind": self.kind,
            "reduction": self.engine.reduction,
            "n_items": self.n_items,
            "dim": self.dim,
            "parameters": self.engine.parameters() | {"breadth": self.breadth, "spare": self.spare, "typical": self.typical},
            **self.record,
        }

    # ---- searching ----------------------------------------------------------------------------------------------

    def top_k(
        self,
        queries: np.ndarray,
        items: np.ndarray,
        k: int,
        *,
        seen: tuple[np.ndarray, np.ndarray] | None = None,
        candidates: np.ndarray | None = None,
        num_threads: int | None = None,
    ) -> RankedLists:
        """As `recsys.retrieval.top_k`: the same filters, scores and order of ties, now and then another item in a list.

        items : those it was built from. Raises `InputError` when their number or dimension is another.
        The same bytes for any number of threads.
        """
        require_k(k)
        if items.shape != (self.n_items, self.dim):
            raise InputError(
                f"The index holds {self.n_items:,} items × {self.dim}; it can not search {items.shape[0]:,} × {items.shape[1]}."
            )
        share = 1.0 if candidates is None else len(candidates) / max(self.n_items, 1)
        if share < _NARROW or not len(queries):
            return top_k(queries, items, k, seen=seen, candidates=candidates, num_threads=num_threads)
        indptr, indices = seen or (np.zeros(len(queries) + 1, np.int64), np.empty(0, np.int32))
        k = min(k, self.n_items)
        search = _Search(self, np.ascontiguousarray(queries), items, k, indptr, indices, candidates)
        blocks, wide = search.blocks(self.spare * k, share)
        if len(blocks) > _FEW_BLOCKS:
            with Workers(num_threads) as workers:
                workers.map(search.run, blocks)
        else:
            for block in blocks:
                search.run(block)
        search.finish_exactly(wide, num_threads)
        return search.lists()

    # ---- files --------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Writes a directory of kind "index" (see `recsys.storage`). An existing path is refused unless `overwrite`."""
        attributes = self.describe() | {"items_fingerprint": self.fingerprint}
        write_stored(
            path, "index", arrays=self.engine.arrays(), tables={}, attributes=attributes, provenance={}, overwrite=overwrite
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, verify: bool = True) -> ItemIndex:
        """Opens a directory written by `save`. Raises `FormatError` that names what is wrong."""
        return cls.from_stored(open_stored(path, "index", verify=verify))

    @classmethod
    def from_stored(cls, stored: Stored) -> ItemIndex:
        """The index in an opened directory."""
        record = dict(stored.attributes)
        kind, reduction, parameters = (stored.attribute(name) for name in ("kind", "reduction", "parameters"))
        if kind not in KINDS:
            raise FormatError(f"{stored.path} is an index of the kind {kind!r}; this recsys reads {quote_some(KINDS)}.")
        for name in ("kind", "reduction", "parameters"):
            del record[name]
        n_items, dim, fingerprint = (record.pop(name) for name in ("n_items", "dim", "items_fingerprint"))
        if kind == "hnsw":
            engine: Engine = GraphEngine.from_arrays({"faiss": stored.array("faiss")}, reduction)
        else:
            arrays = {name: stored.array(name) for name in ("faiss", "middles")}
            engine = ListsEngine.from_arrays(kind, arrays, reduction)
        breadth, spare, typical = (parameters[name] for name in ("breadth", "spare", "typical"))
        return cls(engine, n_items, dim, breadth, spare, typical, fingerprint, record)


class _Search:
    """One call of `top_k`: its arrays, filled block by block."""

    def __init__(
        self,
        index: ItemIndex,
        queries: np.ndarray,
        items: np.ndarray,
        k: int,
        indptr: np.ndarray,
        indices: np.ndarray,
        candidates: np.ndarray | None,
    ) -> None:
        self.index, self.queries, self.items, self.k = index, queries, items, k
        self.indptr, self.indices, self.candidates = indptr, indices, candidates
        self.allowed = np.empty(0, np.bool_)
        if candidates is not None:
            self.allowed = np.zeros(index.n_items, np.bool_)
            self.allowed[candidates] = True
        self.positions = np.zeros((len(queries), k), np.int32)
        self.scores = np.zeros((len(queries), k), np.float32)
        self.counts = np.zeros(len(queries), np.int32)

    def blocks(self, wanted: float, share: float) -> tuple[list[tuple[np.ndarray, int]], np.ndarray]:
        """(rows, how many to fetch) of blocks that need about the same, and the rows that need too many.

        They depend on the queries' order and filters, not on the number of threads.
        """
        most = WIDE * self.index.n_items
        ends = self.indptr.tolist()
        rows_of: dict[int, list[int]] = {}
        wide = []
        for row, (start, stop) in enumerate(itertools.pairwise(ends)):
            width = (wanted + stop - start) / share
            if width > most:
                wide.append(row)
            else:
                rows_of.setdefault(math.ceil(2 * math.log2(width / wanted)), []).append(row)
        blocks = []
        for step, rows in sorted(rows_of.items()):
            # Powers of √2 times what is wanted at least: few sizes, none much too large.
            fetch = min(math.ceil(wanted * 2 ** (step / 2)), self.index.n_items)
            starts = range(0, len(rows), _BLOCK_QUERIES)
            blocks += [(np.array(rows[start : start + _BLOCK_QUERIES]), fetch) for start in starts]
        return blocks, np.array(wide, np.int64)

    def run(self, block: tuple[np.ndarray, int]) -> None:
        """Finds, filters, scores again and cuts."""
        rows, fetch = block
        breadth = math.ceil(self.index.breadth * max(1.0, fetch / self.index.typical))
        queries = self.queries[rows]
        found = self.index.engine.find(queries, fetch, breadth)
        positions, counts = np.empty(found.shape, np.int32), np.empty(len(rows), np.int32)
        indptr, indices = self._seen(rows)
        found_kernels.keep_allowed(found, indptr, indices, self.allowed, positions, counts)
        scores = np.empty(found.shape, np.float32)
        topk.rescore(queries, self.items, scores, positions, counts)
        topk.sort_lists(scores, positions, counts)
        kept = min(self.k, found.shape[1])
        self.positions[rows, :kept], self.scores[rows, :kept] = positions[:, :kept], scores[:, :kept]
        self.counts[rows] = np.minimum(counts, kept)

    def finish_exactly(self, wide: np.ndarray, num_threads: int | None) -> None:
        """Searches the rows again of which the index can not be asked, or has found too few."""
        short = np.flatnonzero(self.counts < self.k)
        if not len(short):
            return
        rows = np.union1d(wide, short)
        lists = top_k(
            self.queries[rows],
            self.items,
            self.k,
            seen=self._seen(rows),
            candidates=self.candidates,
            num_threads=num_threads,
        )
        kept = lists.positions.shape[1]
        self.positions[rows, :kept], self.scores[rows, :kept] = lists.positions, lists.scores
        self.counts[rows] = lists.counts

    def lists(self) -> RankedLists:
        """What was found, as wide as the exact search would give it."""
        width = self.k if self.candidates is None else min(self.k, len(self.candidates))
        return RankedLists(self.positions[:, :width], self.scores[:, :width], self.counts)

    def _seen(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The seen items of some rows; no copy where they are all, or few after each other."""
        if len(rows) == len(self.counts):
            return self.indptr, self.indices
        starts, stops = self.indptr[rows], self.indptr[rows + 1]
        indptr = np.concatenate([[0], np.cumsum(stops - starts)]).astype(np.int64)
        offsets = np.repeat(starts - indptr[:-1], stops - starts)
        return indptr, self.indices[np.arange(indptr[-1]) + offsets]
