"""Training and judging in one call: cross-validation over any splits, and users that the model was not trained on.

May import errors, interactions, split, model, trainers, progress and the rest of this folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from typing import Any, Protocol

import numpy as np
import pandas as pd

from recsys import split
from recsys.errors import DataError, ParameterError, quote_some
from recsys.evaluation.protocol import evaluate
from recsys.evaluation.ranker import Ranker
from recsys.evaluation.result import EvaluationResult
from recsys.interactions import Interactions, require_interactions
from recsys.model import RankingModel
from recsys.progress import show_progress
from recsys.split import Split
from recsys.trainers import Trainer

__all__ = ["CrossValidation", "Fits", "cross_validate", "evaluate_new_users"]

DEFAULT_METRICS = ("recall@20", "ndcg@20")


class Fits(Protocol):
    """Anything that trains: `recsys.trainers.Trainer`, or a class of one's own."""

    def fit(self, train: Interactions, /) -> Ranker:
        """A model of `train`; its `fold_in` is needed where whole users are held out."""


def cross_validate(
    trainer: Fits,
    data: Interactions,
    metrics: str | Iterable[str] = DEFAULT_METRICS,
    *,
    by: int | Iterable[Split] = 5,
    exclude_seen: bool = True,
    overlap: str = "raise",
    confidence: float = 0.95,
    random_state: int = 0,
    num_threads: int | None = None,
    progress: bool = False,
) -> CrossValidation:
    """Trains on the train part of every split, judges on its test part, and pools what was found user by user.

        recsys.cross_validate(recsys.ALS(), data, by=5)                                                      # five folds
        recsys.cross_validate(recsys.ALS(), data, by=recsys.split.rolling(data, periods=4, length="7D"))     # week by week

    by : a number of folds for `recsys.split.k_folds`, or any splits of `data`. Splits that hold out whole users are judged
        after folding in, as in `evaluate_new_users`.
    random_state : of the folds, when `by` is their number, and of the intervals; the trainer has its own.
    exclude_seen, overlap, confidence, num_threads : as in `recsys.evaluate`.

    A split is made, trained on, judged and let go before the next, so that memory holds one at a time (when `by` is a number
    or a generator). All trainings have the same settings; where these were chosen on the same data, the result looks better
    than it is.

    How values are pooled stands at `CrossValidation`. Raises `ParameterError` when `by` yields no splits or something else,
    `DataError` for splits of other data, and what the splits, the trainer and `recsys.evaluate` raise.
    """
    require_interactions(data, "cross_validate")
    _require_fit(trainer, "cross_validate")
    folds, n_train = [], []
    splits, total = _splits(data, by, random_state)
    with show_progress("Cross-validating", total, enabled=progress) as advance:
        while (part := next(splits, None)) is not None:
            _check_part(part, data)
            model, _ = _model_for(part, trainer.fit(part.train), num_threads)
            result = evaluate(
                model, part.test, metrics, exclude_seen=exclude_seen, overlap=overlap, confidence=confidence,
                random_state=random_state, num_threads=num_threads,
            )  # fmt: skip
            # What slices are made of holds the vectors and the history of the model.
            folds.append(replace(result, basis=None))
            n_train.append(len(part.train))
            # Let go before the next split is made.
            del part, model, result
            advance(1)
    if not folds:
        raise ParameterError("`by` yields no splits. Hint: a generator of splits can be gone through once; make it anew.")
    return CrossValidation(tuple(folds), tuple(n_train), getattr(trainer, "name", type(trainer).__name__))


