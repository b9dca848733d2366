"""Approximate indexes: filters hold as in the exact search, parameters are measured, files are checked, stale ones refused."""

import json
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import random_interactions
from hypothesis import given, settings
from hypothesis import strategies as st

import recsys
from recsys.cli import commands
from recsys.errors import FormatError, InputError, MissingExtraError, ParameterError
from recsys.fold_in import WeightedLeastSquares
from recsys.model import Model
from recsys.retrieval import top_k
from recsys.retrieval.approximate import KINDS, ItemIndex, build_index, choice, measure
from recsys.retrieval.approximate.index import build_engine
from recsys.retrieval.approximate.measure import interval

faiss = pytest.importorskip("faiss", reason="indexes need faiss, the extra ann")

PLANS = [(kind, reduction) for kind in KINDS for reduction in choice._REDUCTIONS[kind]]


def vectors(n, dim=12, seed=0):
    """Clusters, a decaying spectrum and lengths that differ: what trained vectors look like."""
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((20, dim))
    directions = (centres[generator.integers(0, 20, n)] + 0.7 * generator.standard_normal((n, dim))) / np.arange(
        1, dim + 1
    ) ** 0.5
    return (directions * generator.lognormal(0, 0.5, (n, 1))).astype(np.float32)


ITEMS, QUERIES = vectors(3000), vectors(80, seed=1)


@pytest.fixture(scope="module", autouse=True)
def times_are_measured_briefly():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "_SINGLE_SECONDS", 0.001)
        patch.setattr(measure, "_BATCH_SECONDS", 0.001)
        patch.setattr(measure, "_BATCH_QUERIES", 100)
        yield


@pytest.fixture(scope="module")
def engines():
    return {plan: build_engine(*plan, ITEMS, 0) for plan in PLANS}


def index_of(engine, breadth=None, spare=2.0):
    return ItemIndex(engine, *ITEMS.shape, breadth or engine.breadths[-1], spare, 40)


def csr_of(rows):
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return indptr, np.array([position for row in rows for position in sorted(row)], np.int32)


@pytest.fixture(scope="module")
def model():
    history = random_interactions(120, 900, density=0.02)
    items = vectors(history.n_items)
    users = vectors(history.n_users, seed=1)
    return Model.from_vectors(history, users, items, fold_in=WeightedLeastSquares(1.0, 1.0, 0.1, 0.1, 0.0))


@pytest.fixture(scope="module")
def indexed(model):
    return model.build_index("ivf", target_recall=0.9, k=5, n_queries=60, num_threads=1)


# ---- the search ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", PLANS, ids=" ".join)
def test_the_widest_search_finds_nearly_all_and_scores_as_the_exact_one(plan, engines):
    exact = top_k(QUERIES, ITEMS, 20)
    lists = index_of(engines[plan], spare=8.0).top_k(QUERIES, ITEMS, 20)
    found = [len(np.intersect1d(ours, true)) / 20 for ours, true in zip(lists.positions, exact.positions, strict=True)]
    assert np.mean(found) > 0.95
    same = (lists.positions == exact.positions).all(axis=1)
    np.testing.assert_array_equal(lists.scores[same], exact.scores[same])


@pytest.mark.parametrize("plan", PLANS, ids=" ".join)
@settings(max_examples=15)
@given(data=st.data())
def test_a_filtered_item_never_appears_and_counts_are_those_of_the_exact_search(plan, engines, data):
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    n, k = data.draw(st.integers(0, 5)), data.draw(st.sampled_from([1, 3, 20, 2990, 4000]))
    seen = csr_of(
        [generator.choice(3000, size, replace=False) for size in data.draw(st.lists(seen_sizes, min_size=n, max_size=n))]
    )
    share = data.draw(st.sampled_from([None, 0.0, 0.01, 0.24, 0.3, 0.9]))
    candidates = None if share is None else np.flatnonzero(generator.random(3000) < share)
    breadth = data.draw(st.sampled_from(engines[plan].breadths))
    index = index_of(engines[plan], breadth, spare=1.25)
    lists = index.top_k(QUERIES[:n], ITEMS, k, seen=seen, candidates=candidates, num_threads=1)
    exact = top_k(QUERIES[:n], ITEMS, k, seen=seen, candidates=candidates, num_threads=1)
    assert lists.positions.shape == exact.positions.shape
    np.testing.assert_array_equal(lists.counts, exact.counts)
    scores = (QUERIES[:n].astype(np.float64) @ ITEMS.T.astype(np.float64)).astype(np.float32)
    for row, (start, stop) in enumerate(pairwise(seen[0])):
        found = lists.positions[row, : lists.counts[row]]
        assert not np.isin(found, seen[1][start:stop]).any()
        assert candidates is None or np.isin(found, candidates).all()
        assert len(np.unique(found)) == len(found)
        np.testing.assert_array_equal(lists.scores[row, : lists.counts[row]], scores[row, found])
        ranks = list(zip(-scores[row, found], found, strict=True))
        assert ranks == sorted(ranks)


