"""Our metrics beside those of other libraries on the same lists; where a definition differs, the test names the difference."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse

from recsys.evaluation import METRICS, JudgedLists
from recsys.retrieval import RankedLists

N_LISTS, N_ITEMS, WIDTH = 60, 50, 20


@pytest.fixture(scope="module")
def lists():
    """(ranked, relevant, gains): full lists, from 1 to 40 relevant items each."""
    rng = np.random.default_rng(0)
    ranked = np.array([rng.permutation(N_ITEMS)[:WIDTH] for _ in range(N_LISTS)], np.int32)
    relevant = [np.sort(rng.choice(N_ITEMS, size, replace=False)).astype(np.int32) for size in rng.integers(1, 41, N_LISTS)]
    return ranked, relevant, [rng.integers(1, 6, len(items)).astype(np.float32) for items in relevant]


def judged(ranked, relevant):
    indptr = np.concatenate([[0], np.cumsum([len(items) for items in relevant])]).astype(np.int64)
    shown = RankedLists(ranked, np.zeros(ranked.shape, np.float32), np.full(len(ranked), ranked.shape[1], np.int32))
    return JudgedLists.from_ranked(shown, indptr, np.concatenate(relevant))


def with_gains(lists, gains):
    lists.pairs.gains[:] = np.concatenate(gains)
    return lists


def places_as_scores(ranked):
    scores = np.zeros((len(ranked), N_ITEMS))
    scores[np.arange(len(ranked))[:, None], ranked] = np.arange(ranked.shape[1], 0, -1)
    return scores


# In a process of its own, uncompiled: its kernels need minutes to compile, and its dependencies warn of each other.
RANX_PROGRAM = """
import json, sys, warnings
warnings.simplefilter("ignore")
import ranx
given = json.load(sys.stdin)
binary = {query: dict.fromkeys(items, 1) for query, items in given["truth"].items()}
values = {}
for truth, names in ((binary, given["binary"]), (given["truth"], given["graded"])):
    for name in names:
        found = ranx.evaluate(ranx.Qrels(truth), ranx.Run(given["run"]), name, return_mean=False)
        values.setdefault("graded" if names is given["graded"] else "binary", {})[name] = found.tolist()
print(json.dumps(values))
"""
CUTOFFS = (1, 5, 20)


@pytest.fixture(scope="module")
def ranx(lists):
    """{"binary" | "graded": {name of the metric: its values}} of ranx for the lists."""
    if importlib.util.find_spec("ranx") is None:
        pytest.skip("ranx is not installed")
    ranked, relevant, gains = lists
    pairs = zip(relevant, gains, strict=True)
    run = {f"q{row:02}": {f"d{item}": float(-place) for place, item in enumerate(items)} for row, items in enumerate(ranked)}
    truth = {f"q{row:02}": {f"d{item}": int(gain) for item, gain in zip(*both, strict=True)} for row, both in enumerate(pairs)}
    names = [f"{name}@{k}" for name in ("recall", "precision", "mrr", "hit_rate", "map", "ndcg") for k in CUTOFFS]
    given = {"run": run, "truth": truth, "binary": [*names, "r-precision"], "graded": [f"ndcg@{k}" for k in CUTOFFS]}
    found = subprocess.run(
        [sys.executable, "-c", RANX_PROGRAM],
        input=json.dumps(given),
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(found.stdout.splitlines()[-1])


@pytest.mark.parametrize("k", CUTOFFS)
def test_equal_to_ranx(lists, ranx, k):
    ranked, relevant, gains = lists
    ours, sizes = with_gains(judged(ranked, relevant), gains), np.array([len(items) for items in relevant])
    for name in ("recall", "precision", "mrr", "hit_rate", "ndcg"):
        np.testing.assert_allclose(METRICS[name](ours, k), ranx["binary"][f"{name}@{k}"], rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(METRICS["ndcg_graded"](ours, k), ranx["graded"][f"ndcg@{k}"], rtol=1e-6)
    # Its map is that of TREC: divided by |R| however small k is.
    np.testing.assert_allclose(METRICS["map"](ours, k) * np.minimum(k, sizes) / sizes, ranx["binary"][f"map@{k}"], rtol=1e-6)
    np.testing.assert_allclose(METRICS["r_precision"](ours), ranx["binary"]["r-precision"], rtol=1e-6)


@pytest.mark.parametrize("k", CUTOFFS)
def test_equal_to_scikit_learn_binary_and_graded(lists, k):
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    ranked, relevant, gains = lists
    truth = np.zeros((N_LISTS, N_ITEMS))
    for row, (items, values) in enumerate(zip(relevant, gains, strict=True)):
        truth[row, items] = values
    ours, scores = with_gains(judged(ranked, relevant), gains), places_as_scores(ranked)
    assert METRICS["ndcg"](ours, k).mean() == pytest.approx(sklearn_metrics.ndcg_score(truth > 0, scores, k=k))
    assert METRICS["ndcg_graded"](ours, k).mean() == pytest.approx(sklearn_metrics.ndcg_score(truth, scores, k=k))


class GivenLists:
    """What implicit's evaluation asks of a model: ranked items for each user."""

    def __init__(self, ranked):
        self._ranked = ranked

    def recommend(self, user_ids, user_items, N=10, **_):
        return self._ranked[user_ids, :N], np.ones((len(user_ids), N), np.float32)


@pytest.mark.parametrize("k", CUTOFFS)
def test_equal_to_implicit_but_for_three_definitions(lists, k):
    evaluation = pytest.importorskip("implicit.evaluation")
    ranked, relevant, _ = lists
    rows = np.repeat(np.arange(N_LISTS), [len(items) for items in relevant])
    test = scipy.sparse.csr_matrix((np.ones(len(rows)), (rows, np.concatenate(relevant))), shape=(N_LISTS, N_ITEMS))
    theirs = evaluation.ranking_metrics_at_k(GivenLists(ranked), test * 0, test, K=k, show_progress=False, num_threads=1)
    ours, sizes = judged(ranked, relevant), np.array([len(items) for items in relevant])
    assert theirs["map"] == pytest.approx(METRICS["map"](ours, k).mean())
    assert theirs["ndcg"] == pytest.approx(METRICS["ndcg"](ours, k).mean())
    # Its "precision" is divided by min(k, |R|) and pooled over users: all hits over all places that could be hits.
    possible = np.minimum(k, sizes)
    assert theirs["precision"] == pytest.approx((METRICS["recall_capped"](ours, k) * possible).sum() / possible.sum())
    # Its "auc" sees the first k places alone and takes all other items, relevant or not, as spread evenly below them.
    assert theirs["auc"] == pytest.approx(
        np.mean([auc_of_a_list(row[:k], set(items.tolist())) for row, items in zip(ranked, relevant, strict=True)])
    )


def auc_of_a_list(shown, relevant):
    hits, misses, above = 0, 0, 0
    for item in shown:
        hits, misses = hits + (item in relevant), misses + (item not in relevant)
        above += hits * (item not in relevant)
    others = N_ITEMS - len(relevant)
    return (above + (hits + len(relevant)) / 2 * (others - misses)) / (len(relevant) * others)
