"""Embeddings: operations equal their formulas, ids in the query are left out, zero vectors and bad arguments are told."""

import numpy as np
import pandas as pd
import pytest

import recsys
from recsys.errors import DataError, FormatError, ParameterError, UnknownIdError
from recsys.ids import IdMap

NAMES = ["king", "queen", "man", "woman", "apple"]
VECTORS = np.array([[1, 1, 0], [1, -1, 0], [0.1, 1, 0], [0.1, -1, 0], [0, 0.05, 2]], np.float32)
WORDS = recsys.Embeddings(IdMap(NAMES, name="word"), VECTORS)


def test_an_id_gives_its_vector_and_a_list_of_ids_gives_embeddings():
    np.testing.assert_array_equal(WORDS["queen"], VECTORS[1])
    some = WORDS[["apple", "king"]]
    assert some.ids.to_numpy().tolist() == ["apple", "king"]
    np.testing.assert_array_equal(some.vectors, VECTORS[[4, 0]])
    assert ("king" in WORDS, "kong" in WORDS) == (True, False)
    with pytest.raises(UnknownIdError, match=r"Unknown word: 'kin'\. Did you mean 'king'\?"):
        WORDS["kin"]


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize(
    "query", ["king", ["man", "woman"], np.array([0.5, 0.2, 0.1], np.float32)], ids=["id", "ids", "vector"]
)
def test_nearest_ranks_by_the_metric_and_leaves_the_query_out(metric, query):
    if isinstance(query, np.ndarray):
        vector, left_out = query, []
    else:
        left_out = [query] if isinstance(query, str) else query
        vector = VECTORS[[NAMES.index(name) for name in left_out]].mean(axis=0)
    score = {
        "dot": VECTORS @ vector,
        "cosine": VECTORS @ vector / np.linalg.norm(VECTORS, axis=1) / np.linalg.norm(vector),
        "euclidean": -np.linalg.norm(VECTORS - vector, axis=1),
    }[metric]
    expected = sorted((-s, name) for name, s in zip(NAMES, score, strict=True) if name not in left_out)
    table = WORDS.nearest(query, k=10, metric=metric)
    assert table.columns.tolist() == ["word", "score", "rank"]
    assert table.word.tolist() == [name for _, name in expected]
    np.testing.assert_allclose(table.score, [-s for s, _ in expected], atol=1e-6)
    assert table["rank"].tolist() == list(range(1, len(expected) + 1))


def test_an_analogy_adds_and_subtracts():
    assert WORDS.analogy(positive=["king", "woman"], negative=["man"], k=1).word.tolist() == ["queen"]
    with pytest.raises(ParameterError, match="at least one id"):
        WORDS.analogy(positive=[])


def test_a_mean_is_the_mean_weighted_on_request():
    np.testing.assert_allclose(WORDS.mean(["king", "queen"]), [1, 0, 0])
    np.testing.assert_allclose(WORDS.mean(["king", "queen"], weights=[3, 1]), [1, 0.5, 0])
    with pytest.raises(DataError, match="at least one word"):
        WORDS.mean([])
    for weights in ([1], [1, -1], "ab"):
        with pytest.raises(ParameterError, match="`weights` must be 2 numbers"):
            WORDS.mean(["king", "queen"], weights=weights)


def test_a_zero_vector_has_no_neighbours_under_cosine_and_is_nobodys():
    words = recsys.Embeddings(IdMap(["a", "b", "zero"]), np.array([[1, 0], [1, 1], [0, 0]], np.float32))
    table = words.neighbours(k=5)
    assert table.columns.tolist() == ["id", "similar_id", "score", "rank"]
    assert list(zip(table.id, table.similar_id, strict=True)) == [("a", "b"), ("b", "a")]


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.ones((2, 3)), r"must be numbers of shape \(5, dim\)"),
        (np.ones(5), "one row an id"),
        (np.full((5, 2), "x"), "must be numbers"),
        (np.array([[1], [2], [np.nan], [4], [5]]), "Every vector must be finite. Not so: 'man'"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(vectors, message):
    with pytest.raises(DataError, match=message):
        recsys.Embeddings.from_arrays(NAMES, vectors)


def test_a_list_of_ids_is_told_the_way_in():
    with pytest.raises(ParameterError, match=r"take an IdMap\. Got list\. Hint: Embeddings\.from_arrays"):
        recsys.Embeddings(["a", "b"], np.eye(2))


def test_wrong_queries_are_named():
    with pytest.raises(ParameterError, match="3 finite numbers. Got shape"):
        WORDS.nearest(np.ones(2, np.float32))
    with pytest.raises(ParameterError, match=r"Did you mean 'cosine'\?"):
        WORDS.nearest("king", metric="cosinus")
    with pytest.raises(ParameterError, match="`k`"):
        WORDS.nearest("king", k=0)


def test_saved_embeddings_come_back_equal(tmp_path):
    WORDS.save(tmp_path / "words")
    again = recsys.load(tmp_path / "words")
    assert again.ids == WORDS.ids
    assert again.ids.name == "word"
    assert again.vectors.tobytes() == WORDS.vectors.tobytes()
    assert repr(again) == "Embeddings(5 words × 3, 0.0 MB)"
    with pytest.raises(FormatError, match="holds embeddings; a dataset was expected"):
        recsys.Interactions.load(tmp_path / "words")


def test_vectors_can_not_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        WORDS["king"][0] = 5


def test_a_vector_may_be_a_list_of_numbers_and_one_id_stands_for_a_list_of_it():
    vectors = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.5, 0.5]])
    items = recsys.Embeddings.from_arrays(["ab", "a", "b", "c"], vectors, name="item_id")
    pd.testing.assert_frame_equal(items.nearest([1.0, 0.0], 2), items.nearest(np.array([1.0, 0.0]), 2))
    pd.testing.assert_frame_equal(items.analogy(positive="ab", k=2), items.analogy(positive=["ab"], k=2))
    np.testing.assert_array_equal(
        items.direction(positive="ab", negative="b"), items.direction(positive=["ab"], negative=["b"])
    )
    np.testing.assert_array_equal(
        items.direction(positive=(name for name in ["ab", "a"])), items.direction(positive=["ab", "a"])
    )
    with pytest.raises(DataError, match="can be told of 3 different item_ids or more. Got 1"):
        items.doesnt_match("abc"[:2])
