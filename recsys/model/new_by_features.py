"""New users and items of a model by their features alone. May import features, fold_in, embeddings, interactions."""

from __future__ import annotations

from typing import Any

import numpy as np

from recsys.embeddings import Embeddings
from recsys.errors import DataError, InputError, ParameterError, UnknownIdError, quote_some
from recsys.features import Features
from recsys.fold_in import ByFeatures, FoldIn
from recsys.interactions import Interactions

__all__ = ["grown_by_features"]


def grown_by_features(
    given: Any, known: Embeddings, history: Interactions, method: FoldIn | None, trainer: str, of: str, unknown: str
) -> tuple[Embeddings, Interactions]:
    """`known`, the embeddings of one side, followed by those ids of `given` that are not there, and the history with these.

    given : Features in the columns that were trained on, or a table that is read in these; `of`: "users" or "items".
    unknown : "raise" names new ids without any feature that was trained on, "skip" leaves them out.
    """
    if unknown not in ("raise", "skip"):
        raise ParameterError(f"`unknown` must be 'raise' or 'skip'. Got {unknown!r}.")
    trained = history.user_features if of == "users" else history.item_features
    table = _table(method, of)
    if not isinstance(method, ByFeatures) or trained is None or not len(table):
        raise InputError(
            f"A model of the trainer {trainer!r} that was trained without features of {of} can not know new {of} by them. "
            f"Hint: recsys.LightFM().fit(data.with_features({of}=recsys.Features.from_table(…)))."
        )
    features = given if isinstance(given, Features) else trained.like(given)
    if features.columns != trained.columns:
        raise DataError(
            f"These features are not those that the model was trained on: {quote_some(features.names)} here, "
            f"{quote_some(trained.names)} there. Hint: give the table itself, or features.like(table) of the training."
        )
    new = features.take(np.flatnonzero(known.ids.positions(features.ids, unknown="ignore") < 0))
    if not len(new):
        raise UnknownIdError(f"The model knows all {of} of the features already; there is none to add.")
    placed = np.asarray(new.to_csr() @ np.asarray(table.any(axis=1), np.float32)) > 0
    if unknown == "skip" and placed.any():
        new = new.take(np.flatnonzero(placed))
    elif not placed.all():
        bare = new.ids.subset(np.flatnonzero(~placed))
        raise DataError(
            f"Nothing is known of {len(bare):,} of {len(new):,} new {of}, which have no feature that was trained on: "
            f"{quote_some(bare.to_arrow().to_pylist())}. Hint: unknown='skip' leaves them out."
        )
    ids = known.ids.extended(new.ids)
    grown = Embeddings(ids, np.vstack([known.vectors, method.from_features(new, of)]), known.provenance)
    features_of_all = trained.followed_by(new)
    if of == "users":
        return grown, history.with_ids(users=ids).with_features(users=features_of_all)
    return grown, history.with_ids(items=ids).with_features(items=features_of_all)


def _table(method: FoldIn | None, of: str) -> np.ndarray:
    if not isinstance(method, ByFeatures):
        return np.empty((0, 0), np.float32)
    return method.user_table if of == "users" else method.item_table
