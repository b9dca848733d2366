"""Search of vectors that are kept as codes: the same lists as the exact search of what the codes stand for, or nearly.

A few queries are scored straight from the codes. For many, a block of codes is decoded once and multiplied with all of them,
which costs as much as exact search of plain vectors does. Either way lists are scored again in float64 from decoded rows and
proven as `retrieval.exact` does it, so which way it went does not show. May import errors, kernels, parallel, retrieval.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np

from recsys.embeddings.compression.coded import CodedVectors
from recsys.embeddings.compression.codes import RowsOf, row_lengths
from recsys.embeddings.search import unit_rows
from recsys.kernels import product, topk
from recsys.kernels.dense import read_only, row_blocks
from recsys.parallel import Workers
from recsys.retrieval import RankedLists
from recsys.retrieval.exact import require_k
from recsys.retrieval.shortlists import MARGIN, Seen, Shortlists, empty_lists, inverse, search_until_proven

__all__ = ["CodeSearch"]

# Codes that are scored at a time: straight, or decoded and multiplied.
_SCORED_ROWS, _DECODED_ROWS = 4096, 512
# So few queries are scored straight from the codes: that takes them less time than decoding for all.
_FEW = 6
# So many queries are worth sorting the codes for.
_WORTH_SORTING = 64
_RESCORED_QUERIES = 512


@dataclass(frozen=True, eq=False)
class CodeSearch:
    """Searches coded vectors by inner product; `unit` by cosine, of queries of length 1 with rows brought to length 1.

    originals : (n, dim) float32 or float16, more columns than the codes have or as many: what lists are scored by in the end;
        None for what the codes stand for.
    oversample : of how many times k codes propose, where lists are scored again.
    """

    coded: CodedVectors
    originals: np.ndarray | None
    oversample: float
    unit: bool

    def top_k(
        self,
        queries: np.ndarray,
        k: int,
        *,
        seen: tuple[np.ndarray, np.ndarray] | None = None,
        candidates: np.ndarray | None = None,
        num_threads: int | None = None,
    ) -> RankedLists:
        """As `recsys.retrieval.top_k`, for queries (m, dim); the same bytes for any number of threads."""
        require_k(k)
        queries = np.ascontiguousarray(queries, np.float32)
        allowed = self._allowed(candidates)
        n_allowed = len(self.coded) if allowed is None else len(allowed)
        k = min(k, n_allowed)
        again = self.originals is not None or self.coded.codes.proposes
        depth = min(ceil(k * self.oversample), n_allowed) if again else k
        lists = empty_lists(len(queries), depth)
        with Workers(num_threads) as workers:
            if depth:
                search = _Search.of(self, queries, seen, allowed, lists)
                search_until_proven(search.fill, np.arange(len(queries)), depth + search.margin, n_allowed, workers)
            if again:
                workers.map(lambda rows: self._rescore(lists, queries, rows), row_blocks(len(queries), _RESCORED_QUERIES))
        return RankedLists(lists.positions[:, :k], lists.scores[:, :k], np.minimum(lists.counts, k))

    def rows(self, positions: np.ndarray) -> np.ndarray:
        """(m, dim) float32: what scores are of."""
        if self.originals is None:
            return self.decoded(positions)
        rows = self.originals[positions].astype(np.float32)
        return unit_rows(rows) if self.unit else rows

    def decoded(self, positions: np.ndarray) -> np.ndarray:
        """(m, columns of the codes) float32: what scores by codes are of."""
        rows = self.coded.vectors(positions)
        return np.asarray(rows / self.divisors_at(positions)[:, None]) if self.unit else rows

    def divisors_at(self, rows: RowsOf) -> np.ndarray:
        """(m,) float32: the lengths of some rows as they are scored in the end, 1 for a row of length 0."""
        lengths = self.divisors[rows]
        return np.where(lengths > 0, lengths, np.float32(1))

    def _rescore(self, lists: RankedLists, queries: np.ndarray, rows: slice) -> None:
        scores, positions = lists.scores[rows], lists.positions[rows]
        rescore(queries[rows], self.rows, scores, positions, lists.counts[rows])

    def _allowed(self, candidates: np.ndarray | None) -> np.ndarray | None:
        """Positions that may be found, None for all. A zero vector is nobody's neighbour by cosine."""
        if not self.unit or self.divisors.all():
            return candidates
        nonzero = np.flatnonzero(self.divisors)
        return nonzero if candidates is None else np.intersect1d(nonzero, candidates, assume_unique=True)

    @cached_property
    def lengths(self) -> np.ndarray:
        """(n,) float32: of the decoded vectors."""
        return _lengths_by_block(len(self.coded), self.coded.vectors)

    @cached_property
    def divisors(self) -> np.ndarray:
        """(n,) float32: the lengths of the vectors that lists are scored by in the end."""
        originals = self.originals
        if originals is None:
            return self.lengths
        return _lengths_by_block(len(originals), lambda rows: originals[rows].astype(np.float32))

    @cached_property
    def by_length(self) -> np.ndarray:
        """(n,) int32: positions by falling length, ties by position."""
        return np.argsort(-self.lengths, kind="stable").astype(np.int32)

    @cached_property
    def reach(self) -> tuple[np.ndarray, np.ndarray]:
        """Of the coordinates of the codes, and of the columns that are kept, the largest that there are."""
        kept = np.abs(self.coded.kept)
        if not self.unit:
            return self.coded.codes.reach(None), kept.max(axis=0, initial=0)
        return self.coded.codes.reach(self.divisors), np.ones(kept.shape[1], np.float32)


