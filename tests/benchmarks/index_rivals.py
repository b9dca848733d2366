"""The methods that `bench_index.py` measures: how each is built, which settings it has, and how it is asked."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from recsys.retrieval.approximate import ItemIndex
from recsys.retrieval.approximate.index import build_engine
from recsys.retrieval.exact import ExactSearch

__all__ = ["METHODS", "Built", "Missing"]

_WIDTHS = [16, 32, 64, 128, 256, 512, 1024]
_NEIGHBOURS, _BUILD_WIDTH = 32, 200
# How many times k are fetched and scored again, by our indexes: the more, the coarser their codes.
_SPARES = {"ivf": (1.25, 8.0, 16.0), "ivf-pq": (4.0, 16.0, 32.0), "hnsw": (1.25,)}


class Missing(Exception):
    """A library is not installed."""


@dataclass(frozen=True)
class Built:
    """search(queries, k, setting, threads) -> (n, k) positions; settings from fast to thorough."""

    settings: list[Any]
    search: Callable[[np.ndarray, int, Any, int], np.ndarray]
    bytes: int
    repeats: int = 1  # of the queries in a batch, where much is done once a call


def library(name: str) -> ModuleType:
    """The module, or `Missing`."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise Missing(f"{name} is not installed") from None


def exact(items: np.ndarray, threads: int) -> Built:
    """Our exact search, with the items arranged at the first call, as a model keeps them."""
    search = ExactSearch(items)
    return Built(["–"], lambda queries, k, _, threads: search.top_k(queries, k, num_threads=threads).positions, 0, 8)


def ours(kind: str, reduction: str) -> Callable[[np.ndarray, int], Built]:
    """One of our indexes, with exact scores at the end."""

    def build(items: np.ndarray, threads: int) -> Built:
        library("faiss")
        engine = build_engine(kind, reduction, items, 0)
        settings = [(breadth, spare) for spare in _SPARES[kind] for breadth in engine.breadths]

        def search(queries: np.ndarray, k: int, setting: tuple[int, float], threads: int) -> np.ndarray:
            index = ItemIndex(engine, *items.shape, *setting, round(setting[1] * k) + 1)
            return index.top_k(queries, items, k, num_threads=threads).positions

        return Built(settings, search, sum(array.nbytes for array in engine.arrays().values()))

    return build


def faiss_factory(words: str, settings: list[Any], refine: int = 0) -> Callable[[np.ndarray, int], Built]:
    """faiss as its users have it, by its factory; `refine`: how many times k are scored again from whole vectors."""

    def build(items: np.ndarray, threads: int) -> Built:
        faiss = library("faiss")
        faiss.omp_set_num_threads(threads)
        text = words.format(lists=4 * round(len(items) ** 0.5))
        index = faiss.index_factory(items.shape[1], text, faiss.METRIC_INNER_PRODUCT)
        if hasattr(index, "hnsw"):
            index.hnsw.efConstruction = _BUILD_WIDTH
        index.train(items)
        index.add(items)

        def search(queries: np.ndarray, k: int, setting: int, threads: int) -> np.ndarray:
            faiss.omp_set_num_threads(threads)
            if hasattr(index, "hnsw"):
                index.hnsw.efSearch = setting
            else:
                index.nprobe = setting
            found = index.search(queries, k * max(refine, 1))[1]
            return rescored(items, queries, found, k) if refine else found

        return Built(settings, search, len(faiss.serialize_index(index)))

    return build


def rescored(items: np.ndarray, queries: np.ndarray, found: np.ndarray, k: int) -> np.ndarray:
    """The k best of what was found, by whole vectors."""
    best = np.empty((len(found), k), np.int64)
    for row, positions in enumerate(found):
        positions = positions[positions >= 0]
        order = np.argsort(-(items[positions] @ queries[row]))[:k]
        best[row] = np.resize(positions[order], k)
    return best


def usearch(items: np.ndarray, threads: int) -> Built:
    """usearch's HNSW by inner product. Its 8-bit numbers are for vectors within the unit cube, which these are not."""
    index = library("usearch.index").Index(
        ndim=items.shape[1], metric="ip", dtype="f32", connectivity=_NEIGHBOURS, expansion_add=_BUILD_WIDTH
    )
    index.add(np.arange(len(items)), items, threads=threads)

    def search(queries: np.ndarray, k: int, setting: int, threads: int) -> np.ndarray:
        index.expansion_search = setting
        keys = index.search(queries, k, threads=threads).keys
        return np.asarray(keys).reshape(len(queries), -1).astype(np.int64)

    return Built(_WIDTHS[1:], search, int(index.memory_usage))


def hnswlib(items: np.ndarray, threads: int) -> Built:
    """hnswlib by inner product."""
    index = library("hnswlib").Index(space="ip", dim=items.shape[1])
    index.init_index(max_elements=len(items), ef_construction=_BUILD_WIDTH, M=_NEIGHBOURS, random_seed=0)
    index.add_items(items, num_threads=threads)

    def search(queries: np.ndarray, k: int, setting: int, threads: int) -> np.ndarray:
        index.set_ef(setting)
        return np.asarray(index.knn_query(queries, k, num_threads=threads)[0]).astype(np.int64)

    return Built(_WIDTHS[1:], search, index.index_file_size())


def voyager(items: np.ndarray, threads: int) -> Built:
    """voyager's HNSW by inner product, which it searches by a column that makes all lengths equal."""
    module = library("voyager")
    index = module.Index(
        module.Space.InnerProduct, items.shape[1], M=_NEIGHBOURS, ef_construction=_BUILD_WIDTH, max_elements=len(items)
    )
    index.add_items(items, num_threads=threads)

    def search(queries: np.ndarray, k: int, setting: int, threads: int) -> np.ndarray:
        return np.asarray(index.query(queries, k, num_threads=threads, query_ef=setting)[0]).astype(np.int64)

    return Built(_WIDTHS[1:], search, len(index.as_bytes()))


_PROBES = [4, 8, 16, 32, 64, 128, 256, 512]
METHODS: dict[str, Callable[[np.ndarray, int], Built]] = {
    "recsys-exact": exact,
    "recsys-ivf": ours("ivf", "partitioned"),
    "recsys-ivf-raw": ours("ivf", "raw"),
    "recsys-ivf-pq": ours("ivf-pq", "partitioned"),
    "recsys-hnsw": ours("hnsw", "raw"),
    "recsys-hnsw-augmented": ours("hnsw", "augmented"),
    "faiss-ivf-flat": faiss_factory("IVF{lists},Flat", _PROBES),
    "faiss-ivf-sq8": faiss_factory("IVF{lists},SQ8", _PROBES, refine=2),
    "faiss-ivf-pq": faiss_factory("IVF{lists},PQ64x4fs", _PROBES, refine=20),
    "faiss-hnsw": faiss_factory(f"HNSW{_NEIGHBOURS},Flat", _WIDTHS),
    "usearch": usearch,
    "hnswlib": hnswlib,
    "voyager": voyager,
}