seen_sizes = st.sampled_from([0, 1, 30, 290, 310, 2995, 3000])


@pytest.mark.parametrize("plan", PLANS, ids=" ".join)
def test_the_same_seed_gives_the_same_bytes(plan, engines):
    again = build_engine(*plan, ITEMS, 0).arrays()
    first = engines[plan].arrays()
    assert {name: array.tobytes() for name, array in again.items()} == {name: a.tobytes() for name, a in first.items()}


def test_one_thread_and_many_give_the_same_lists_and_the_library_keeps_its_own_threads(engines):
    queries = vectors(2000, seed=2)
    seen = csr_of([range(row % 50) for row in range(2000)])
    before = faiss.omp_get_max_threads()
    for plan in (("ivf", "partitioned"), ("hnsw", "raw")):
        index = index_of(engines[plan], engines[plan].breadths[1])
        one, three = (index.top_k(queries, ITEMS, 10, seen=seen, num_threads=threads) for threads in (1, 3))
        assert one.positions.tobytes() == three.positions.tobytes()
        assert one.scores.tobytes() == three.scores.tobytes()
    assert faiss.omp_get_max_threads() == before


@pytest.mark.parametrize("n_items", [1, 2, 7, 45])
@pytest.mark.parametrize("plan", PLANS, ids=" ".join)
def test_tiny_catalogues_are_searched_whole(plan, n_items):
    items = vectors(n_items)
    items[0] = 0
    index = ItemIndex(build_engine(*plan, items, 0), *items.shape, 1, 1.25, 20)
    lists, exact = (search(QUERIES, items, 20) for search in (index.top_k, top_k))
    np.testing.assert_array_equal(lists.positions, exact.positions)
    np.testing.assert_array_equal(lists.scores, exact.scores)


def test_items_of_equal_length_and_equal_items_can_be_indexed():
    items = np.repeat(vectors(100), 5, axis=0)
    items /= np.linalg.norm(items, axis=1, keepdims=True)
    index = ItemIndex(build_engine("ivf", "partitioned", items, 0), *items.shape, 10**6, 4.0, 20)
    lists, exact = (search(QUERIES, items, 10) for search in (index.top_k, top_k))
    np.testing.assert_array_equal(lists.positions, exact.positions)


def test_another_catalogue_is_refused(engines):
    with pytest.raises(InputError, match=r"The index holds 3,000 items × 12; it can not search 2,999 × 12"):
        index_of(engines["ivf", "partitioned"]).top_k(QUERIES, ITEMS[1:], 5)
    with pytest.raises(ParameterError, match="`k` must be an int >= 1"):
        index_of(engines["ivf", "partitioned"]).top_k(QUERIES, ITEMS, 0)


# ---- the choice of parameters -------------------------------------------------------------------------------------


def test_parameters_are_chosen_until_the_recall_is_met_and_judged_on_other_queries():
    queries = vectors(400, seed=3)
    index = build_index(ITEMS, queries, kind="ivf", target_recall=0.9, k=10, num_threads=1)
    record = index.describe()
    assert record["n_queries"] == 200
    exact = top_k(queries[200:], ITEMS, 10)
    lists = index.top_k(queries[200:], ITEMS, 10)
    hits = [len(np.intersect1d(a, b)) / 10 for a, b in zip(lists.positions, exact.positions, strict=True)]
    assert record["recall"] == pytest.approx(np.mean(hits))
    assert record["recall_low"] < record["recall"] < record["recall_high"]
    assert record["recall"] > 0.88
    assert record["parameters"]["breadth"] < index.engine.breadths[-1]
    assert [point["breadth"] for point in record["curve"]] == sorted(point["breadth"] for point in record["curve"])
    for name in ("single_per_second", "batch_per_second", "exact_single_per_second", "exact_batch_per_second", "bytes"):
        assert record[name] > 0