def _lengths_by_block(n: int, vectors_of: Callable[[slice], np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty(0, np.float32), *(row_lengths(vectors_of(rows)) for rows in row_blocks(n))])


def rescore(
    queries: np.ndarray,
    rows_of: Callable[[np.ndarray], np.ndarray],
    scores: np.ndarray,
    positions: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Replaces the scores of shortlists by float64 products with rows that are looked up, and sorts them, in place."""
    valid = np.arange(positions.shape[1]) < counts[:, None]
    needed, places = np.unique(positions[valid], return_inverse=True)
    # Places in the rows that are looked up rise with positions, so ties fall as they would.
    local = np.zeros(positions.shape, np.int32)
    local[valid] = places
    found = np.ascontiguousarray(scores)
    topk.rescore(queries, read_only(rows_of(needed)), found, local, counts)
    topk.sort_lists(found, local, counts)
    scores[...] = found
    positions[valid] = needed[local[valid]]


@dataclass(frozen=True, eq=False)
class _Search:
    """One call of `top_k`.

    labels : (n,) the position of the item at each place, in the order in which they pass; None for as they come.
    bounds : (n,) float32 falling lengths of the items as they pass, where these are sorted.
    """

    owner: CodeSearch
    queries: np.ndarray
    asked: np.ndarray
    slack: np.ndarray
    seen: Seen
    labels: np.ndarray | None
    bounds: np.ndarray | None
    lists: RankedLists

    @classmethod
    def of(
        cls,
        owner: CodeSearch,
        queries: np.ndarray,
        seen: tuple[np.ndarray, np.ndarray] | None,
        allowed: np.ndarray | None,
        lists: RankedLists,
    ) -> _Search:
        """Arranges items and queries."""
        labels, bounds = allowed, None
        sorts = len(queries) >= _WORTH_SORTING and not owner.unit and not owner.coded.codes.proposes
        if sorts:
            labels = owner.by_length
            if allowed is not None:
                is_allowed = np.zeros(len(owner.coded), np.bool_)
                is_allowed[allowed] = True
                labels = labels[is_allowed[labels]]
            bounds = owner.lengths[labels] * np.float32(1 + 1e-5)
        queries = owner.coded.part(queries)
        asked = owner.coded.asked(queries)
        return cls(
            owner,
            queries,
            asked,
            _slack(owner, queries, asked),
            Seen(seen, None if labels is None else inverse(labels, len(owner.coded))),
            labels,
            bounds,
            lists,
        )

    @property
    def margin(self) -> int:
        """More than are asked for: none where lists are what scores by codes make them, and these depend on the pair alone."""
        return 0 if self.owner.coded.codes.proposes else MARGIN

    @property
    def n_items(self) -> int:
        """That pass."""
        return len(self.owner.coded) if self.labels is None else len(self.labels)

    def fill(self, rows: np.ndarray, kept: int) -> np.ndarray:
        """Fills the lists of `rows`, and returns those that are not proven."""
        best = Shortlists(rows, kept, self.n_items, self.slack[rows], self.seen)
        _Pass(self, best).run()
        best.cut()
        if not self.owner.coded.codes.proposes:
            rescore(self.queries[rows], self.owner.decoded, best.scores, best.positions, best.counts)
        return best.hand_over(self.lists)


def _slack(owner: CodeSearch, queries: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """(m,) float32: how far rounding may move a score.

    A sum of dim terms is off by at most dim · 2⁻²⁴ of the sum of their sizes, which is what the coordinates reach; turning
    queries and rows adds as much of the product of their lengths.
    """
    if owner.coded.codes.proposes:
        return np.zeros(len(queries), np.float32)
    reach, kept_reach = owner.reach
    sizes = np.abs(asked) @ reach + row_lengths(asked) * np.float32(np.linalg.norm(reach))
    if len(kept_reach):
        sizes += np.abs(queries[:, -len(kept_reach) :]) @ kept_reach
    return np.asarray(4 * (owner.coded.dim + 8) * 2.0**-24 * sizes, np.float32)


class _Pass:
    """All items pass by a group of queries, of which those that are done leave."""

    def __init__(self, search: _Search, best: Shortlists) -> None:
        self._search, self._best, self._coded = search, best, search.owner.coded
        self._n_kept = self._coded.kept.shape[1]
        self._lengths = row_lengths(search.queries[best.rows]).astype(np.float64)
        straight = len(best.rows) <= _FEW or self._coded.codes.proposes
        self._go_on_with(np.arange(len(best.rows)))
        self._scorer = self._coded.codes.scorer(search.asked[best.rows]) if straight else None

    def run(self) -> None:
        """Fills the shortlists."""
        search = self._search
        for block in row_blocks(search.n_items, _DECODED_ROWS if self._scorer is None else _SCORED_ROWS):
            if search.bounds is not None:
                self._leave(search.bounds[block.start])
            if not len(self._active):
                return
            rows = block if search.labels is None else search.labels[block]
            labels = np.arange(block.start, block.stop) if search.labels is None else search.labels[block]
            scores = self._scores(rows, len(labels))
            self._best.mask(scores, self._active, block)
            self._best.enter(scores, self._active, labels.astype(np.int32))

    def _go_on_with(self, active: np.ndarray) -> None:
        self._active = active
        rows = self._best.rows[active]
        asked = self._search.asked[rows]
        self._rows = np.zeros((product.padded_rows(len(rows)), asked.shape[1]), np.float32)
        self._rows[: len(rows)] = asked
        queries = self._search.queries[rows]
        self._of_kept = queries[:, queries.shape[1] - self._n_kept :]

    def _leave(self, bound: np.float32) -> None:
        """Queries for which items of at most this length are not good enough are done."""
        best, active = self._best, self._active
        reached = self._lengths[active] * float(bound) * (1 + 1e-5)
        stays = reached >= best.bars[active].astype(np.float64) - best.slack[active]
        if self._scorer is None and not stays.all():
            self._go_on_with(active[stays])
        elif not stays.any():
            self._active = active[:0]

    def _scores(self, rows: slice | np.ndarray, n: int) -> np.ndarray:
        """(queries, at least n) float32."""
        if self._scorer is not None:
            scores = np.empty((len(self._best.rows), n), np.float32)
            self._scorer(rows, scores)
        else:
            panels = product.columns_in_panels(self._coded.codes.decoded(rows).T)
            scores = np.empty((len(self._rows), len(panels) * product.PANEL), np.float32)
            product.multiply(self._rows, panels, 0, self._rows.shape[1], scores)
        for column in range(self._n_kept):  # not as a matrix product, in which a sum may depend on what else is computed
            scores[: len(self._active), :n] += self._of_kept[:, [column]] * self._coded.kept[rows, column]
        if self._search.owner.unit:
            scores[:, :n] /= self._search.owner.divisors_at(rows)
        return scores
