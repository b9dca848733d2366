"""Building an index by measurement: kind, reduction and parameters are those that answer fastest with the recall asked for.

Imports errors, progress, the exact search, the index and its measuring.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recsys.errors import InputError, ParameterError, closest_hint, quote_some
from recsys.progress import show_progress
from recsys.retrieval.approximate.engine import Engine, load_faiss
from recsys.retrieval.approximate.index import KINDS, WIDE, ItemIndex, build_engine
from recsys.retrieval.approximate.measure import Sample, curve_in_words, interval
from recsys.retrieval.exact import require_k, top_k

__all__ = ["build_index", "drawn_queries"]

_REDUCTIONS = dict.fromkeys(KINDS, ("partitioned", "raw")) | {"hnsw": ("raw", "augmented")}
# What "auto" tries: those that have won on some model. Whole vectors are never faster than 8-bit codes.
_AUTO = ("ivf", "ivf-pq", "hnsw")
# With more items than this, kinds and reductions are compared on so many of them, drawn at random.
_TRIAL_ITEMS = 30_000
_SPARES = (1.25, 2.0, 4.0, 8.0, 16.0, 32.0)


@dataclass(frozen=True)
class _Plan:
    kind: str
    reduction: str

    def __str__(self) -> str:
        return f"{self.kind} ({self.reduction})"


@dataclass(frozen=True)
class _Tuned:
    """The fastest parameters found, and the curve they were found on. `met`: whether the recall asked for was reached."""

    index: ItemIndex
    curve: list[dict[str, Any]]
    met: bool
    per_second: float


def build_index(
    items: np.ndarray,
    queries: np.ndarray,
    seen: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    kind: str = "auto",
    target_recall: float = 0.99,
    k: int = 20,
    random_state: int = 0,
    num_threads: int | None = None,
    progress: bool = False,
    fingerprint: str = "",
    by_distance: bool = False,
) -> ItemIndex:
    """An index of (n_items, dim) float32 `items` that finds `target_recall` of the exact k best for `queries`.

    queries : (n, dim) float32, a sample, in random order, of those that will be asked; seen : what each must not be shown, as
        `top_k` takes it. Parameters are chosen on one half of them; the recall in the record is that of the other half.
    kind : one of `KINDS`, or "auto" for the fastest of several, one query at a time.
    by_distance : the inner product is one by Euclidean distance: the last two columns of items y hold -‖y‖² / 2s, those of
        queries s.

    Recall is the share of the exact k best that is found, averaged over queries. Raises `ParameterError` for a wrong
    argument, and `InputError` with the curve of recall and speed when no parameters reach the target.
    """
    plans = _plans(kind, target_recall, k, by_distance)
    load_faiss()
    if len(queries) < 2 or not len(items):
        raise InputError(
            f"An index needs items, and two queries or more to be measured by. Got {len(items)} and {len(queries)}."
        )
    sample = Sample.of(items, queries, seen, k, num_threads)
    tuning, judging = sample.halves()
    found: list[tuple[_Plan, _Tuned]] = []
    with show_progress("Building the index", None, enabled=progress) as advance:
        for plan in _fastest_first(plans, tuning, target_recall, random_state, advance):
            advance(note=f"{plan}: building")
            start = time.perf_counter()
            engine = build_engine(plan.kind, plan.reduction, items, random_state)
            seconds = time.perf_counter() - start
            advance(note=f"{plan}: choosing parameters")
            tuned = _tuned(engine, tuning, target_recall)
            found.append((plan, tuned))
            if tuned.met:
                record = _record(tuned, judging, target_recall, random_state, seconds)
                if record["recall_high"] >= target_recall:
                    return replace(tuned.index, record=record, fingerprint=fingerprint)
    raise InputError(_refusal(found, tuning, target_recall))


def drawn_queries(vectors: np.ndarray, n_queries: int, random_state: int) -> np.ndarray:
    """Positions of at most `n_queries` rows to measure by, drawn at random, in random order; zero rows are left out."""
    if not isinstance(n_queries, int) or n_queries < 20:
        raise ParameterError(f"`n_queries` must be an int >= 20. Got {n_queries!r}.")
    order = np.random.default_rng(random_state).permutation(len(vectors))
    nonzero = np.asarray(vectors.any(axis=1))
    return np.asarray(order[nonzero[order]][:n_queries])


def _plans(kind: str, target_recall: float, k: int, by_distance: bool) -> list[_Plan]:
    require_k(k)
    names = ["auto", *KINDS]
    if kind not in names:
        raise ParameterError(f"`kind` must be one of {quote_some(names, 9)}. Got {kind!r}.{closest_hint(str(kind), names)}")
    is_number = isinstance(target_recall, (int, float)) and not isinstance(target_recall, bool)
    if not is_number or not 0 < target_recall <= 1:
        raise ParameterError(f"`target_recall` must be a number above 0 and at most 1. Got {target_recall!r}.")
    reductions = _REDUCTIONS | {"hnsw": ("distance",)} if by_distance else _REDUCTIONS
    return [_Plan(name, reduction) for name in (_AUTO if kind == "auto" else [kind]) for reduction in reductions[name]]


def _fastest_first(
    plans: list[_Plan], sample: Sample, target_recall: float, random_state: int, advance: Callable[..., None]
) -> list[_Plan]:
    """The plans, those first that were fastest at the recall asked for, then those that came nearest to it."""
    if len(plans) == 1:
        return plans
    n_items = len(sample.items)
    items = sample.items
    if n_items > _TRIAL_ITEMS:
        chosen = np.random.default_rng(random_state).choice(n_items, _TRIAL_ITEMS, replace=False)
        items = np.ascontiguousarray(items[np.sort(chosen)])
    # Without what was seen: that is many more of the few items here than of all.
    trial = Sample.of(items, sample.queries, None, sample.k, sample.num_threads)
    left, short = [], []
    for plan in plans:
        advance(note=f"{plan}: trial")
        tuned = _tuned(build_engine(plan.kind, plan.reduction, items, random_state), trial, target_recall)
        if tuned.met:
            left.append((tuned.per_second, plan))
        else:
            short.append((tuned.curve[-1]["recall"], plan))
    order = []
    while left:
        left.remove(fastest := _clearly_fastest(left))
        order.append(fastest[1])
    return order + [plan for _, plan in sorted(short, key=lambda entry: -entry[0])]


def _tuned(engine: Engine, sample: Sample, target_recall: float) -> _Tuned:
    """The fastest breadth and spare, one query at a time, that reach the recall by a standard error on `sample`."""
    n_items, dim = sample.items.shape

    def with_parameters(breadth: int, spare: float) -> ItemIndex:
        return ItemIndex(engine, n_items, dim, breadth, spare, int(np.ceil(spare * sample.k)) + sample.typical_seen)

    def reaches(index: ItemIndex) -> bool:
        shares = sample.recalls(index.top_k)
        return bool(shares.mean() - shares.std() / np.sqrt(len(shares)) >= target_recall)

    breadths = engine.breadths
    spares = [spare for spare in _SPARES if spare * sample.k + sample.typical_seen <= WIDE * n_items] or _SPARES[:1]
    least = _first(lambda place: reaches(with_parameters(breadths[place], spares[-1])), len(breadths))
    fits = []
    for breadth in breadths[least : least + 3]:
        spare = next(spare for spare in spares if spare == spares[-1] or reaches(with_parameters(breadth, spare)))
        index = with_parameters(breadth, spare)
        fits.append((sample.single_per_second(index.top_k), index))
    met = bool(fits)
    per_second, index = _clearly_fastest(fits) if met else (0.0, with_parameters(breadths[-1], spares[-1]))
    curve = [_point(with_parameters(breadth, index.spare), sample) for breadth in breadths if breadth <= index.breadth]
    return _Tuned(index, curve, met, per_second)


def _clearly_fastest(fits: list[tuple[float, Any]]) -> tuple[float, Any]:
    """The first that is nearly as fast as the fastest: times are rough, and a tie should not be settled by them."""
    best = max(speed for speed, _ in fits)
    return next(fit for fit in fits if fit[0] >= 0.8 * best)


def _first(holds: Callable[[int], bool], size: int) -> int:
    """The first of 0 … size - 1 for which `holds`, which once true stays true; `size` if there is none."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def _point(index: ItemIndex, sample: Sample) -> dict[str, Any]:
    return {
        "breadth": index.breadth,
        "spare": index.spare,
        "recall": float(sample.recalls(index.top_k).mean()),
        "single_per_second": sample.single_per_second(index.top_k),
    }