def test_of_several_kinds_one_that_meets_the_recall_is_taken(monkeypatch):
    monkeypatch.setattr(choice, "_TRIAL_ITEMS", 1000)
    index = build_index(ITEMS, vectors(100, seed=3), target_recall=0.8, k=10, num_threads=1)
    assert index.kind in choice._AUTO
    assert index.record["recall_high"] >= 0.8


def test_a_recall_that_is_not_reached_is_refused_with_the_curve(monkeypatch):
    monkeypatch.setattr(choice, "_SPARES", (1.0,))
    with pytest.raises(
        InputError, match=r"No index reached a recall@10 of 1 on 100 queries\. ivf-pq \(.*recall 0\.\d+ at .*Exact"
    ):
        build_index(ITEMS, vectors(200, seed=3), kind="ivf-pq", target_recall=1.0, k=10, num_threads=1)


def test_the_advice_names_the_faster_search_for_each_use():
    advice = choice.advice(1000, 500, 100, 2000)
    assert advice == (
        "For one query at a time use the index: 1,000 queries a second, 10.0 × exact search. "
        "For batches use exact: 2,000 queries a second and nothing missed; the index answers 500."
    )


def test_the_interval_is_wilsons():
    low, high = interval(np.array([1.0] * 90 + [0.0] * 10))
    assert (low, high) == pytest.approx((0.8256, 0.9448), abs=5e-4)  # Brown, Cai & DasGupta 2001
    assert interval(np.ones(50))[0] < 0.95


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "ivff"}, r"`kind` must be one of 'auto', .* Got 'ivff'. Did you mean 'ivf'"),
        ({"target_recall": 0}, "`target_recall` must be a number above 0 and at most 1. Got 0"),
        ({"target_recall": 1.1}, "`target_recall` must be"),
        ({"target_recall": True}, "`target_recall` must be"),
        ({"k": 0}, "`k` must be an int >= 1"),
        ({"n_queries": 3}, "`n_queries` must be an int >= 20"),
        ({"name": "exact"}, "not be 'exact'"),
        ({"name": "../x"}, r"Got '\.\./x'"),
    ],
)
def test_wrong_arguments_are_named(model, wrong, message):
    with pytest.raises(ParameterError, match=message):
        model.build_index(**wrong)


def test_without_the_library_the_extra_is_named(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtraError, match=r"recsys\[ann\]"):
        model.build_index("ivf")


# ---- in a model ---------------------------------------------------------------------------------------------------


def test_a_model_recommends_by_its_index(indexed):
    exact, found = (indexed.recommend(k=5, index=name) for name in ("exact", "ivf"))
    both = exact.merge(found, on=["user_id", "item_id"])
    assert len(both) >= 0.85 * len(exact)
    np.testing.assert_array_equal(both["score_x"], both["score_y"])
    seen = set(zip(*(indexed.history.to_frame()[name] for name in ("user_id", "item_id")), strict=True))
    assert not seen & set(zip(found["user_id"], found["item_id"], strict=True))


def test_an_index_that_is_not_there_is_named(indexed):
    with pytest.raises(ParameterError, match=r"`index` must be one of 'exact', 'ivf'. Got 'ivv'. Did you mean 'ivf'"):
        indexed.recommend(index="ivv")


def test_folding_in_users_keeps_an_index_and_other_changes_drop_it(indexed):
    events = random_interactions(10, 900, density=0.02, seed=5)
    folded = indexed.fold_in(events)
    assert list(folded.indexes) == ["ivf"]
    assert len(folded.recommend(events.users.to_arrow().to_pylist()[:2], k=5, index="ivf")) == 10
    assert not indexed.fold_in(events, of="items").indexes
    assert not indexed.forget(users=indexed.users.to_arrow().to_pylist()[:1]).indexes