@dataclass(frozen=True, eq=False, repr=False)
class CrossValidation:
    """What `recsys.cross_validate` found. Immutable.

    folds : the result of each split.
    n_train : on how many entries each was trained.
    trainer : its name.

    The unit is the user. `pooled` holds one value for each user who was judged at least once: the mean over the folds that
    judge this user. So a user counts once, however many folds there are, and intervals come from drawing users, each with all
    that is known of them; drawing the values of single folds as if they were independent would make intervals too narrow
    (the bootstrap of clusters: Davison & Hinkley 1997, "Bootstrap Methods and their Application", section 3.8; Field & Welsh
    2007, "Bootstrapping clustered data"). The intervals speak of other users like these under the same models. How much would
    change with other training data they do not say: the models share most of theirs, and from one cross-validation that can
    not be estimated without bias (Bengio & Grandvalet 2004, "No unbiased estimator of the variance of k-fold
    cross-validation").
    """

    folds: tuple[EvaluationResult, ...]
    n_train: tuple[int, ...]
    trainer: str

    @cached_property
    def pooled(self) -> EvaluationResult:
        """One value a user and metric, as an `EvaluationResult` that `recsys.compare` takes.

        A metric over all lists ("coverage@20") is the mean of the folds' numbers. Counts are sums over folds: a user who was
        left out twice is counted twice. There are no slices: models are let go.
        """
        users = self.folds[0].users
        for fold in self.folds[1:]:
            users = users.extended(fold.users)
        totals, times = (np.zeros((len(users), len(self.folds[0].metrics))) for _ in range(2))
        for fold in self.folds:
            rows, has_value = users.positions(fold.users), ~np.isnan(fold.values)
            totals[rows] += np.where(has_value, fold.values, 0)
            times[rows] += has_value
        counts = {name: sum(fold.counts.get(name, 0) for fold in self.folds) for name in self.folds[0].counts}
        return EvaluationResult(
            users=users,
            metrics=self.folds[0].metrics,
            values=_mean_values(totals, times),
            counts=counts,
            provenance=self._provenance(),
            confidence=self.folds[0].confidence,
            random_state=self.folds[0].random_state,
            overall={name: float(np.mean([fold.overall[name] for fold in self.folds])) for name in self.folds[0].overall},
        )

    def _provenance(self) -> dict[str, Any]:
        """That of the first fold, without what belongs to it alone."""
        first = self.folds[0].provenance
        model = {name: first["model"][name] for name in ("trainer", "hyperparameters", "versions") if name in first["model"]}
        tests = [fold.provenance["test"] for fold in self.folds]
        cut = tests[0].get("split", {})
        together = hashlib.sha256("".join(test["fingerprint"] for test in tests).encode()).hexdigest()
        test = {"fingerprint": together, "split": {name: cut[name] for name in ("by", "of") if name in cut}}
        pooling = {"folds": len(self.folds), "pooling": "each user's values averaged over the folds that judge the user"}
        return {"model": model, "test": test, "evaluation": {**first["evaluation"], **pooling}}

    @property
    def per_fold(self) -> pd.DataFrame:
        """One row a split: fold (from 1), n_train and n_test entries, n_users judged, n_users_unknown to the model and left
        out, and the mean of each metric over those judged.

        Splits by time also have `begin` and `end`, the period that was tested on.
        """
        rows = []
        for number, (fold, n_train) in enumerate(zip(self.folds, self.n_train, strict=True), 1):
            cut = fold.provenance["test"].get("split", {})
            period = {name: pd.Timestamp(cut[name]) for name in ("begin", "end") if name in cut}
            sizes = {"n_train": n_train, "n_test": fold.counts["pairs_in_test"], "n_users": len(fold.users)}
            sizes["n_users_unknown"] = fold.counts["users_unknown"]
            means = _mean_values(np.nansum(fold.values, axis=0), (~np.isnan(fold.values)).sum(axis=0))
            rows.append({"fold": number, **period, **sizes, **dict(zip(fold.metrics, means, strict=True)), **fold.overall})
        return pd.DataFrame(rows)

    def summary(self) -> pd.DataFrame:
        """That of `pooled`, one row a metric: metric, mean, low, high, n_users; and fold_std.

        fold_std is the standard deviation of the folds' means (n - 1 below the line), NaN for one fold. It shows how even the
        folds are, or how steady a model is over time; it is no standard error of the mean.
        """
        table, folds = self.pooled.summary(), self.per_fold
        return table.assign(fold_std=[float(folds[name].std()) for name in table["metric"]])

    def to_dict(self) -> dict[str, Any]:
        """Everything but the rows of the users, ready for JSON: the pooled result, and each fold's."""
        pooled, table = self.pooled.to_dict(), self.per_fold
        for name, row in pooled["metrics"].items():
            spread = float(table[name].std())
            row["fold_std"] = None if np.isnan(spread) else spread
        folds = [{"n_train": n, **fold.to_dict()} for n, fold in zip(self.n_train, self.folds, strict=True)]
        return {"trainer": self.trainer, **pooled, "folds": folds}

    def _heading(self) -> str:
        confidence = 100 * self.pooled.confidence
        return (
            f"CrossValidation of {self.trainer}: {len(self.folds)} {'split' if len(self.folds) == 1 else 'splits'}, "
            f"{len(self.pooled.users):,} users, means with {confidence:g} % intervals over users"
        )

    def __repr__(self) -> str:
        tables = (table.to_string(index=False, float_format="{:.4f}".format) for table in (self.summary(), self.per_fold))
        return "\n".join([self._heading(), *tables])

    def _repr_html_(self) -> str:
        tables = (
            table.to_html(index=False, float_format="{:.4f}".format, border=0) for table in (self.summary(), self.per_fold)
        )
        return f"<p>{escape(self._heading())}</p>{''.join(tables)}"