def _record(tuned: _Tuned, sample: Sample, target_recall: float, random_state: int, seconds: float) -> dict[str, Any]:
    """What `ItemIndex.record` holds: all of it measured on queries that the parameters were not chosen by."""
    search = tuned.index.top_k
    shares = sample.recalls(search)
    low, high = interval(shares)
    speeds = {
        "single_per_second": sample.single_per_second(search),
        "batch_per_second": sample.batch_per_second(search),
        "exact_single_per_second": sample.single_per_second(top_k),
        "exact_batch_per_second": sample.batch_per_second(top_k),
    }
    return {
        "k": sample.k,
        "target_recall": target_recall,
        "recall": float(shares.mean()),
        "recall_low": low,
        "recall_high": high,
        "n_queries": len(sample),
        "build_seconds": seconds,
        "bytes": sum(array.nbytes for array in tuned.index.engine.arrays().values()),
        **speeds,
        "advice": advice(**speeds),
        "random_state": random_state,
        "library": f"faiss {load_faiss().__version__}",
        "curve": tuned.curve,
    }


def advice(
    single_per_second: float, batch_per_second: float, exact_single_per_second: float, exact_batch_per_second: float
) -> str:
    """Which search to use for what, and why, in a sentence or two."""
    parts = []
    for what, ours, exact in (
        ("For one query at a time", single_per_second, exact_single_per_second),
        ("For batches", batch_per_second, exact_batch_per_second),
    ):
        ratio = ours / exact
        if ratio > 1:
            parts.append(f"{what} use the index: {ours:,.0f} queries a second, {ratio:.1f} × exact search.")
        else:
            parts.append(f"{what} use exact: {exact:,.0f} queries a second and nothing missed; the index answers {ours:,.0f}.")
    return " ".join(parts)


def _refusal(found: list[tuple[_Plan, _Tuned]], sample: Sample, target_recall: float) -> str:
    per_second = sample.single_per_second(top_k)
    curves = "; ".join(f"{plan}: {curve_in_words(tuned.curve)}" for plan, tuned in found)
    return (
        f"No index reached a recall@{sample.k} of {target_recall:g} on {len(sample):,} queries. {curves}. "
        f"Exact search answers {per_second:,.0f} queries a second. Hint: lower target_recall, or search exactly."
    )
