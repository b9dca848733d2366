"""New items by features alone: lists of `recsys.LightFM` beside one list for everybody, on items that nobody had in training.

    python tests/benchmarks/cold_start.py [--data ml-latest-small online-retail] [--seed 0]

A fifth of the items is held out whole (`recsys.split.items`) and added again by its features: genres and bins of the year for
films, words of the title for a shop. Held-out items alone are recommended, to users who are known. LightFM has its defaults,
nothing was chosen. Beside it stand

    no order     popularity in training, of which new items have none: an order by chance
    one list     LightFM's scores averaged over all users: what features say of how well an item will do at all
    best list    popularity in the very pairs that judge, which nobody could know: no single list is much better

so that what features have over "one list" belongs to the user, and what they lack of "best list" was not in them.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from benchmark_data import REAL_DATA

import recsys
from recsys.embeddings import Embeddings
from recsys.evaluation import GivenLists

METRICS = ("recall@20", "ndcg@20")


def movielens() -> recsys.Interactions:
    """Ratings from 3.5 on; a film has genres and the year of its title."""
    folder = REAL_DATA / "ml-latest-small"
    data = recsys.read_interactions(folder / "ratings.csv", user="userId", item="movieId", weight="rating", timestamp=False)
    data = data.filter(min_weight=3.5).k_core(users=5, items=3)
    films = pd.read_csv(folder / "movies.csv").rename(columns={"movieId": "item_id"})
    films["year"] = films["title"].str.extract(r"\((\d{4})\)\s*$", expand=False).astype(float)
    features = recsys.Features.from_table(films.drop(columns="title"), multi_valued={"genres": "|"}, ids=data.items)
    return data.with_features(items=features)


def online_retail() -> recsys.Interactions:
    """Who bought what; an article has the words of its title that at least five articles have."""
    folder = REAL_DATA / "online-retail"
    data = recsys.read_interactions(folder / "purchases.parquet", weight=False, timestamp=False, duplicates="max")
    data = data.k_core(users=5, items=5)
    articles = pd.read_csv(folder / "items.csv", dtype={"item_id": "string"}).drop_duplicates("item_id")
    words = articles["title"].fillna("").str.lower().str.findall(r"[a-z]{2,}").map(lambda found: sorted(set(found)))
    common = words.explode().value_counts()
    kept = set(common.index[common >= 5])
    articles["words"] = words.map(lambda found: [word for word in found if word in kept])
    features = recsys.Features.from_table(articles[["item_id", "words"]], ids=data.items, missing="zero")
    return data.with_features(items=features)


DATA = {"ml-latest-small": movielens, "online-retail": online_retail}


def judged(model: recsys.Model, new: np.ndarray, test: recsys.Interactions) -> recsys.EvaluationResult:
    """How good lists of new items are. Their users had none of them in training, so that nothing is to be left out."""
    listed = model.recommend(test.users.to_numpy(), only_items=new, exclude_seen=False, k=20)
    return recsys.evaluate(GivenLists.from_frame(listed, items=new), test, list(METRICS))


def for_everybody(model: recsys.Model) -> recsys.Model:
    """The same items, and for each user the mean of all users."""
    users = model.user_embeddings
    mean = np.tile(users.vectors.mean(axis=0), (len(users), 1)).astype(np.float32)
    return recsys.Model(Embeddings(users.ids, mean), model.item_embeddings, model.history)


def compared(data: recsys.Interactions, seed: int) -> dict[str, recsys.EvaluationResult]:
    """Trains, adds the held-out items and judges all lists."""
    train, test = recsys.split.items(data, test_fraction=0.2, unseen="drop", random_state=seed)
    # New items come in no order, so that equal scores are broken by chance.
    order = np.random.default_rng(seed).permutation(test.n_items)
    model = recsys.LightFM().fit(train).add_items(test.item_features.take(order), unknown="skip")
    new = model.items.to_numpy()[train.n_items :]
    test = test.filter(items=new)
    popular = recsys.Popularity().fit(train.with_ids(items=model.items))
    return {
        "no order": judged(popular, new, test),
        "one list": judged(for_everybody(model), new, test),
        "best list": judged(recsys.Popularity().fit(test), new, test),
        "features": judged(model, new, test),
    }


def main() -> None:
    """Prints means and paired differences with 95 % intervals."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=list(DATA), default=list(DATA))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for name in arguments.data:
        if not (REAL_DATA / name).is_dir():
            print(f"{name}: skipped, its folder is not there")
            continue
        data = DATA[name]()
        print(f"{name}: {data!r}, {data.item_features!r}")
        results = compared(data, arguments.seed)
        for called, result in results.items():
            cells = (f"{row.metric} {row.mean:.4f} [{row.low:.4f}, {row.high:.4f}]" for row in result.summary().itertuples())
            print(f"  {called:10}", "  ".join(cells), flush=True)
        print(recsys.compare({one: results[one] for one in ("one list", "best list", "features")}))


if __name__ == "__main__":
    main()
