"""Checks of what a model is good for: the same twice, evaluation, new users, reasons. May import everything below jobs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from recsys.errors import InputError
from recsys.evaluation import evaluate
from recsys.interactions import Interactions
from recsys.model import Model
from recsys.split import random as random_split
from recsys.testing.lists import pairs_of, require_lists
from recsys.testing.logs import taste_groups
from recsys.testing.promises import Case, keep, promise
from recsys.trainers.base import setting_names

__all__: list[str] = []


@promise
def fitting_twice_gives_the_same_model(case: Case) -> None:
    """The same seed and data give the same bytes, whatever was trained in between."""
    case.trainer.fit(taste_groups(seed=1))
    again = case.trainer.fit(case.data)
    keep(again.fingerprint == case.model.fingerprint, "a second fit on the same data gave another model")
    keep(again.recommend(k=5).equals(case.model.recommend(k=5)), "a second fit on the same data gave other lists")


@promise
def threads_change_nothing(case: Case) -> None:
    """One thread and three give the same bytes, where the trainer has num_threads."""
    if "num_threads" not in setting_names(type(case.trainer)):
        return
    one, three = (replace(case.trainer, num_threads=n).fit(case.data) for n in (1, 3))  # type: ignore[call-arg]
    keep(one.fingerprint == three.fingerprint, "num_threads=1 and num_threads=3 gave different models")


@promise
def the_model_is_evaluated(case: Case) -> None:
    """recsys.evaluate judges the model, and its values lie between 0 and 1."""
    parts = random_split(case.data, test_fraction=0.2, random_state=0)
    values = evaluate(case.trainer.fit(parts.train), parts.test, metrics=["recall@5", "ndcg@5"]).summary()["mean"]
    keep(((values >= 0) & (values <= 1)).all(), f"recall and NDCG were {values.tolist()}")


@promise
def new_users_are_folded_in_or_refused(case: Case) -> None:
    """fold_in gives a new model that knows new users and keeps the old one; or one sentence says that it can not."""
    before = case.model.fingerprint
    events = _of_new_users(case.data)
    try:
        grown = case.model.fold_in(events)
    except InputError as error:
        keep(case.trainer.name in str(error), f"the refusal does not name the trainer: {error}")
        return
    keep(case.model.fingerprint == before, "fold_in changed the model it was called on")
    keep(
        grown.users.to_numpy().tolist() == [*case.data.users.to_numpy(), *events.users.to_numpy()],
        "ids did not grow at the end",
    )
    table = grown.recommend(events.users.to_numpy(), k=5)
    require_lists(grown, table, 5)
    keep(len(table) == 5 * events.n_users, "new users did not get full lists")
    leaked = pairs_of(events) & set(zip(table["user_id"], table["item_id"], strict=True))
    keep(not leaked, f"{next(iter(leaked), None)} was folded in and is recommended")
    old = case.data.users.to_numpy()[:5]
    keep(grown.recommend(old, k=5).equals(case.model.recommend(old, k=5)), "folding in changed the lists of others")


@promise
def baskets_score_like_folded_in_users(case: Case) -> None:
    """recommend_basket gives what folding in a user with these items would; or one sentence says that it can not."""
    events = _of_new_users(case.data)
    user = events.users.to_numpy()[0]
    frame = events.to_frame()
    own = frame[frame["user_id"] == user]
    try:
        basket = case.model.recommend_basket(own["item_id"], weights=own["weight"], k=5)
    except InputError as error:
        keep(case.trainer.name in str(error), f"the refusal does not name the trainer: {error}")
        return
    folded = case.model.fold_in(events).recommend([user], k=5)
    keep(basket["item_id"].tolist() == folded["item_id"].tolist(), "a basket and a folded-in user with it got other lists")
    keep(np.allclose(basket["score"], folded["score"], rtol=1e-3, atol=1e-4), "a basket and a folded-in user got other scores")


@promise
def reasons_sum_to_the_score_or_are_refused(case: Case) -> None:
    """The contributions of explain and its base sum to the score that lists show; or one sentence says that it can not."""
    row = case.model.recommend(case.data.users.to_numpy()[:1], k=1).iloc[0]
    explain = getattr(case.model, "explain", None)
    if explain is None:
        return
    try:
        reasons = explain(row["user_id"], row["item_id"], k=None)
    except InputError:
        return
    total = float(reasons["contribution"].sum()) + float(reasons.attrs["base"])
    keep(np.isclose(total, row["score"], rtol=1e-2, atol=1e-3), f"reasons sum to {total:.6g}, the score is {row['score']:.6g}")
    own = {item for user, item in pairs_of(case.data) if user == row["user_id"]}
    keep(set(reasons["item_id"]) <= own, "a reason names an item that the user does not have")


@promise
def likeness_is_shown_or_refused(case: Case) -> None:
    """similar_items gives other items, nearest first; or one sentence says that it can not."""
    item = case.model.items.to_numpy()[0]
    similar = getattr(case.model, "similar_items", None)
    if similar is None:
        return
    try:
        table = similar([item], k=5)
    except InputError:
        return
    keep(item not in set(table["similar_item_id"]), "an item is its own neighbour")
    keep(np.isfinite(table["score"]).all() and (np.diff(table["score"]) <= 0).all(), "likeness is not finite and falling")


@promise
def embeddings_are_of_the_log(case: Case) -> None:
    """A model with embeddings has a finite vector for each user and item of the log; makes_embeddings says whether it has."""
    has = isinstance(case.model, Model)
    keep(
        has == case.trainer.makes_embeddings,
        f"makes_embeddings is {case.trainer.makes_embeddings}, the model is {case.model!r}",
    )
    if not isinstance(case.model, Model):
        return
    for embeddings, ids in (
        (case.model.user_embeddings, case.data.users),
        (case.model.item_embeddings, case.data.items),
    ):
        keep(embeddings.ids == ids, f"the embeddings of {ids.name}s are not of the log")
        keep(embeddings.vectors.dtype == np.float32, f"the vectors of {ids.name}s are {embeddings.vectors.dtype}, not float32")
        keep(np.isfinite(embeddings.vectors).all(), f"a vector of a {ids.name} is not finite")


def _of_new_users(data: Interactions) -> Interactions:
    """Events of two users that `data` does not hold, with its items."""
    events = data.select(data.row_positions() < 2)
    users = type(data.users)([f"new {n}" for n in range(2)], name="user_id")
    return replace(events, users=users)
