"""From a model that another library trained to a `Model`: its vectors, our ids and everything that goes by them.

May import trainers and all below. The libraries themselves are never imported: an object says what it is.
"""

from __future__ import annotations

import datetime
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recsys.errors import DataError, ParameterError
from recsys.fold_in import BesideItemBiases, BesideTwoBiases, FoldIn, Rows
from recsys.fold_in.by_features import ByFeatures, to_vectors
from recsys.interactions import Interactions, require_interactions
from recsys.model import Model
from recsys.trainers import ALS, LightFM
from recsys.trainers.base import Factors, facts_of, library_versions

__all__ = ["adopt"]

# Exchanges by which vectors are held against the data, entries below which chance says too much, and the share of exchanges
# lost below which positions are doubted: with vectors in another order it is 0.5, give or take 0.01.
_EXCHANGES, _ENTRIES_TO_JUDGE, _DOUBTFUL = 5000, 200, 0.55


def adopt(model: Any, data: Interactions, *, num_threads: int | None = None) -> Model:
    """A `Model` with the vectors that implicit or lightfm trained: nothing is trained again, scores are that library's own.

        theirs = implicit.als.AlternatingLeastSquares(factors=64)
        theirs.fit(scipy.sparse.csr_matrix(data.to_csr()))
        model = recsys.adopt(theirs, data)
        model.recommend(users=["anna"], k=10)

    model : trained, one of
        implicit.als.AlternatingLeastSquares: folding in, `explain` and `forget` are exact, by the objective that it minimises
            (see `ALS.like_implicit`). Its own sweeps stop short of the minimum and move items last, so what explains a user's
            score sums to the score that folding in the same history gives. Of data with weights below 0, which mean dislikes
            there, there is no folding in, and a warning says so.
        implicit.bpr.BayesianPersonalizedRanking, implicit.lmf.LogisticMatrixFactorization: new rows are folded in as those of
            `BPR` and `LogisticMF` are, by least squares beside the biases.
        lightfm.LightFM without features, or with an identity matrix of features: new users are folded in by its own steps, as
            those of `LightFM` are, for as many passes as that trainer makes by default. A model does not say for how many
            epochs it was trained.
    data : the interactions it was trained on, row u and column i of `data.to_csr()` being its user u and item i.
    num_threads : for fitting the folding in; does not change the result.

    The vectors are copies, (n_users, dim) and (n_items, dim) float32, columns of biases last. provenance says which library
    trained with which hyperparameters on which data, and under "adopted" how far vectors and data agree: of a pair of entries
    (u, i) and (v, j) drawn at random, how often s_ui + s_vj > s_uj + s_vi. Where that is no better than chance the model was
    hardly trained or its positions are not those of the data, and a warning says so.

    Raises `ParameterError` for an object that is no such model, or one that is not trained or lies on a GPU, `DataError` for
    vectors that do not fit the data or are not finite.
    """
    require_interactions(data, "adopt")
    kind = _kind_of(model)
    if getattr(model, kind.trained) is None:
        raise ParameterError(f"The model given to adopt is not trained yet. Hint: model.fit(…) of {kind.name} comes first.")
    users, items = kind.vectors(model)
    _require_shape((len(users), len(items)), data, kind)
    factors = Factors(users, items)
    factors.check(data)
    if data.n_interactions == 0:
        raise DataError("There are no interactions in these data: adopt needs those that the model was trained on.")
    agreement = _agreement(users, items, data)
    if agreement is not None and agreement < _DOUBTFUL:
        _warn_of_positions(agreement)
    method = kind.fold_in(model, factors, data, num_threads)
    return replace(factors, fold_in=method).model(data, _provenance(model, kind, data, agreement))


@dataclass(frozen=True)
class _Kind:
    """What there is to know of a class of models.

    trained : the attribute that is None until the model is trained.
    vectors : the vectors of a model, as copies in the layout of ours.
    fold_in : how new rows are folded in, of (model, vectors, data, num_threads).
    settings : the attributes that are its hyperparameters.
    """

    name: str
    trained: str
    vectors: Callable[[Any], tuple[np.ndarray, np.ndarray]]
    fold_in: Callable[[Any, Factors, Interactions, int | None], FoldIn | None]
    settings: tuple[str, ...]


