"""`tradeoff`: a model compressed in many ways, each ranked and judged beside the whole one. May import what the room may."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace

import numpy as np

from recsys.embeddings import drift
from recsys.embeddings.compression import CompressedEmbeddings, Compression
from recsys.embeddings.compression.coded import STORAGES, require_storage
from recsys.embeddings.compression.subspaces import CENTRES
from recsys.errors import DataError, ParameterError
from recsys.evaluation import METRICS, EvaluationResult, evaluate, parse_metrics
from recsys.evaluation.intervals import check_confidence, mean_intervals, ratio_intervals
from recsys.evaluation.protocol import require_whole
from recsys.interactions import Interactions, require_interactions
from recsys.kernels.dense import row_blocks
from recsys.model import Model
from recsys.progress import show_progress
from recsys.retrieval import RankedLists
from recsys.sizing.result import Measured, Tradeoff
from recsys.sizing.stands_for import sizes_of_data

__all__ = ["tradeoff"]

_SMALLEST = 8
_TIMED_USERS, _TIMED_RUNS = 1000, 3
_COMPARED_LISTS = 4096


def tradeoff(
    model: Model,
    test: Interactions,
    *,
    dimensions: Iterable[int] | None = None,
    storages: Iterable[str] | None = None,
    metric: str = "ndcg@20",
    max_loss: float = 0.01,
    overlap: str = "raise",
    rescore: str | None = None,
    oversample: float | None = None,
    sample: int | None = None,
    confidence: float = 0.95,
    random_state: int = 0,
    num_threads: int | None = None,
    progress: bool = False,
) -> Tradeoff:
    """What `model` loses in smaller sizes, and the smallest size whose loss is small enough for sure.

        found = recsys.tradeoff(model, validation, max_loss=0.01)
        small = found.apply(model)                  # and found.table(), found.plot("sizes.png"), found.sizes

    dimensions : how many to try; by default 8, 16, 32 … and all, and a little fewer than all.
    storages : which to try, of "float32", "float16", "int8", "int4", "pq", "binary"; all by default.
    metric : by which a loss is measured: one of how relevant items are ranked, with a cut-off.
    max_loss : the share of the whole model's metric that may be lost. A size is within it when the *upper end* of the loss's
        interval is: what may be a larger loss is not taken. The interval is of the ratio Σ differences / Σ values of the whole
        model over users drawn again (BCa bootstrap), so a test set of few users allows few sizes.
    overlap : as in `recsys.evaluate`.
    rescore, oversample : as in `Model.compress`, for all sizes; bytes do not count the originals.
    sample : judge by so many test users, drawn at random; None for all of them.
    random_state : of what is drawn, of turns and codebooks. Only `queries_per_second` depends on more.

    Sizes are compared and the smallest is picked on the same data, so pick on validation data, and let a test set that had no
    part in it say what the picked one loses. "pq" is left out where users or items are too few to learn from.

    Raises `ParameterError` for a bad argument, `DataError` when the whole model's metric is 0 or fewer than 2 users are left.
    """
    require_interactions(test, "tradeoff")
    if not isinstance(model, Model):
        raise ParameterError(f"`model` must be a Model with embeddings. Got {type(model).__name__}.")
    _require_loss(max_loss)
    judge = _Judge(model, test, _require_metric(metric), overlap, check_confidence(confidence), random_state, num_threads)
    judge = judge.of_sample(sample)
    # Signs have a use for `oversample` whatever is kept beside them.
    base = Compression(storage="binary", rescore=rescore, oversample=oversample, random_state=random_state)
    tried = _tried(model, dimensions, storages, rescore)
    with show_progress("Sizes", len(tried) + 1, enabled=progress) as advance:
        whole = judge.ranked(model)
        advance(1)
        if not whole.values[:, 0].mean() > 0:
            raise DataError(f"The model's {metric} is 0 on this test data: no share of it can be lost.")
        found = [_measured(model, judge, whole, base.of_size(*setting), advance) for setting in tried]
    return _gathered(model, judge, whole, found, max_loss, base)


@dataclass(frozen=True)
class _Tried:
    """A size that was ranked."""

    settings: Compression
    bytes_per_id: float
    values: np.ndarray
    recall: float
    speed: float


@dataclass(frozen=True)
class _Judge:
    """How every size is judged."""

    model: Model
    test: Interactions
    metric: str
    overlap: str
    confidence: float
    random_state: int
    num_threads: int | None

    def of_sample(self, sample: int | None) -> _Judge:
        """By the pairs of so many test users alone."""
        if sample is None:
            return self
        wanted = require_whole(sample, "sample", 2)
        chosen = np.zeros(self.test.n_users, np.bool_)
        chosen[np.random.default_rng(self.random_state).permutation(self.test.n_users)[:wanted]] = True
        return replace(self, test=self.test.select(chosen[self.test.row_positions()]))

    def ranked(self, model: Model) -> EvaluationResult:
        """The metric of each user, and the lists."""
        result = evaluate(
            model, self.test, [self.metric], overlap=self.overlap, keep_lists=True, num_threads=self.num_threads,
            random_state=self.random_state,
        )  # fmt: skip
        if len(result.users) < 2:
            raise DataError(
                f"A trade-off needs at least 2 test users, since it is about their spread. Got {len(result.users)}."
            )
        return result

    def speed(self, model: Model, result: EvaluationResult) -> float:
        """Lists a second, the best of a few runs."""
        users = model.users.positions(result.users)[:_TIMED_USERS]
        depth = int(self.metric.partition("@")[2])
        best = np.inf
        for _ in range(_TIMED_RUNS):
            start = time.perf_counter()
            model.rank(users, depth, num_threads=self.num_threads)
            best = min(best, time.perf_counter() - start)
        return len(users) / best


def _require_loss(max_loss: float) -> None:
    number = isinstance(max_loss, (int, float)) and not isinstance(max_loss, bool)
    if not number or not 0 <= max_loss < 1:
        hint = " Hint: 1 % is written 0.01." if number and 1 <= max_loss <= 100 else ""
        raise ParameterError(f"`max_loss` must be a number from 0 to below 1. Got {max_loss!r}.{hint}")


def _require_metric(metric: str) -> str:
    parsed = parse_metrics(metric)
    definition = parsed[0].definition
    if len(parsed) != 1 or not definition.of_relevant or not definition.has_cutoff:
        known = [name for name, about in METRICS.items() if about.of_relevant and about.has_cutoff]
        raise ParameterError(f"`metric` must be one of {', '.join(known)}, with a cut-off such as ndcg@20. Got {metric!r}.")
    return str(parsed[0])


def _tried(
    model: Model, dimensions: Iterable[int] | None, storages: Iterable[str] | None, rescore: str | None
) -> list[tuple[int, str]]:
    """Dimensions and storage of each size to try, but for the whole model's own."""
    full = model.item_embeddings.dim - _kept(model)
    if full < 1:
        raise ParameterError("A model with biases alone has no dimensions to compress.")
    sizes = _ladder(full) if dimensions is None else sorted({require_whole(d, "dimensions", 1) for d in dimensions})
    kinds = list(STORAGES if storages is None else dict.fromkeys(storages))
    for kind in kinds:
        require_storage(kind)
    if not sizes or not kinds:
        raise ParameterError("`dimensions` and `storages` need at least one entry each.")
    if sizes[-1] > full:
        raise ParameterError(f"`dimensions` must be from 1 to the {full} that there are. Got {sizes[-1]}.")
    if storages is None and min(len(model.users), len(model.items)) < CENTRES:
        kinds.remove("pq")
    adds_nothing = ("float32", rescore or "float32")
    return [(size, kind) for size in sizes for kind in kinds if size < full or kind not in adds_nothing]


