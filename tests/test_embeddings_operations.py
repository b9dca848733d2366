"""Embeddings: what lies between, does not match, along and without a direction, in groups and clusters."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_embeddings import NAMES, VECTORS, WORDS

import recsys
from recsys.errors import DataError, ParameterError, UnknownIdError
from recsys.ids import IdMap


def made(n=60, dim=6, seed=0):
    return recsys.Embeddings.from_arrays(
        [f"i{number}" for number in range(n)], np.random.default_rng(seed).standard_normal((n, dim)), name="item_id"
    )


SOME = made()


def test_taking_keeps_the_order_asked_for_and_skips_strangers_on_request():
    some = WORDS.take(["apple", "kong", "king"], unknown="skip")
    assert some.ids.to_numpy().tolist() == ["apple", "king"]
    assert some.ids.name == "word"
    with pytest.raises(UnknownIdError, match="kong"):
        WORDS.take(["apple", "kong"])
    with pytest.raises(DataError, match="once only"):
        WORDS.take(["king", "king"])
    with pytest.raises(ParameterError, match="`unknown`"):
        WORDS.take(["king"], unknown="ignore")


def test_between_two_lies_what_is_like_both_and_neither_of_them():
    table = WORDS.between("king", "queen", k=3)
    units = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    middle = (units[0] + units[1]) / 2
    expected = sorted(range(2, 5), key=lambda row: -(units[row] @ middle))
    assert table.word.tolist() == [NAMES[row] for row in expected]
    assert WORDS.between("king", "apple", k=1, share=0.05).word.tolist() == ["man"]
    with pytest.raises(ParameterError, match="from 0 to 1"):
        WORDS.between("king", "queen", share=2)


def test_the_one_that_does_not_match_is_farthest_from_the_others():
    assert WORDS.doesnt_match(["king", "apple", "man"]) == "apple"
    with pytest.raises(DataError, match="3 different words"):
        WORDS.doesnt_match(["king", "apple", "apple"])


def test_pairs_are_measured_one_by_one_or_many_at_a_time():
    assert WORDS.dot("king", "apple") == pytest.approx(float(VECTORS[0] @ VECTORS[4]))
    assert WORDS.euclidean("king", "queen") == pytest.approx(2)
    np.testing.assert_allclose(WORDS.cosine("king", ["king", "queen"]), [1, 0], atol=1e-7)
    np.testing.assert_allclose(WORDS.dot(["king", "man"], ["queen", "woman"]), [0, -0.99], atol=1e-6)
    with pytest.raises(ParameterError, match="as many ids on both sides. Got 2 and 3"):
        WORDS.dot(["king", "man"], ["queen", "woman", "apple"])
    zero = recsys.Embeddings.from_arrays(["a", "zero"], [[1, 0], [0, 0]])
    assert np.isnan(zero.cosine("a", "zero"))


def test_a_direction_goes_from_one_mean_to_the_other():
    direction = WORDS.direction(positive=["king", "man"], negative=["queen", "woman"])
    np.testing.assert_allclose(direction, [0, 1, 0], atol=1e-6)
    assert WORDS.along(direction)["rank"].tolist() == [1, 2, 3, 4, 5]
    assert set(WORDS.along(direction).word[:2]) == {"king", "man"}
    with pytest.raises(DataError, match="zero vector, which has no direction"):
        WORDS.direction(positive=["king"], negative=["king"])


def test_projection_keeps_the_products_of_what_lies_in_the_subspace():
    basis = np.random.default_rng(1).standard_normal((2, 6))
    projected = SOME.project(basis)
    onto = basis.T @ np.linalg.solve(basis @ basis.T, basis)
    expected = SOME.vectors @ onto
    assert projected.vectors.shape == (60, 2)
    np.testing.assert_allclose(projected.vectors @ projected.vectors.T, expected @ expected.T, atol=1e-4)
    np.testing.assert_allclose(projected.vectors[:, 0], SOME.vectors @ basis[0] / np.linalg.norm(basis[0]), atol=1e-5)
    assert projected.provenance["projected_onto"] == 2


def test_what_is_removed_is_gone_and_the_rest_stays():
    directions = np.random.default_rng(1).standard_normal((2, 6))
    left = SOME.remove(directions)
    np.testing.assert_allclose(left.vectors @ directions.T, 0, atol=1e-5)
    np.testing.assert_allclose(left.project(directions).vectors, 0, atol=1e-5)
    across = np.linalg.svd(directions)[2][2:]
    np.testing.assert_allclose(left.project(across).vectors, SOME.project(across).vectors, atol=1e-5)
    assert SOME.vectors.shape == (60, 6)


def test_without_the_trend_of_a_column_no_linear_function_tells_the_column():
    generator = np.random.default_rng(3)
    popularity = pd.Series(generator.pareto(2, 60), index=SOME.ids.to_numpy())
    told = SOME.vectors + popularity.to_numpy()[:, None] * generator.standard_normal(6)
    items = recsys.Embeddings(SOME.ids, told.astype(np.float32))
    left = items.remove(popularity.sample(frac=1, random_state=0))
    centred = left.vectors - left.vectors.mean(axis=0)
    assert np.abs(np.corrcoef(items.project(items.trend(popularity)).vectors[:, 0], popularity)[0, 1]) > 0.8
    np.testing.assert_allclose(centred.T @ popularity.to_numpy(), 0, atol=1e-3)
    slope = np.linalg.lstsq(items.vectors - items.vectors.mean(0), popularity - popularity.mean(), rcond=None)[0]
    assert np.linalg.norm(slope) > 0.1  # it could be told before


def test_a_trend_goes_by_the_ids_that_have_a_number():
    some = {"i3": 1.0, "i5": 2.0, "stranger": 9.0, "i7": np.nan}
    expected = SOME["i5"] - SOME["i3"]
    np.testing.assert_allclose(SOME.trend(some), expected / np.linalg.norm(expected), atol=1e-6)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"i1": 1.0, "i2": 1.0}, "all values are the same"),
        ({"x": 1.0, "y": 2.0}, "names none of the item_ids here"),
        ([1.0, 2.0], "must be a pandas Series or a mapping by item_id. Got list"),
        (pd.Series([1, 2], index=["i1", "i1"]), "must be indexed by item_id: Each item_id must be unique"),
        ({"i1": "a", "i2": "b"}, "must map each item_id to a number"),
        ({"i1": np.inf, "i2": 1.0}, "must be finite. Not so: 'i1'"),
    ],
)
def test_columns_that_do_not_fit_are_named(values, message):
    with pytest.raises((DataError, ParameterError), match=message):
        SOME.trend(values)


@pytest.mark.parametrize(
    ("direction", "message"),
    [
        (np.ones(5), "6 finite numbers"),
        (np.zeros(6), "must not be zero"),
        (np.ones((2, 6)), "must not depend on each other"),
        (np.eye(7, 6), "must not be zero"),
        (np.full(6, np.nan), "6 finite numbers"),
        ("king", "6 finite numbers"),
        (np.empty((0, 6)), "must not be zero"),
    ],
)
def test_directions_that_do_not_fit_are_refused(direction, message):
    with pytest.raises(ParameterError, match=message):
        SOME.remove(direction)
    with pytest.raises(ParameterError):
        SOME.along(np.eye(2, 6))


def test_centroids_are_the_means_of_groups():
    countries = pd.Series(["fr", "de", "fr", None], index=["i1", "i2", "i3", "i4"])
    found = SOME.centroids(countries, name="country")
    assert found.ids.to_numpy().tolist() == ["de", "fr"]
    np.testing.assert_allclose(found["fr"], (SOME["i1"] + SOME["i3"]) / 2, atol=1e-6)
    assert found.ids.name == "country"
    with pytest.raises(DataError, match="none of the item_ids"):
        SOME.centroids({})


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_clusters_find_the_groups_that_are_there(metric):
    generator = np.random.default_rng(0)
    sizes, centres = [40, 25, 10], np.eye(3, 5) * 4
    truth = np.repeat(np.arange(3), sizes)
    vectors = centres[truth] + generator.standard_normal((75, 5)) * 0.3
    shuffled = generator.permutation(75)
    points = recsys.Embeddings.from_arrays(shuffled, vectors[shuffled], name="item_id")
    found = points.clusters(3, metric=metric)
    assert found.sizes.tolist() == sizes
    assert found.labels.tolist() == truth[shuffled].tolist()
    assert found.table.columns.tolist() == ["item_id", "cluster", "score"]
    assert repr(found) == "Clusters(3 of 75 item_ids, 10 to 40 each)"
    typical = found.typical(2)
    assert typical["cluster"].tolist() == [0, 0, 1, 1, 2, 2]
    nearest = found.centroids.vectors[1] if metric == "euclidean" else found.centroids.units[1]
    rows = np.flatnonzero(found.labels == 1)
    scores = -np.linalg.norm(points.vectors[rows] - nearest, axis=1) if metric == "euclidean" else points.units[rows] @ nearest
    assert typical.item_id[2] == shuffled[rows[scores.argmax()]]
    again = points.clusters(3, metric=metric, num_threads=1)
    assert again.centres.tobytes() == found.centres.tobytes()


def test_clusters_that_can_not_be_are_refused():
    alike = recsys.Embeddings.from_arrays(range(6), np.ones((6, 2)))
    with pytest.raises(ParameterError, match="not 2 different groups"):
        alike.clusters(2)
    for n in (0, 7, 1.5):
        with pytest.raises(ParameterError, match="from 1 to the number of ids, 6"):
            alike.clusters(n)
    with pytest.raises(ParameterError, match="'cosine' or 'euclidean'"):
        alike.clusters(2, metric="dot")
    assert len(alike.clusters(1)) == 1


@given(shift=st.floats(-1e3, 1e3), seed=st.integers(0, 50))
def test_distances_do_not_depend_on_where_the_origin_is(shift, seed):
    vectors = np.random.default_rng(seed).standard_normal((30, 3)).astype(np.float32)
    moved = recsys.Embeddings(IdMap(range(30)), (vectors.astype(np.float64) + shift).astype(np.float32))
    distances = np.linalg.norm(moved.vectors[:, None].astype(np.float64) - moved.vectors, axis=2)
    np.fill_diagonal(distances, np.inf)
    table = moved.neighbours(k=3, metric="euclidean")
    np.testing.assert_allclose(
        -table.score.to_numpy().reshape(30, 3), np.sort(distances, axis=1)[:, :3], rtol=1e-5, atol=1e-6 * (1 + abs(shift))
    )