def _implicit_vectors(model: Any) -> tuple[np.ndarray, np.ndarray]:
    """implicit lays biases out as we do: [x, 1] and [y, b] for BPR, [x, 1, b] and [y, b, 1] for LogisticMF."""
    return np.array(model.user_factors, np.float32), np.array(model.item_factors, np.float32)


def _lightfm_vectors(model: Any) -> tuple[np.ndarray, np.ndarray]:
    rows = (
        np.column_stack([getattr(model, f"{of}_embeddings"), getattr(model, f"{of}_biases")]).astype(np.float32)
        for of in ("user", "item")
    )
    users, items = rows
    return to_vectors(users, "users"), to_vectors(items, "items")


def _least_squares(model: Any, factors: Factors, data: Interactions, num_threads: int | None) -> FoldIn | None:
    if data.n_interactions and data.weights.min() < 0:
        warnings.warn(
            "Weights below 0 mean dislikes to implicit, which can not be folded in here: the adopted model recommends, "
            "without fold_in, explain and recommend_basket.",
            stacklevel=3,
        )
        return None
    # Not by like_implicit(alpha, …): that library trains without regularization too, our trainer does not.
    return replace(ALS.like_implicit().problem, alpha=float(model.alpha), regularization=float(model.regularization))


def _beside(method: type[BesideItemBiases]) -> Callable[[Any, Factors, Interactions, int | None], FoldIn]:
    def fitted(model: Any, factors: Factors, data: Interactions, num_threads: int | None) -> FoldIn:
        by_user, by_item = Rows.of(data, "users"), Rows.of(data, "items")
        return method.fitted(factors.users, factors.items, by_user, by_item, num_threads)

    return fitted


def _steps(model: Any, factors: Factors, data: Interactions, num_threads: int | None) -> FoldIn:
    descent = replace(
        LightFM().descent,
        loss=str(model.loss),
        schedule=str(model.learning_schedule),
        learning_rate=float(model.learning_rate),
        # lightfm shrinks the vectors of all users at each step, our steps those of their own user.
        user_regularization=float(model.user_alpha) * int(np.count_nonzero(data.user_counts)),
        max_sampled=int(model.max_sampled),
        kth_positive=int(model.k),
        positives_sampled=int(model.n),
    )
    nothing = np.empty((0, factors.users.shape[1] - 1), np.float32)
    return ByFeatures(nothing, nothing, vars(descent))


_DESCENT = ("factors", "learning_rate", "regularization", "iterations", "random_state")
_KINDS: Mapping[tuple[str, str], _Kind] = {
    ("implicit.cpu.als", "AlternatingLeastSquares"): _Kind(
        "implicit.als", "user_factors", _implicit_vectors, _least_squares,
        ("factors", "regularization", "alpha", "iterations", "use_cg", "cg_steps", "random_state"),
    ),
    ("implicit.cpu.bpr", "BayesianPersonalizedRanking"): _Kind(
        "implicit.bpr", "user_factors", _implicit_vectors, _beside(BesideItemBiases), (*_DESCENT, "verify_negative_samples"),
    ),
    ("implicit.cpu.lmf", "LogisticMatrixFactorization"): _Kind(
        "implicit.lmf", "user_factors", _implicit_vectors, _beside(BesideTwoBiases), (*_DESCENT, "neg_prop"),
    ),
    ("lightfm.lightfm", "LightFM"): _Kind(
        "lightfm.LightFM", "user_embeddings", _lightfm_vectors, _steps,
        ("no_components", "k", "n", "learning_schedule", "loss", "learning_rate", "rho", "epsilon", "item_alpha", "user_alpha",
         "max_sampled", "random_state"),
    ),
}  # fmt: skip


