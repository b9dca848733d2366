"""Metrics of what is shown, and AUC: all of them through `evaluate`, against their naive twins, on small random models."""

from __future__ import annotations

import dataclasses

import naive
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import recsys
from recsys.errors import DataError, ParameterError
from recsys.evaluation import METRICS, evaluate
from recsys.evaluation.judging import Judging
from recsys.interactions import Interactions
from recsys.jobs.terminal import in_cli_words
from recsys.model import Model
from recsys.retrieval import RankedLists

N_USERS, N_ITEMS = 6, 9
small = st.integers(-2, 2)


@dataclasses.dataclass(frozen=True)
class Case:
    """A model with whole numbers as vectors, so that scores tie, and a test set with one item that it does not know."""

    model: Model
    test: Interactions
    features: pd.DataFrame
    overlap: bool

    def evaluate(self, metrics, **arguments):
        return evaluate(self.model, self.test, metrics, overlap="keep", item_features=self.features, **arguments)

    @property
    def scores(self):
        return self.model.user_embeddings.vectors @ self.model.item_embeddings.vectors.T

    def profile(self, user):
        history = self.model.history
        return set(history.indices[history.indptr[user] : history.indptr[user + 1]].tolist())

    @property
    def profiles(self):
        return [self.profile(user) for user in range(N_USERS)]

    def ranked(self, user):
        own = self.profile(user)
        items = [item for item in range(N_ITEMS) if item not in own]
        return sorted(items, key=lambda item: (-self.scores[user, item], item))

    def gains(self, user):
        rows = self.test.to_frame()
        return dict(rows[rows["user_id"] == user][["item_id", "weight"]].itertuples(index=False, name=None))

    def users(self):
        return [user for user in range(N_USERS) if self.gains(user)]


def events(pairs, weights, n_items):
    users, items = (np.array(column, np.int32) for column in zip(*pairs, strict=True))
    ids = recsys.IdMap(np.arange(N_USERS), name="user_id"), recsys.IdMap(np.arange(n_items), name="item_id")
    return Interactions.from_events(*ids, users, items, np.array(weights, np.float32))


@st.composite
def cases(draw):
    pair = st.tuples(st.integers(0, N_USERS - 1), st.integers(0, N_ITEMS - 1))
    seen = sorted(draw(st.sets(pair, min_size=1, max_size=25)))
    wanted = sorted(draw(st.sets(st.tuples(st.integers(0, N_USERS - 1), st.integers(0, N_ITEMS)), min_size=1, max_size=20)))
    if all(item == N_ITEMS for _, item in wanted):
        wanted.append((0, 0))
    weights = draw(st.lists(st.integers(0, 3), min_size=len(wanted), max_size=len(wanted)))
    vectors = [draw(st.lists(small, min_size=2 * n, max_size=2 * n)) for n in (N_USERS, N_ITEMS)]
    users, items = (np.array(values, np.float32).reshape(-1, 2) for values in vectors)
    kinds = draw(st.lists(st.sampled_from(["a", "b", None]), min_size=N_ITEMS, max_size=N_ITEMS))
    features = pd.DataFrame({"item_id": range(N_ITEMS), "kind": kinds, "even": [item % 2 for item in range(N_ITEMS)]})
    features["kind"] = features["kind"].astype(object)
    model = Model.from_vectors(events(seen, [1] * len(seen), N_ITEMS), users, items)
    return Case(model, events(wanted, weights, N_ITEMS + 1), features, bool(set(seen) & set(wanted)))


