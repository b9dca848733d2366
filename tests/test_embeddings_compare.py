"""Comparing versions: a rotation is no change, every measure is its formula, limits make a gate."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import random_interactions
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes
from scipy.stats import ortho_group

import recsys
from recsys.embeddings import compare, drift
from recsys.errors import DataError, ParameterError


def embeddings(vectors, first=0):
    return recsys.Embeddings.from_arrays(np.arange(first, first + len(vectors)), vectors, name="item_id")


def drawn(n=60, dim=5, seed=0):
    return np.random.default_rng(seed).standard_normal((n, dim))


def test_a_rotation_is_no_change():
    vectors = drawn()
    found = compare(embeddings(vectors), embeddings(vectors @ ortho_group.rvs(5, random_state=0)))
    assert found.measures["displacement"] < 1e-5
    assert found.measures["cosine"] == pytest.approx(1, abs=1e-5)
    assert found.measures["cka"] == pytest.approx(1, abs=1e-5)
    assert found.measures["overlap"] == 1
    assert found.measures["norm_ratio"] == pytest.approx(1, abs=1e-5)
    assert found.gate(min_overlap=1, max_displacement=0.001, min_cka=0.999, max_gone=0, max_new=0) == []


def test_every_measure_is_its_formula():
    old, new = drawn(seed=1), drawn(seed=2)
    found = compare(embeddings(old), embeddings(new, first=10), k=4)
    one, other = old[10:], new[:50]
    turned = other @ orthogonal_procrustes(other, one)[0]
    typical = np.sqrt((np.linalg.norm(one, axis=1) ** 2).mean())
    np.testing.assert_allclose(found.per_id.displacement, np.linalg.norm(turned - one, axis=1) / typical, atol=1e-5)
    units = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in (one, turned)]
    np.testing.assert_allclose(found.per_id.cosine, (units[0] * units[1]).sum(axis=1), atol=1e-5)
    near = []
    for side in units:
        scores = side @ side.T
        np.fill_diagonal(scores, -9)
        near.append(np.argsort(-scores, axis=1)[:, :4])
    shares = [len(set(a) & set(b)) / 4 for a, b in zip(*near, strict=True)]
    np.testing.assert_allclose(found.per_id.overlap, shares)
    centred = [side - side.mean(axis=0) for side in (one, other)]
    grams = [side @ side.T for side in centred]
    cka = (grams[0] * grams[1]).sum() / np.linalg.norm(grams[0]) / np.linalg.norm(grams[1])
    assert found.cka == pytest.approx(cka, rel=1e-4)
    values = np.linalg.eigvalsh(old.T @ old)[::-1]
    np.testing.assert_allclose(found.spectrum().share_before, values / values.sum(), atol=1e-5)
    shares = values / values.sum()
    assert found.measures["effective_rank_before"] == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-4)
    assert found.gone.to_numpy().tolist() == list(range(10))
    assert found.new.to_numpy().tolist() == list(range(60, 70))
    assert (found.measures["gone_share"], found.measures["new_share"]) == (1 / 6, 1 / 6)
    assert repr(found).startswith("VersionComparison(50 item_ids in both, 10 gone, 10 new; displacement")


lists = st.lists(st.integers(0, 8), max_size=5, unique=True)


@given(a=lists, b=lists)
def test_overlaps_are_those_of_sets(a, b):
    rows = [np.array([side + [drift.ENDED] * (5 - len(side))]) for side in (a, b)]
    longer = max(len(a), len(b))
    if not longer:
        assert np.isnan(drift.overlap(*rows)[0])
        assert np.isnan(drift.average_overlap(*rows)[0])
        return
    assert drift.overlap(*rows)[0] == len(set(a) & set(b)) / longer
    by_depth = [len(set(a[:depth]) & set(b[:depth])) / depth for depth in range(1, longer + 1)]
    assert drift.average_overlap(*rows)[0] == pytest.approx(np.mean(by_depth))


def test_what_moved_most_is_told_with_its_neighbours():
    old = np.vstack([np.eye(4) * 5, np.eye(4) * 5 + 0.1])
    new = old.copy()
    new[0] = [0, 0, 5, 0.2]
    found = compare(embeddings(old), embeddings(new), k=1)
    moved = found.moved(1, k=1)
    assert moved.item_id.tolist() == [0]
    assert moved.near_before.tolist() == [[4]]
    assert moved.near_after.tolist() in ([[2]], [[6]])
    assert found.moved(2, by="overlap").item_id.tolist()[0] == 0
    with pytest.raises(ParameterError, match="`by`"):
        found.moved(by="norm")


def test_changes_are_told_by_group():
    old = drawn()
    new = old.copy()
    new[:20] += drawn(20, seed=5)
    groups = pd.Series(["moved"] * 20 + ["stayed"] * 30, index=range(50))
    table = compare(embeddings(old), embeddings(new), groups=groups).by_group()
    assert table.group.tolist()[:2] == ["moved", "stayed"]
    assert table.n.tolist() == [20, 30, 10]
    assert pd.isna(table.group[2])
    assert table.displacement[0] > 2 * table.displacement[1]
    with pytest.raises(ParameterError, match=r"no groups. Hint: compare\(…, groups=…\)"):
        compare(embeddings(old), embeddings(new)).by_group()


def test_a_sample_estimates_the_whole_with_an_interval():
    old, new = drawn(400), drawn(400) + drawn(400, seed=9) * 0.3
    whole = compare(embeddings(old), embeddings(new), sample=None)
    part = compare(embeddings(old), embeddings(new), sample=150)
    summary = part.summary().set_index("measure")
    assert part.per_id.overlap.notna().sum() == 150
    assert summary.low["overlap"] < whole.measures["overlap"] < summary.high["overlap"]
    assert whole.summary().low.isna().all()
    again = compare(embeddings(old), embeddings(new), sample=150, num_threads=1)
    pd.testing.assert_frame_equal(part.per_id, again.per_id)


def test_different_dimensions_and_zero_vectors_are_compared():
    old = drawn(dim=3)
    old[7] = 0
    found = compare(embeddings(old), embeddings(np.hstack([old, np.zeros((60, 2))])))
    assert found.measures["displacement"] < 1e-5
    assert np.isnan(found.per_id.cosine[7])
    assert np.isnan(found.per_id.overlap[7])
    assert found.spectrum().share_before.tolist()[3:] == [0, 0]


@pytest.fixture(scope="module")
def models():
    data = random_interactions(150, 60, 0.3)
    later = random_interactions(150, 70, 0.3)
    return recsys.ALS(factors=6, iterations=3).fit(data), recsys.ALS(factors=6, iterations=3, random_state=1).fit(later)


def test_models_are_compared_by_their_users_lists_too(models):
    before, after = models
    found = compare(before, after, k=5)
    ids = found.users.user_id.tolist()
    old, new = (model.recommend(ids, k=5).groupby("user_id", sort=False).item_id.apply(list) for model in models)
    expected = [len(set(old[id_]) & set(new[id_])) / 5 for id_ in ids]
    np.testing.assert_allclose(found.users.overlap, expected)
    np.testing.assert_array_equal(found.users.same_first, [old[id_][0] == new[id_][0] for id_ in ids])
    assert found.measures["list_overlap"] == pytest.approx(np.mean(expected))
    turned = compare(before, before.align_to(after))
    assert turned.measures["list_overlap"] == turned.measures["list_average_overlap"] == 1
    assert "lists" in repr(found)


def test_a_report_is_json(models):
    found = compare(*models, groups=pd.Series(["x"] * 10, index=models[0].items.to_numpy()[:10]))
    report = json.loads(json.dumps(found.to_dict(n_moved=3), allow_nan=False))
    assert report["measures"]["n_shared"] == 60
    assert len(report["moved"]) == 3
    assert {row["group"] for row in report["groups"]} == {"x", None}


def test_limits_that_are_not_kept_are_sentences(models):
    found = compare(*models)
    failures = found.gate(min_list_overlap=0.99, max_new=0.01, min_cka=0)
    assert len(failures) == 2
    assert failures[0].startswith("list_overlap is 0.")
    assert "below 0.99 (mean share of a user's list of 10 that stayed)" in failures[0]
    assert failures[1].startswith("new_share is 0.1429, above 0.01")
    with pytest.raises(ParameterError, match="Did you mean 'min_overlap'"):
        found.gate(min_overlapp=1)
    with pytest.raises(ParameterError, match="`min_cka` must be a number >= 0"):
        found.gate(min_cka="high")
    vectors = embeddings(drawn())
    with pytest.raises(ParameterError, match="about users' lists"):
        compare(vectors, vectors).gate(min_list_overlap=0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"after": embeddings(drawn(), first=500)}, "share no item_id"),
        ({"after": "model"}, "`after` must be Embeddings or a model. Got str|both Embeddings or both models"),
        ({"k": 0}, "`k`"),
        ({"sample": 0}, "`sample` must be an int >= 1, or None"),
        ({"groups": ["a"]}, "`groups` must be a pandas Series"),
    ],
)
def test_a_wrong_call_is_told(arguments, message):
    call = {"before": embeddings(drawn()), "after": embeddings(drawn()), **arguments}
    with pytest.raises((DataError, ParameterError), match=message):
        compare(call.pop("before"), call.pop("after"), **call)