def _kind_of(model: Any) -> _Kind:
    """Raises `ParameterError` with the next step for what can not be adopted."""
    lineage = [(kind.__module__, kind.__qualname__) for kind in type(model).__mro__]
    for place in lineage:
        if place in _KINDS:
            return _KINDS[place]
    modules = [module for module, _ in lineage]
    named = f"{modules[0]}.{type(model).__qualname__}"
    if any(module.startswith("implicit.gpu") for module in modules):
        raise ParameterError(f"adopt takes models on the CPU. Got {named}. Hint: adopt(model.to_cpu(), data).")
    known = "AlternatingLeastSquares, BayesianPersonalizedRanking, LogisticMatrixFactorization of implicit, or lightfm.LightFM"
    hint = ""
    if any(module.startswith("implicit.ann") for module in modules):
        hint = " Hint: adopt(model.model, data) takes the model inside; build_index makes it approximate."
    elif "implicit.nearest_neighbours" in modules:
        hint = " Hint: it has no vectors; recsys.ItemKNN().fit(data) is a model of that kind."
    raise ParameterError(f"adopt takes a trained {known}. Got {named}.{hint}")


def _require_shape(shape: tuple[int, int], data: Interactions, kind: _Kind) -> None:
    """Raises `DataError` unless the model has as many users and items as the data."""
    if shape == data.shape:
        return
    there, here = (f"{n_users:,} users and {n_items:,} items" for n_users, n_items in (shape, data.shape))
    message = f"The model has {there}, the data have {here}"
    if shape == data.shape[::-1]:
        raise DataError(f"{message}: was it trained on the transposed matrix? Hint: fit takes users × items, data.to_csr().")
    if kind.name.startswith("lightfm"):
        raise DataError(
            f"{message}, counted by the rows of its embeddings. Hint: give the interactions it was trained on; a model that "
            "was trained with features can not be adopted, recsys.LightFM trains with them."
        )
    raise DataError(f"{message}. Hint: give the interactions whose to_csr() it was trained on.")


def _agreement(users: np.ndarray, items: np.ndarray, data: Interactions) -> float | None:
    """How often a pair of entries scores higher as it is than with its items exchanged; None where there is little to go by.

    Biases of users and items, and so popularity, are on both sides of that comparison: only what joins users to items counts.
    """
    entries = np.flatnonzero(data.weights > 0)
    if len(entries) < _ENTRIES_TO_JUDGE:
        return None
    drawn = np.random.default_rng(0).choice(entries, (2, _EXCHANGES))
    rows = np.searchsorted(data.indptr, drawn, side="right") - 1
    # (x_u - x_v) · (y_i - y_j) is what the exchange loses.
    ours, theirs = users[rows].astype(np.float64), items[data.indices[drawn]].astype(np.float64)
    lost = np.einsum("ij,ij->i", ours[0] - ours[1], theirs[0] - theirs[1])
    return float(np.mean((lost > 0) + 0.5 * (lost == 0)))


def _warn_of_positions(agreement: float) -> None:
    warnings.warn(
        f"The model hardly tells what a user has from what another has: of pairs of entries {agreement:.0%} score higher as "
        "they are than with their items exchanged, and chance gives 50%. Hint: was it trained on data.to_csr(), with users and "
        "items in the same positions, and for long enough?",
        stacklevel=3,
    )


def _provenance(model: Any, kind: _Kind, data: Interactions, agreement: float | None) -> dict[str, Any]:
    library = kind.name.partition(".")[0]
    settings = {name: getattr(model, name, None) for name in kind.settings}
    # Of a seed that is a generator nothing can be kept.
    plain = {name: value for name, value in settings.items() if value is None or isinstance(value, (bool, int, float, str))}
    return {
        "trainer": kind.name,
        "hyperparameters": plain,
        "data": facts_of(data),
        "adopted": {
            "class": f"{type(model).__module__}.{type(model).__qualname__}",
            "agreement": None if agreement is None else round(agreement, 4),
            "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        },
        # The module is there: the object comes from it.
        "versions": library_versions() | {library: str(getattr(sys.modules.get(library), "__version__", "unknown"))},
    }
