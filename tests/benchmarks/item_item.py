"""Two published item-item baselines as `Ranker`s, so that the evaluator can be held against rows that others computed.

Both score a user by a weighted sum over the user's own items, have no vectors and need only numpy and scipy. They are
yardsticks of the benchmark and written for that: `item_knn` takes seconds, `ease` inverts a matrix of all items.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse

import recsys
from recsys.retrieval import RankedLists

__all__ = ["ItemItem", "ease", "item_knn"]

_USERS_AT_ONCE = 512
_ITEMS_AT_ONCE = 2048
_SWEPT_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class ItemItem:
    """score(u, i) = offset_i + Σ_{j of u} weights_ji, over items the user has in `history`. A `recsys.evaluation.Ranker`.

    weights : (n_items, n_items) float32, dense or scipy sparse;  offset : (n_items,) float32. Equal scores go by position.
    """

    history: recsys.Interactions
    weights: Any
    offset: np.ndarray
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def users(self) -> recsys.IdMap:
        """The users of the history."""
        return self.history.users

    @property
    def items(self) -> recsys.IdMap:
        """The items of the history."""
        return self.history.items

    def rank(
        self, user_positions: np.ndarray, k: int, *, exclude_seen: bool = True, num_threads: int | None = None
    ) -> RankedLists:
        """The k best items of each user; `num_threads` plays no part."""
        rows = _ones(self.history)[user_positions]
        n = len(user_positions)
        lists = RankedLists(np.zeros((n, k), np.int32), np.zeros((n, k), np.float32), np.zeros(n, np.int32))
        for block in _blocks(n, _USERS_AT_ONCE):
            scores = rows[block] @ self.weights
            scores = (scores.toarray() if scipy.sparse.issparse(scores) else scores) + self.offset
            if exclude_seen:
                scores[rows[block].nonzero()] = -np.inf
            lists.positions[block], lists.scores[block] = _best(scores, k)
            lists.counts[block] = np.isfinite(lists.scores[block]).sum(axis=1)
        return lists


def _best(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions and scores of the k best of each row, best first, ties to the lower position."""
    # All that is at least as good as the k-th stays in play, so that ties at the end of the list go by position too.
    least = np.partition(scores, -k, axis=1)[:, -k][:, None]
    positions = np.empty((len(scores), k), np.int32)
    for row, (values, bound) in enumerate(zip(scores, least, strict=True)):
        candidates = np.flatnonzero(values >= bound)
        positions[row] = candidates[np.argsort(-values[candidates], kind="stable")[:k]]
    return positions, np.take_along_axis(scores, positions, axis=1)


def item_knn(train: recsys.Interactions, *, neighbours: int = 100) -> ItemItem:
    """Item-based nearest neighbours (Sarwar et al., WWW 2001) in the variant of BARS's Item-CF row (arXiv 2205.09626).

    s_ij is the cosine of the item columns of the 0/1 matrix R, for the `neighbours` items nearest to i, divided by their sum;
    with m_j the share of users who have j, score(u, i) = m_i + Σ_j s_ij (R_uj - m_j). Of equally near items the lower
    position counts as nearer.
    """
    matrix = _ones(train)
    share = np.asarray(matrix.sum(axis=0)) / train.n_users
    lengths = np.sqrt(np.asarray(matrix.sum(axis=0)))
    columns = scipy.sparse.csc_array(matrix)
    blocks = []
    for block in _blocks(train.n_items, _ITEMS_AT_ONCE):
        together = (columns[:, block].T @ columns).toarray()
        cosine = together / np.maximum(lengths[block, None] * lengths, 1)
        np.einsum("ii->i", cosine[:, block])[:] = 0
        blocks.append(_nearest(cosine, min(neighbours, train.n_items - 1)))
    nearest = scipy.sparse.vstack(blocks).tocsr()
    offset = (share - nearest @ share).astype(np.float32)
    about = {"trainer": "item-kNN", "hyperparameters": {"neighbours": neighbours}}
    return ItemItem(train, nearest.T.tocsr().astype(np.float32), offset, about)


def _nearest(cosine: np.ndarray, n: int) -> scipy.sparse.csr_array:
    """The n largest of each row divided by their sum, all others 0."""
    positions, values = _best(cosine, n)
    values = values / np.maximum(values.sum(axis=1, keepdims=True), 1e-12)
    indptr = np.arange(0, positions.size + 1, n)
    kept = scipy.sparse.csr_array((values.ravel(), positions.ravel(), indptr), shape=cosine.shape)
    kept.eliminate_zeros()
    return kept


def ease(train: recsys.Interactions, *, regularization: float) -> ItemItem:
    """EASE (Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, equation 8), on the 0/1 matrix R.

    With P = (RᵀR + λ I)⁻¹ the weights are B = I - P diag(1 / diag P), which leaves a diagonal of 0. One float32 matrix of
    4 · n_items² bytes is held: the inverse is made in its place, in about n_items³ operations.
    """
    columns = scipy.sparse.csc_array(_ones(train))
    matrix = np.empty((train.n_items, train.n_items), np.float32)
    for block in _blocks(train.n_items, _ITEMS_AT_ONCE):
        matrix[block] = (columns[:, block].T @ columns).toarray()
    np.einsum("ii->i", matrix)[:] += regularization
    _negative_inverse(matrix)
    # B = I - P diag(1 / diag P), and the matrix holds -P.
    matrix /= -np.einsum("ii->i", matrix).copy()
    np.einsum("ii->i", matrix)[:] = 0
    about = {"trainer": "EASE", "hyperparameters": {"regularization": regularization}}
    return ItemItem(train, matrix, np.zeros(train.n_items, np.float32), about)


def _negative_inverse(matrix: np.ndarray) -> None:
    """-(matrix)⁻¹ in the place of a symmetric positive definite matrix.

    The sweep operator by blocks (Goodnight 1979, "A Tutorial on the SWEEP Operator"), in the lower triangle. It is all matrix
    products: LAPACK's own Cholesky was found to crash at 41,000 rows.
    """
    blocks = _blocks(len(matrix), _SWEPT_AT_ONCE)
    for pivot in blocks:
        inverse = np.linalg.inv(matrix[pivot, pivot].astype(np.float64)).astype(np.float32)
        panel = np.concatenate([matrix[pivot, : pivot.start].T, matrix[pivot.start :, pivot]])
        scaled = panel @ inverse
        for rows in blocks:
            if rows != pivot:
                matrix[rows, : rows.stop] -= scaled[rows] @ panel[: rows.stop].T
        matrix[pivot, : pivot.start] = scaled[: pivot.start].T
        matrix[pivot.start :, pivot] = scaled[pivot.start :]
        matrix[pivot, pivot] = -inverse
    for rows in blocks:
        matrix[: rows.start, rows] = matrix[rows, : rows.start].T


def _blocks(n: int, size: int) -> list[slice]:
    return [slice(begin, min(begin + size, n)) for begin in range(0, n, size)]


def _ones(train: recsys.Interactions) -> scipy.sparse.csr_array:
    """(n_users, n_items) float32: 1 for every pair, whatever its weight."""
    matrix = train.to_csr()
    matrix.data[:] = 1
    return matrix