def evaluate_new_users(
    model: Fits | RankingModel,
    parts: Split,
    metrics: str | Iterable[str] = DEFAULT_METRICS,
    *,
    exclude_seen: bool = True,
    overlap: str = "raise",
    confidence: float = 0.95,
    random_state: int = 0,
    num_threads: int | None = None,
    progress: bool = False,
) -> EvaluationResult:
    """How well users are served whom the model was not trained on: it is shown a part of what they did and judged on the rest.

        parts = recsys.split.users(data)
        recsys.evaluate_new_users(recsys.ALS(), parts, ["recall_capped@20", "recall_capped@50", "ndcg@100"])

    The protocol of Liang et al. 2018 ("Variational Autoencoders for Collaborative Filtering", section 4.1): train on `train`,
    fold in the held-out users by their `fold_in` entries, leave these out of the lists, judge on `test`. What that paper calls
    recall is our recall_capped.

    model : a trainer, which is trained on `parts.train`, or a model that was trained before and knows none of the users.
    parts : from `recsys.split.users`, or any `Split` that has a fold-in part.
    The other arguments are those of `recsys.evaluate`.

    counts["fold_in_pairs_with_unknown_items"] of the result says how many fold-in entries could not be used because the model
    does not know their items; users of whom nothing is left are among the users_unknown.

    Raises `ParameterError` for a split without fold-in, `DataError` when the model knows a held-out user already, and what
    `Model.fold_in` and `recsys.evaluate` raise.
    """
    if not isinstance(parts, Split) or parts.fold_in is None:
        got = type(parts).__name__ if not isinstance(parts, Split) else "a split without one"
        raise ParameterError(
            f"evaluate_new_users takes a Split with a fold-in part. Got {got}. Hint: recsys.split.users(data) makes one."
        )
    if isinstance(model, RankingModel):
        trained: Ranker = model
    else:
        _require_fit(model, "evaluate_new_users")
        trained = model.fit(parts.train, progress=progress) if isinstance(model, Trainer) else model.fit(parts.train)
    knowing, left_out = _model_for(parts, trained, num_threads)
    result = evaluate(
        knowing, parts.test, metrics, exclude_seen=exclude_seen, overlap=overlap, confidence=confidence,
        random_state=random_state, num_threads=num_threads, progress=progress,
    )  # fmt: skip
    return replace(result, counts={**result.counts, "fold_in_pairs_with_unknown_items": left_out})


def _mean_values(totals: np.ndarray, times: np.ndarray) -> np.ndarray:
    """totals / times, NaN where there is nothing to average."""
    return np.asarray(np.divide(totals, times, out=np.full(totals.shape, np.nan), where=times > 0))


# ---- what both share --------------------------------------------------------------------------------------------


def _require_fit(trainer: Any, function: str) -> None:
    if not callable(getattr(trainer, "fit", None)):
        raise ParameterError(f"{function} takes a trainer such as recsys.ALS(). Got {type(trainer).__name__}.")


def _model_for(parts: Split, model: Ranker, num_threads: int | None) -> tuple[Ranker, int]:
    """`model` as it stands where the split has no fold-in part; else one that knows the held-out users, and how many of their
    entries could not be used."""
    if parts.fold_in is None:
        return model, 0
    for part in (parts.fold_in, parts.test):
        known = part.users.positions(model.users, unknown="ignore")
        if (known >= 0).any():
            ids = part.users.ids_at(known[known >= 0]).to_pylist()
            raise DataError(
                f"The model was trained on {len(ids):,} of the held-out users ({quote_some(ids, 3)}): they are not new to it. "
                "Hint: train on the split's train part."
            )
    if not isinstance(model, RankingModel):
        raise ParameterError(f"Held-out users need a recsys model, which can fold them in. Got {type(model).__name__}.")
    folded = model.fold_in(parts.fold_in, unknown="skip", num_threads=num_threads)
    return folded, int(folded.provenance["folded_in"]["left_out"])


def _splits(data: Interactions, by: int | Iterable[Split], random_state: int) -> tuple[Iterator[Split], int | None]:
    """The splits, and how many there are where that is known."""
    if isinstance(by, (int, np.integer)) and not isinstance(by, bool):
        return split.k_folds(data, folds=int(by), random_state=random_state), int(by)
    if isinstance(by, (bool, str, bytes, Split, Mapping)) or not isinstance(by, Iterable):
        hint = " Hint: one split is given as [split]." if isinstance(by, Split) else ""
        raise ParameterError(f"`by` must be a number of folds or several splits. Got {type(by).__name__}.{hint}")
    return iter(by), len(by) if isinstance(by, (list, tuple)) else None


def _check_part(part: Any, data: Interactions) -> None:
    """Raises `ParameterError` for what is no split, `DataError` for a split of other data."""
    if not isinstance(part, Split):
        raise ParameterError(f"`by` must yield recsys.split.Split. Got {type(part).__name__}.")
    origin = part.test.provenance.get("split", {}).get("of", data.fingerprint)
    if origin != data.fingerprint:
        raise DataError("`by` holds splits of other data than those given. Hint: make them from the same Interactions.")
