"""Inverted lists: items cut into many small lists, of which a query looks at few.

Imports a kernel, the engine's protocol and faiss.

Where inner product is searched, lists must know how long their vectors are. Items are cut by length first and by direction
second; a list is worth looking at by the most that a member may reach, not by its middle:

    promise of list l for query x = m_l (x · c_l + β ‖x‖ s_l)

with c_l the unit direction of its middle, m_l the greatest length of a member, and s_l² = 1 - the mean cosine of its members
to c_l: how wide the list spreads. Cutting by length is that of Yan et al. 2018 (norm-ranging LSH).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys.kernels.found import promises
from recsys.retrieval.approximate.engine import load_faiss, one_thread, padded, saved_index

__all__ = ["ListsEngine"]

_RANGES = 5  # of length: the shorter half, the next quarter, …; the last takes the rest
_SPREAD = 0.3  # β
_ITERATIONS = 10
_POINTS_A_LIST = 64  # that a middle is learned from; more take longer and find nothing more
_CODE_POWER, _CODE_VECTORS = 3, 16_384
_STEP = 16  # faiss' codes are fastest for a number of columns that is a multiple of it
_SHARES = (0.001, 0.0014, 0.002, 0.003, 0.004, 0.006, 0.008, 0.011, 0.016, 0.022, 0.032, 0.045, 0.064, 0.09, 0.13, 0.18, 0.25)
CODES = {"ivf": "8 bit", "ivf-flat": "float32", "ivf-pq": "4 bit for each two columns, fast scan"}


@dataclass(frozen=True)
class ListsEngine:
    """IVF: lists of items as 8-bit codes ("ivf"), whole vectors ("ivf-flat") or product codes with fast scan ("ivf-pq").

    middles : (n_lists, dim + 1) float32: m_l c_l, and in the last column β m_l s_l, to be multiplied by (x, ‖x‖).
    reduction : "partitioned": as above. "raw": one range of length, and lists looked at by x · c_l alone.
    """

    kind: str
    reduction: str
    faiss_index: Any
    middles: np.ndarray

    @classmethod
    def build(cls, kind: str, items: np.ndarray, reduction: str, random_state: int) -> ListsEngine:
        """The same seed gives the same bytes."""
        faiss = load_faiss()
        with one_thread(faiss):
            lists, middles = _cut(faiss, items, _RANGES if reduction == "partitioned" else 1, random_state)
            index = _empty(faiss, kind, items.shape[1], len(middles))
            vectors = padded(items, index.d)
            # Lists are chosen here, so faiss' own way of choosing them is only there because it must be.
            index.quantizer.add(np.zeros((len(middles), index.d), np.float32))
            index.train(_long_ones(vectors, random_state) if kind == "ivf-pq" else vectors)
            _enter(faiss, index, vectors, lists)
            # Fast scan has another layout of codes, and takes lists that were chosen before from this one only.
            index = faiss.deserialize_index(
                faiss.serialize_index(faiss.IndexIVFPQFastScan(index) if kind == "ivf-pq" else index)
            )
        if reduction == "partitioned":
            middles = _promises(items, lists, middles)
        else:
            middles = np.hstack([middles, np.zeros((len(middles), 1), np.float32)])
        return cls(kind, reduction, index, middles)

    @classmethod
    def from_arrays(cls, kind: str, arrays: Mapping[str, np.ndarray], reduction: str) -> ListsEngine:
        """From what `arrays` gave."""
        return cls(kind, reduction, saved_index(load_faiss(), arrays), np.array(arrays["middles"]))

    def arrays(self) -> dict[str, np.ndarray]:
        """The faiss index as bytes, and the middles."""
        return {"faiss": load_faiss().serialize_index(self.faiss_index), "middles": self.middles}

    @property
    def breadths(self) -> list[int]:
        """Lists looked at."""
        n_lists = len(self.middles)
        return sorted({min(n_lists, max(1, round(share * n_lists))) for share in (*_SHARES, 0.5, 1.0)})

    def find(self, queries: np.ndarray, count: int, breadth: int) -> np.ndarray:
        """See `Engine.find`."""
        faiss = load_faiss()
        breadth = min(breadth, len(self.middles))
        promise = np.empty((len(queries), len(self.middles)), np.float32)
        promises(queries, self.middles, promise)
        if breadth < len(self.middles):
            chosen = np.argpartition(promise, len(self.middles) - breadth, axis=1)[:, -breadth:].astype(np.int64)
        else:
            chosen = np.tile(np.arange(breadth, dtype=np.int64), (len(queries), 1))
        with one_thread(faiss):
            return _search(faiss, self.faiss_index, padded(queries, self.faiss_index.d), count, chosen)

    def parameters(self) -> dict[str, Any]:
        """See `Engine.parameters`."""
        return {"lists": len(self.middles), "codes": CODES[self.kind]}


def _empty(faiss: Any, kind: str, columns: int, n_lists: int) -> Any:
    width = -(-columns // _STEP) * _STEP
    quantizer = faiss.IndexFlatIP(width)
    if kind == "ivf-flat":
        index = faiss.IndexIVFFlat(quantizer, width, n_lists, faiss.METRIC_INNER_PRODUCT)
    elif kind == "ivf-pq":
        index = faiss.IndexIVFPQ(quantizer, width, n_lists, width // 2, 4, faiss.METRIC_INNER_PRODUCT)
        index.pq.cp.min_points_per_centroid = 1
    else:
        code = faiss.ScalarQuantizer.QT_8bit
        index = faiss.IndexIVFScalarQuantizer(quantizer, width, n_lists, code, faiss.METRIC_INNER_PRODUCT, False)
    index.by_residual = False
    return index


def _long_ones(vectors: np.ndarray, random_state: int) -> np.ndarray:
    """What product codes are learned from: vectors drawn with chances by the cube of their length.

    The highest inner products are mostly those of long vectors, so these must be coded well. Learned from all vectors alike,
    the codes of long ones are so bad that looking at more lists finds less.
    """
    chances = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64) ** (_CODE_POWER / 2) + 1e-30
    drawn = np.random.default_rng(random_state).choice(len(vectors), _CODE_VECTORS, p=chances / chances.sum())
    return np.ascontiguousarray(vectors[drawn])


def _cut(faiss: Any, items: np.ndarray, n_ranges: int, random_state: int) -> tuple[np.ndarray, np.ndarray]:
    """(n,) int64 the list of each item, and (n_lists, dim) unit directions of the lists' middles."""
    lengths = np.linalg.norm(items, axis=1)
    directions = items / np.where(lengths > 0, lengths, 1)[:, None]
    bounds = np.quantile(lengths, 1 - 0.5 ** np.arange(1, n_ranges)) if len(items) else np.empty(0)
    ranges = np.searchsorted(bounds, lengths)
    n_lists = max(1, min(4 * round(len(items) ** 0.5), len(items) // 20))
    lists, middles, start = np.zeros(len(items), np.int64), [], 0
    for number in np.unique(ranges):
        members = np.flatnonzero(ranges == number)
        count = max(1, round(n_lists * len(members) / len(items)))
        means = faiss.Kmeans(
            items.shape[1],
            count,
            niter=_ITERATIONS,
            spherical=True,
            seed=random_state,
            min_points_per_centroid=1,
            max_points_per_centroid=_POINTS_A_LIST,
        )
        vectors = np.ascontiguousarray(directions[members], dtype=np.float32)
        means.train(vectors)
        lists[members] = start + means.index.search(vectors, 1)[1][:, 0]
        middles.append(means.centroids)
        start += count
    return lists, np.vstack(middles)


def _promises(items: np.ndarray, lists: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """(n_lists, dim + 1): what `ListsEngine.middles` says."""
    n_lists = len(directions)
    lengths = np.linalg.norm(items, axis=1)
    cosines = np.einsum("ij,ij->i", items, directions[lists]) / np.where(lengths > 0, lengths, 1)
    members = np.maximum(np.bincount(lists, minlength=n_lists), 1)
    spread = np.sqrt(np.maximum(1 - np.bincount(lists, cosines, n_lists) / members, 0))
    greatest = np.zeros(n_lists)
    np.maximum.at(greatest, lists, lengths)
    return np.hstack([directions * greatest[:, None], (_SPREAD * spread * greatest)[:, None]]).astype(np.float32)


def _enter(faiss: Any, index: Any, vectors: np.ndarray, lists: np.ndarray) -> None:
    positions = np.arange(len(vectors), dtype=np.int64)
    lists = np.ascontiguousarray(lists)
    index.add_core(len(vectors), faiss.swig_ptr(vectors), faiss.swig_ptr(positions), faiss.swig_ptr(lists))


def _search(faiss: Any, index: Any, queries: np.ndarray, count: int, lists: np.ndarray) -> np.ndarray:
    """The call of faiss for lists that were chosen before; its Python wrapper takes no parameters, so it is gone around."""
    scores = np.empty((len(queries), count), np.float32)
    found = np.empty((len(queries), count), np.int64)
    unused = np.zeros(lists.shape, np.float32)
    parameters = faiss.SearchParametersIVF(nprobe=lists.shape[1])
    pointers = [faiss.swig_ptr(array) for array in (queries, lists, unused, scores, found)]
    index.search_preassigned_c(len(queries), pointers[0], count, *pointers[1:], False, parameters)
    return found