def expected(case, k):
    """The value of every metric for every user, or over all, by its naive twin."""
    kinds = [[value if isinstance(value, str) else None for value in (kind,)] for kind in case.features["kind"]]
    rows = [[*kind, even] for kind, even in zip(kinds, case.features["even"], strict=True)]
    lists = [case.ranked(user) for user in case.users()]
    owns = [case.profile(user) for user in case.users()]
    vectors = case.model.item_embeddings.vectors.astype(float)
    values = {}
    for user, ranked, own in zip(case.users(), lists, owns, strict=True):
        gains = case.gains(user)
        of_user = {
            "auc": naive.auc(case.scores[user], set(gains), own),
            "ndcg_graded": naive.ndcg_graded(ranked, gains, k),
            "r_precision": naive.r_precision(ranked, set(gains)),
            "novelty": naive.novelty(ranked, case.profiles, k),
            "average_popularity": naive.average_popularity(ranked, case.profiles, k),
            "intra_list_diversity": naive.intra_list_diversity(ranked, vectors, k),
            "feature_diversity": naive.feature_diversity(ranked, rows, k),
            "serendipity": naive.serendipity(ranked, set(gains), case.profiles, own, N_ITEMS, k),
        }
        for name, value in of_user.items():
            values.setdefault(name, []).append(value)
    overall = {name: getattr(naive, name)(lists, N_ITEMS, k) for name in ("coverage", "gini", "personalisation")}
    return values, overall | {"popularity_lift": naive.popularity_lift(lists, owns, case.profiles, k)}


@settings(max_examples=40, deadline=None)
@given(case=cases(), k=st.integers(1, N_ITEMS + 2))
def test_every_metric_of_a_model_equals_its_naive_twin(case, k):
    values, overall = expected(case, k)
    names = {name: name if name in ("auc", "r_precision") else f"{name}@{k}" for name in [*values, *overall]}
    result = case.evaluate(list(names.values()), keep_lists=True)
    table = result.per_user
    assert table["user_id"].tolist() == case.users()
    for name, wanted in values.items():
        np.testing.assert_allclose(table[names[name]], wanted, rtol=1e-6, atol=1e-7, err_msg=name)
    for name, wanted in overall.items():
        np.testing.assert_allclose(result.overall[names[name]], wanted, rtol=1e-9, atol=1e-12, err_msg=name)
    assert result.summary()["metric"].tolist() == [*(names[name] for name in values), *(names[name] for name in overall)]


def test_every_metric_is_held_against_a_naive_twin_in_one_of_the_two_files():
    twins = {"map": "average_precision", "mrr": "reciprocal_rank"}
    assert [name for name in METRICS if not hasattr(naive, twins.get(name, name))] == []


@settings(max_examples=15, deadline=None)
@given(case=cases())
def test_a_ranker_that_gives_scores_has_the_auc_of_the_model_that_they_are_from(case):
    class Scored:
        users, items, history, provenance = case.model.users, case.model.items, case.model.history, {}
        rank = case.model.rank

        def scores(self, user_positions):
            return case.scores[user_positions]

    found = evaluate(Scored(), case.test, "auc", overlap="keep").values
    np.testing.assert_allclose(found, case.evaluate("auc").values, rtol=1e-12)


def big_case(dim=24, seed=0):
    """Vectors whose products round, with every item there twice: exact ties that a float32 product may break."""
    rng = np.random.default_rng(seed)
    half = rng.normal(size=(2500, dim)).astype(np.float32)
    items = np.vstack([half, half])
    n_users = 40
    ids = recsys.IdMap(np.arange(n_users), name="user_id"), recsys.IdMap(np.arange(len(items)), name="item_id")
    pairs = rng.choice(n_users * len(items), 400, replace=False)
    users, wanted = np.divmod(pairs, len(items))
    train = Interactions.from_events(*ids, users[:200].astype(np.int32), wanted[:200].astype(np.int32))
    test = Interactions.from_events(*ids, users[200:].astype(np.int32), wanted[200:].astype(np.int32))
    return Model.from_vectors(train, rng.normal(size=(n_users, dim)).astype(np.float32), items), test


@pytest.mark.compiled
def test_auc_counts_ties_exactly_where_a_block_product_rounds_and_equals_scikit_learn():
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    model, test = big_case()
    result = evaluate(model, test, "auc", overlap="keep")
    exact = (model.user_embeddings.vectors.astype(float) @ model.item_embeddings.vectors.T.astype(float)).astype(np.float32)
    for user, value in zip(result.users.to_numpy(), result.values[:, 0], strict=True):
        seen = model.history.to_csr()[[user]].indices
        relevant = np.isin(np.arange(exact.shape[1]), test.to_csr()[[user]].indices)
        shown = ~np.isin(np.arange(exact.shape[1]), seen)
        assert value == pytest.approx(sklearn_metrics.roc_auc_score(relevant[shown], exact[user][shown]), abs=1e-12)


