"""The item-item baselines of the benchmarks against their formulas, dense and slow: published rows rest on them."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks import item_item
from conftest import random_interactions

import recsys

DATA = random_interactions(120, 40, 0.2, seed=3)
ONES = (DATA.to_csr().toarray() > 0).astype(float)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    for name, size in (("_USERS_AT_ONCE", 50), ("_ITEMS_AT_ONCE", 7), ("_SWEPT_AT_ONCE", 9)):
        monkeypatch.setattr(item_item, name, size)


def test_ease_is_the_formula():
    inverse = np.linalg.inv(ONES.T @ ONES + 5 * np.eye(ONES.shape[1]))
    expected = np.eye(len(inverse)) - inverse / np.diag(inverse)
    np.testing.assert_allclose(item_item.ease(DATA, regularization=5.0).weights, expected, atol=1e-5)


def test_item_knn_is_the_formula():
    together = ONES.T @ ONES
    cosine = together / np.sqrt(np.outer(np.diag(together), np.diag(together)))
    np.fill_diagonal(cosine, 0)
    weights = np.zeros_like(cosine)
    for item, row in enumerate(cosine):
        nearest = np.argsort(-row, kind="stable")[:6]
        weights[item, nearest] = row[nearest] / row[nearest].sum()
    expected = ONES.mean(axis=0) + (ONES - ONES.mean(axis=0)) @ weights.T
    model = item_item.item_knn(DATA, neighbours=6)
    np.testing.assert_allclose(ONES @ model.weights.toarray() + model.offset, expected, atol=1e-6)


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_its_lists_are_its_scores_in_order_without_what_was_seen(exclude_seen):
    model = item_item.ease(DATA, regularization=5.0)
    scores = (ONES @ model.weights).astype(np.float32)
    scores[(ONES > 0) & exclude_seen] = -np.inf
    lists = model.rank(np.arange(DATA.n_users), DATA.n_items, exclude_seen=exclude_seen)
    for row, count in enumerate(lists.counts):
        assert count == np.isfinite(scores[row]).sum()
        np.testing.assert_allclose(scores[row, lists.positions[row, :count]], np.sort(scores[row])[::-1][:count], atol=1e-5)


def test_the_evaluator_takes_them():
    train, test = recsys.split.random(DATA)
    result = recsys.evaluate(item_item.ease(train, regularization=5.0), test, "recall@10")
    popular = recsys.evaluate(recsys.Popularity().fit(train), test, "recall@10")
    assert result.values.mean() > popular.values.mean()