def _ladder(full: int) -> list[int]:
    """8, 16, 32 … and all; near the end finer, where good models differ."""
    powers = [2**n for n in range(3, full.bit_length()) if 2**n < full]
    near = [full * 3 // 4, full * 7 // 8, full * 31 // 32] if full >= 4 * _SMALLEST else []
    return sorted({*powers, *near, full})


def _measured(
    model: Model, judge: _Judge, whole: EvaluationResult, settings: Compression, advance: Callable[..., None]
) -> _Tried:
    small = model.compress(**asdict(settings), num_threads=judge.num_threads)
    result = judge.ranked(small)
    advance(1, f"{settings.dimensions} × {settings.storage}")
    return _Tried(
        settings, _bytes_per_id(small), result.values[:, 0], _recall(whole.lists, result.lists), judge.speed(small, result)
    )


def _bytes_per_id(model: Model) -> float:
    sides = (model.user_embeddings, model.item_embeddings)
    total = sum(side.n_bytes if isinstance(side, CompressedEmbeddings) else side.vectors.nbytes for side in sides)
    return total / (len(model.users) + len(model.items))


def _recall(whole: RankedLists | None, lists: RankedLists | None) -> float:
    """The mean share of the whole model's lists that is found again; users for whom nothing is left do not count."""
    if whole is None or lists is None:
        return float("nan")
    parts = [
        drift.overlap(*(_ended(side, rows) for side in (whole, lists))) for rows in row_blocks(len(whole), _COMPARED_LISTS)
    ]
    shares = np.concatenate(parts)
    return float(np.nanmean(shares)) if not np.isnan(shares).all() else 1.0


def _ended(lists: RankedLists, rows: slice) -> np.ndarray:
    positions = lists.positions[rows]
    return np.where(np.arange(positions.shape[1]) < lists.counts[rows, None], positions, drift.ENDED)


def _gathered(
    model: Model, judge: _Judge, whole: EvaluationResult, found: list[_Tried], max_loss: float, base: Compression
) -> Tradeoff:
    own = Compression(model.item_embeddings.dim - _kept(model), "float32")
    first = _Tried(own, _bytes_per_id(model), whole.values[:, 0], 1.0, judge.speed(model, whole))
    rows = _rows([first, *found], judge, max_loss)
    rows[1:] = sorted(rows[1:], key=lambda row: -row.bytes_per_id)
    picked = min((row for row in rows if row.within), key=lambda row: (row.bytes_per_id, row.loss))
    n_ids = len(model.users) + len(model.items)
    sizes = sizes_of_data(model.history) | {
        "vectors, float32": round(first.bytes_per_id * n_ids),
        f"vectors, {picked.storage} of {picked.dimensions} dimensions": round(picked.bytes_per_id * n_ids),
    }
    about = {"model": dict(model.provenance), "test": {"fingerprint": judge.test.fingerprint, **judge.test.provenance}}
    return Tradeoff(tuple(rows), picked, judge.metric, max_loss, judge.confidence, len(whole.users), sizes, base, about)


def _rows(tried: list[_Tried], judge: _Judge, max_loss: float) -> list[Measured]:
    """What was found of each size; the first is the whole model, which loses nothing."""
    values = np.stack([one.values for one in tried], axis=1)
    whole, losses = values[:, 0], values[:, :1] - values
    low, high = mean_intervals(values, judge.confidence, np.random.default_rng(judge.random_state))
    loss_low, loss_high = ratio_intervals(losses, whole, judge.confidence, np.random.default_rng(judge.random_state))
    loss, means = losses.sum(axis=0) / whole.sum(), values.mean(axis=0)
    return [
        Measured(
            dimensions=one.settings.dimensions or 0,
            storage=one.settings.storage,
            bytes_per_id=one.bytes_per_id,
            share=one.bytes_per_id / tried[0].bytes_per_id,
            recall=one.recall,
            value=float(means[n]),
            low=float(low[n]),
            high=float(high[n]),
            loss=float(loss[n]),
            loss_low=float(loss_low[n]),
            loss_high=float(loss_high[n]),
            queries_per_second=one.speed,
            within=bool(loss_high[n] <= max_loss),
        )
        for n, one in enumerate(tried)
    ]


def _kept(model: Model) -> int:
    return 0 if model.fold_in_method is None else model.fold_in_method.bias_columns