@pytest.mark.compiled
def test_one_thread_and_two_and_blocks_of_any_size_give_the_same_bytes():
    model, test = big_case(seed=1)
    metrics = ["auc", "r_precision", "ndcg@50", "intra_list_diversity@20", "gini@10", "popularity_lift@5"]
    first = evaluate(model, test, metrics, num_threads=1)
    second = evaluate(model, test, metrics, num_threads=2, batch_users=7)
    assert first.values.tobytes() == second.values.tobytes()
    assert first.overall == second.overall


@settings(max_examples=15, deadline=None)
@given(case=cases(), k=st.integers(1, 4))
def test_bounds_of_what_is_shown(case, k):
    result = case.evaluate([f"{name}@{k}" for name in ("novelty", "serendipity", "precision", "average_popularity")])
    novelty, serendipity, precision, popularity = result.values.T
    assert not (novelty < 0).any()
    assert (serendipity <= precision).all()
    assert not ((popularity < 0) | (popularity > 1)).any()
    overall = case.evaluate([f"{name}@{k}" for name in ("coverage", "gini", "personalisation")]).overall
    assert all(np.isnan(value) or -1e-12 <= value <= 1 for value in overall.values())


def test_most_popular_is_never_serendipitous_and_its_lists_differ_only_by_what_was_seen():
    data = recsys.Interactions.from_csr((np.random.default_rng(0).random((30, 12)) < 0.3).astype(np.float32))
    train, test = recsys.split.random(data, test_fraction=0.3, random_state=0)
    result = evaluate(recsys.Popularity().fit(train), test, "serendipity@3,personalisation@3,gini@3,coverage@12")
    assert result.values.max() == 0
    again = evaluate(recsys.Popularity().fit(train), test, "serendipity@3,personalisation@3,gini@3", exclude_seen=False)
    assert again.values.max() == 0
    assert again.overall["personalisation@3"] == 0
    assert again.overall["gini@3"] == pytest.approx(1 - 3 / train.n_items)


def test_values_that_a_user_does_not_have_are_left_out_of_the_mean_and_n_users_says_so():
    history = events([(0, 0), (0, 1), (1, 0)], [1, 1, 1], 3)
    model = Model.from_vectors(history, np.ones((N_USERS, 1), np.float32), np.array([[3], [2], [1]], np.float32))
    result = evaluate(model, events([(0, 2), (1, 1), (2, 1)], [1, 1, 1], 3), "recall@2,intra_list_diversity@2,auc")
    assert np.isnan(result.values).tolist() == [[False, True, True], [False, False, False], [False, False, False]]
    assert result.summary()["n_users"].tolist() == [3, 2, 2]
    assert result.summary()["mean"].notna().all()


# ---- what is missing ------------------------------------------------------------------------------------------------


class ListsOnly:
    """A ranker that gives lists and nothing else; `positions` is what they hold."""

    def __init__(self, positions, history=None):
        self.users = recsys.IdMap(["u1", "u2"], name="user_id")
        self.items = recsys.IdMap(["a", "b", "c"], name="item_id")
        self.history, self.provenance = history, {}
        self.positions = np.array(positions, np.int32)

    def rank(self, user_positions, k, *, exclude_seen=True, num_threads=None):
        shown = self.positions[user_positions, :k]
        return RankedLists(shown, np.zeros(shown.shape, np.float32), np.full(len(shown), shown.shape[1], np.int32))


TEST = recsys.read_interactions(pd.DataFrame({"user_id": ["u1", "u2"], "item_id": ["a", "c"]}))