def test_an_index_is_saved_with_its_model_and_answers_the_same(indexed, tmp_path):
    indexed.save(tmp_path / "model")
    loaded = recsys.load(tmp_path / "model")
    assert loaded.indexes["ivf"].describe() == indexed.indexes["ivf"].describe()
    assert loaded.recommend(k=5, index="ivf").equals(indexed.recommend(k=5, index="ivf"))
    assert loaded.fingerprint == indexed.fingerprint
    assert recsys.load(tmp_path / "model" / "indexes" / "ivf").describe() == indexed.indexes["ivf"].describe()


def golden_items():
    numbers = np.arange(60 * 4, dtype=np.float64)
    return (np.sin(numbers * numbers) * (1 + numbers / 60)).astype(np.float32).reshape(60, 4)


def test_the_golden_index_of_format_version_1_still_answers():
    golden = ItemIndex.load(Path(__file__).parent / "golden" / "v1" / "index")
    assert golden.fingerprint == "a fingerprint"
    assert golden.record == {"k": 2, "recall": 1.0}
    items = golden_items()
    lists, exact = (search(items[:9], items, 2) for search in (golden.top_k, top_k))
    np.testing.assert_array_equal(lists.positions, exact.positions)
    np.testing.assert_array_equal(lists.scores, exact.scores)


@pytest.mark.parametrize("plan", PLANS, ids=" ".join)
def test_every_kind_is_read_as_it_was_written(plan, engines, tmp_path):
    index = index_of(engines[plan], engines[plan].breadths[2])
    index.save(tmp_path / "index")
    again = ItemIndex.load(tmp_path / "index")
    one, other = index.top_k(QUERIES, ITEMS, 10), again.top_k(QUERIES, ITEMS, 10)
    assert one.positions.tobytes() == other.positions.tobytes()
    assert again.describe() == index.describe()


def test_a_stale_index_is_refused(indexed, model, tmp_path):
    changed = Model.from_vectors(model.history, model.user_embeddings.vectors, model.item_embeddings.vectors * 2)
    changed.save(tmp_path / "model")
    indexed.indexes["ivf"].save(tmp_path / "model" / "indexes" / "ivf")
    sentence = r"The index 'ivf' is stale: it was built from other vectors than .*Hint: build it again"
    with pytest.raises(InputError, match=sentence):
        recsys.load(tmp_path / "model").recommend(k=3, index="ivf")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-1], "faiss.npy is cut short"),
        (lambda content: content[:-1] + bytes([content[-1] ^ 1]), "faiss.npy was changed after it was written"),
    ],
)
def test_a_damaged_index_is_refused_and_the_model_still_loads(indexed, tmp_path, damage, message):
    indexed.save(tmp_path / "model")
    path = tmp_path / "model" / "indexes" / "ivf" / "faiss.npy"
    path.write_bytes(damage(path.read_bytes()))
    loaded = recsys.load(tmp_path / "model")
    assert len(loaded.recommend(k=3)) == 3 * len(loaded.users)
    with pytest.raises(FormatError, match=message):
        loaded.recommend(k=3, index="ivf")


# ---- the command line ---------------------------------------------------------------------------------------------


def run(*arguments):
    commands.main([str(argument) for argument in arguments], standalone_mode=False)


def test_the_command_line_builds_shows_and_uses_an_index(model, tmp_path, capsys):
    model.save(tmp_path / "model")
    build = ("index", tmp_path / "model", "--kind", "ivf", "--target-recall", "0.9", "--k", "5", "--n-queries", "60")
    run(*build, "--json")
    written = json.loads(capsys.readouterr().out)
    assert written["index"]["recall"] > 0.8
    run("info", tmp_path / "model", "--json")
    shown = json.loads(capsys.readouterr().out)["indexes"]["ivf"]
    assert shown == written["index"] | {"stale": False}
    run("recommend", tmp_path / "model", "--output", tmp_path / "lists.csv", "--k", "3", "--index", "ivf")
    capsys.readouterr()
    with pytest.raises(ParameterError, match="already exists"):
        run(*build)
    run(*build, "--name", "second")
    text = capsys.readouterr().out
    assert "recall@5" in text
    assert "For batches use" in text
    run("info", tmp_path / "model")
    assert "index second: ivf" in capsys.readouterr().out
