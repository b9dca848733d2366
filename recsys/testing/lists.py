"""Checks of recommended lists: ids, what users have, filters. May import everything below jobs."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recsys.errors import UnknownIdError
from recsys.interactions import Interactions
from recsys.model import RankingModel
from recsys.testing.logs import taste_groups
from recsys.testing.promises import Case, keep, promise

__all__ = ["pairs_of", "require_lists"]


def pairs_of(data: Interactions) -> set[tuple[object, object]]:
    """The pairs of ids that were observed."""
    frame = data.to_frame()
    return set(zip(frame["user_id"], frame["item_id"], strict=True))


def require_lists(model: RankingModel, table: pd.DataFrame, k: int) -> None:
    """Known ids, no item twice, at most `k` a user, ranks from 1, finite scores that do not rise."""
    keep(list(table.columns) == ["user_id", "item_id", "score", "rank"], f"recommend gave the columns {list(table.columns)}")
    for column, ids in (("user_id", model.users), ("item_id", model.items)):
        strangers = set(table[column]) - set(ids.to_numpy().tolist())
        keep(not strangers, f"its lists hold the {column} {next(iter(strangers), None)!r}, which is none of the log")
    keep(not table.duplicated(["user_id", "item_id"]).any(), "a list holds an item twice")
    keep(np.isfinite(table["score"].to_numpy()).all(), "a score is not finite")
    for user, rows in table.groupby("user_id", sort=False):
        keep(len(rows) <= k, f"the list of {user!r} has {len(rows)} items where k = {k}")
        keep(rows["rank"].tolist() == list(range(1, len(rows) + 1)), f"the ranks of {user!r} are {rows['rank'].tolist()}")
        keep((np.diff(rows["score"]) <= 0).all(), f"the scores of {user!r} rise along the list")


@promise
def ids_come_back(case: Case) -> None:
    """The model has the users and items of the log in their order, and lists name them as they were given."""
    integers = taste_groups("integers")
    for data, model in ((case.data, case.model), (integers, case.trainer.fit(integers))):
        keep(model.users == data.users, "the users of the model are not those of the log in the same order")
        keep(model.items == data.items, "the items of the model are not those of the log in the same order")
        table = model.recommend(k=5)
        require_lists(model, table, 5)
        keep(len(table) > 0, "nothing was recommended to anybody")


@promise
def users_come_in_the_order_asked_for(case: Case) -> None:
    """Lists come in the order in which users were named, the same as when each is asked for alone."""
    asked = case.model.users.to_numpy()[[7, 3, 11]].tolist()
    table = case.model.recommend(asked, k=3)
    keep(table["user_id"].drop_duplicates().tolist() == asked, f"asked for {asked}, got {table['user_id'].unique().tolist()}")
    alone = pd.concat([case.model.recommend([user], k=3) for user in asked], ignore_index=True)
    keep(table["item_id"].tolist() == alone["item_id"].tolist(), "a user's list depends on who else was asked for")


@promise
def unknown_users_are_named_or_served(case: Case) -> None:
    """A user who is not in the log is refused by name, skipped, or given popular items, as was asked."""
    known = case.model.users.to_numpy()[0]
    try:
        case.model.recommend([known, "nobody"], k=3)
    except UnknownIdError as error:
        keep("nobody" in str(error), f"the refusal does not name the user: {error}")
    else:
        keep(False, "an unknown user was not refused")
    skipped = case.model.recommend([known, "nobody"], k=3, unknown="skip")
    keep(set(skipped["user_id"]) == {known}, "unknown='skip' did not leave the unknown user out")
    popular = case.model.recommend(["nobody"], k=3, unknown="popular")
    keep(len(popular) == 3, f"unknown='popular' gave {len(popular)} items instead of 3")


@promise
def seen_items_are_never_recommended(case: Case) -> None:
    """Nobody is recommended what they have, however long the list, unless exclude_seen=False."""
    n_items = len(case.model.items)
    seen = pairs_of(case.data)
    table = case.model.recommend(k=n_items)
    leaked = seen & set(zip(table["user_id"], table["item_id"], strict=True))
    keep(not leaked, f"{next(iter(leaked), None)} was in the log and is recommended")
    keep(len(table) == case.data.n_users * n_items - len(seen), "lists that may be long do not hold all that is left")
    whole = case.model.recommend(k=n_items, exclude_seen=False)
    keep(len(whole) == case.data.n_users * n_items, "exclude_seen=False does not rank everything")


@promise
def filters_hold(case: Case) -> None:
    """only_items and exclude_items are kept to; where fewer than k are left, fewer come back, and none as padding."""
    items = case.model.items.to_numpy()
    only = case.model.recommend(k=10, only_items=items[:6], exclude_seen=False)
    keep(set(only["item_id"]) == set(items[:6]), "only_items=6 items: the lists are not of these 6")
    keep(len(only) == 6 * case.data.n_users, f"6 items were allowed for each user, {len(only)} rows came back")
    without = case.model.recommend(k=len(items), exclude_items=items[:6], exclude_seen=False)
    keep(not set(without["item_id"]) & set(items[:6]), "an item of exclude_items was recommended")
    keep(len(without) == (len(items) - 6) * case.data.n_users, "exclude_items took more or less than what it names")
    require_lists(case.model, without, len(items))


@promise
def scores_are_those_of_the_lists(case: Case) -> None:
    """model.score of a pair is the score that lists give it, also in batches."""
    table = case.model.recommend(k=4)
    scores = case.model.score(table["user_id"].tolist(), table["item_id"].tolist())
    wrong = np.abs(scores - table["score"]).max()
    keep(np.allclose(scores, table["score"], rtol=1e-4, atol=1e-5), f"score and recommend differ by up to {wrong:g}")
    batches = pd.concat(list(case.model.recommend_batches(k=4, batch_users=7)), ignore_index=True)
    keep(batches.equals(table), "recommend_batches gives other lists than recommend")