def test_lists_alone_are_enough_for_what_only_looks_at_lists():
    result = evaluate(ListsOnly([[0, 1], [0, 1]]), TEST, "recall@2,r_precision,coverage@2,gini@2,personalisation@2")
    assert result.values.tolist() == [[1, 1], [0, 0]]
    assert result.overall == {"coverage@2": 2 / 3, "gini@2": pytest.approx(1 / 3), "personalisation@2": 0}


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("novelty@2", "novelty@2 needs the training history, and this model keeps none"),
        ("popularity_lift@2", "popularity_lift@2 needs the training history"),
        ("intra_list_diversity@2", "needs item embeddings, and ListsOnly has none. Hint: feature_diversity@2"),
        ("feature_diversity@2", "feature_diversity@2 needs item_features=, a DataFrame with item_id"),
        ("auc", "auc needs the score of every item, and ListsOnly gives ranked lists alone"),
    ],
)
def test_a_metric_says_in_one_sentence_what_it_needs_and_does_not_have(metric, message):
    with pytest.raises(ParameterError, match=message):
        evaluate(ListsOnly([[0, 1], [0, 1]]), TEST, metric)


def test_the_command_line_says_it_in_its_own_words():
    with pytest.raises(ParameterError) as error:
        evaluate(ListsOnly([[0, 1], [0, 1]]), TEST, "feature_diversity@2")
    assert "feature_diversity@2 needs --item-features, a file with item_id" in in_cli_words(str(error.value))


def test_features_of_floats_alone_make_no_diversity():
    prices = pd.DataFrame({"item_id": ["a", "b"], "price": [1.5, 2.5]})
    with pytest.raises(ParameterError, match="columns that name rather than measure"):
        evaluate(ListsOnly([[0, 1], [0, 1]]), TEST, "feature_diversity@2", item_features=prices)


@pytest.mark.parametrize(
    ("metric", "message"), [("recall@2", "positions outside of its 3 items"), ("coverage@2", "another model")]
)
def test_lists_of_another_model_are_refused(metric, message):
    with pytest.raises(DataError, match=message):
        evaluate(ListsOnly([[0, 1], [0, 7]]), TEST, metric)


def test_lists_for_other_users_are_refused():
    ranker = ListsOnly([[0, 1], [0, 1]])
    ranker.rank = lambda users, k, **_: RankedLists(ranker.positions[:1], ranker.positions[:1], np.array([2], np.int32))
    with pytest.raises(DataError, match=r"lists of shape \(1, 2\) for 2 users"):
        evaluate(ranker, TEST, "recall@2")


def test_negative_weights_have_no_graded_ndcg():
    test = recsys.read_interactions(pd.DataFrame({"user_id": ["u1"], "item_id": ["a"], "weight": [-1.0]}))
    with pytest.raises(DataError, match="ndcg_graded needs weights >= 0"):
        evaluate(ListsOnly([[0, 1], [0, 1]]), test, "ndcg_graded@2")


def test_lists_are_kept_on_request_cut_at_the_largest_cutoff():
    result = evaluate(ListsOnly([[0, 1, 2], [2, 1, 0]]), TEST, "recall@2", keep_lists=True)
    assert result.lists.positions.tolist() == [[0, 1], [2, 1]]
    assert evaluate(ListsOnly([[0, 1], [2, 1]]), TEST, "recall@2").lists is None
    with pytest.raises(ParameterError, match="no metric here has one"):
        evaluate(ListsOnly([[0, 1, 2], [2, 1, 0]]), TEST, "r_precision", keep_lists=True)


def test_blocks_of_judging_can_be_entered_in_any_order():
    model, test = ListsOnly([[0, 1], [2, 1]]), TEST
    wanted = evaluate(model, test, "recall@2,coverage@2")
    relevance, catalogue = wanted.basis.relevance, wanted.basis.catalogue
    judging = Judging(relevance, wanted.basis.metrics, catalogue)
    for rows in (slice(1, 2), slice(0, 1)):
        judging.enter(rows, model.rank(relevance.user_positions[rows], 2), 1)
    assert judging.values.tobytes() == wanted.values.tobytes()
    assert judging.overall() == wanted.overall
