"""Compressed embeddings and models: sizes are as told, lists are those of what the codes stand for, files come back."""

import json
import shutil
from pathlib import Path

import naive
import numpy as np
import pandas as pd
import pytest
from conftest import random_interactions
from hypothesis import given
from hypothesis import strategies as st

import recsys
from recsys.embeddings.compression import CompressedEmbeddings
from recsys.embeddings.compression.coded import STORAGES, CodedVectors
from recsys.embeddings.compression.search import CodeSearch
from recsys.embeddings.compression.turn import Turn, random_signs
from recsys.embeddings.search import unit_rows
from recsys.errors import DataError, FormatError, InputError, ParameterError, UnknownIdError
from recsys.parallel import Workers
from recsys.retrieval import top_k

EXACT = [storage for storage in STORAGES if storage != "binary"]
N, DIM = 600, 24
GOLDEN = Path(__file__).parent / "golden" / "v1" / "compressed"


def vectors_like_trained(n=N, dim=DIM, seed=0):
    """Decaying spectrum, skewed lengths, a mean that is not 0, and one zero vector."""
    generator = np.random.default_rng(seed)
    vectors = (generator.standard_normal((n, dim)) + 0.3) * np.linspace(1, 0.2, dim)
    vectors *= generator.lognormal(0, 0.7, (n, 1))
    vectors[min(5, n - 1)] = 0
    return vectors.astype(np.float32)


def embeddings(n=N, dim=DIM, seed=0):
    return recsys.Embeddings.from_arrays(np.arange(n) * 3 + 1, vectors_like_trained(n, dim, seed), name="item_id")


def encoded(vectors, storage, kept=0, threads=1):
    with Workers(threads) as workers:
        return CodedVectors.encode(vectors, storage, kept, workers, subspaces=None, random_state=0)


def csr_of(rows):
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return indptr, np.array([p for row in rows for p in sorted(row)], np.int32)


def assert_same_lists(found, wanted):
    np.testing.assert_array_equal(found.counts, wanted.counts)
    valid = np.arange(found.positions.shape[1]) < found.counts[:, None]
    np.testing.assert_array_equal(found.positions[valid], wanted.positions[valid])
    np.testing.assert_array_equal(found.scores[valid], wanted.scores[valid])


@pytest.fixture(scope="module")
def model():
    return recsys.ALS(factors=16, iterations=3).fit(random_interactions(300, 280, 0.1, seed=1))


@pytest.fixture(scope="module")
def rating_model():
    return recsys.ExplicitALS(factors=8, iterations=2).fit(random_interactions(300, 280, 0.1, seed=2))


# ---- what codes stand for -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("storage", "error"), [("float32", 0), ("float16", 3e-4), ("int8", 0.01), ("int4", 0.12), ("pq", 0.3), ("binary", 0.65)]
)
def test_decoded_vectors_are_as_near_as_their_bits_allow(storage, error):
    vectors = vectors_like_trained()
    decoded = encoded(vectors, storage).all_vectors()
    assert np.linalg.norm(decoded - vectors) <= error * np.linalg.norm(vectors)
    assert not decoded[5].any()
    # Short vectors are kept as well as long ones, which one scale for all would not do.
    lengths = np.linalg.norm(vectors, axis=1)
    short = (lengths > 0) & (lengths < np.median(lengths) / 2)
    distances = np.linalg.norm(decoded - vectors, axis=1)[short]
    assert np.median(distances / lengths[short]) <= 1.5 * error


def test_more_bits_are_nearer():
    vectors = vectors_like_trained()
    errors = [np.linalg.norm(encoded(vectors, storage).all_vectors() - vectors) for storage in STORAGES]
    assert errors == sorted(errors)


@pytest.mark.parametrize("storage", STORAGES)
def test_one_thread_and_two_encode_to_the_same_bytes(storage):
    vectors = vectors_like_trained(9000, 6)
    one, two = (encoded(vectors, storage, threads=threads).arrays() for threads in (1, 2))
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("storage", STORAGES)
def test_a_row_decodes_alike_alone_and_among_others(storage):
    coded = encoded(vectors_like_trained(), storage, kept=2)
    some = np.array([7, 3, 599])
    np.testing.assert_array_equal(coded.vectors(some), coded.all_vectors()[some])
    np.testing.assert_array_equal(coded.taken(some).all_vectors(), coded.all_vectors()[some])


def test_nibbles_are_packed_as_their_twin_reads_them():
    coded = encoded(vectors_like_trained(dim=7), "int4")
    codes = coded.codes
    halves = np.array([naive.nibbles(code)[:7] for code in codes.codes]) - 7.5
    values = codes.middles + codes.steps * (halves * (1 + 0.00872 * halves**2))
    expected = (codes.lengths.astype(np.float64)[:, None] * values) @ Turn(coded.turn).axes.T
    np.testing.assert_allclose(coded.all_vectors(), expected, atol=1e-5)


@pytest.mark.parametrize("dim", [1, 2, 3, 8, 13])
def test_a_turn_is_orthogonal(dim):
    axes = Turn(random_signs(dim, 0)).axes
    np.testing.assert_allclose(axes @ axes.T, np.eye(dim), atol=1e-12)


@pytest.mark.parametrize("scale", [1e-20, 1e20])
@pytest.mark.parametrize("storage", ["int8", "int4", "pq", "binary"])
def test_scales_that_float16_does_not_know_are_kept(storage, scale):
    vectors = vectors_like_trained()
    plain, scaled = (encoded((vectors * np.float32(by)), storage).all_vectors() for by in (1, scale))
    np.testing.assert_allclose(scaled / np.float32(scale), plain, atol=2e-2 * np.abs(plain).max())


@pytest.mark.parametrize("storage", [storage for storage in STORAGES if storage != "pq"])
@pytest.mark.parametrize("shape", [(0, 4), (1, 1), (3, 1), (2, 5)])
def test_few_rows_and_dimensions_are_no_trouble(storage, shape):
    vectors = np.arange(1, shape[0] * shape[1] + 1, dtype=np.float32).reshape(shape)
    found = recsys.Embeddings.from_arrays(np.arange(shape[0]), vectors).compress(storage=storage)
    assert found.vectors.shape == shape
    assert np.isfinite(found.vectors).all()
    lists = found.search_codes(np.ones((2, shape[1]), np.float32), 10)
    assert lists.counts.tolist() == [shape[0]] * 2


@pytest.mark.parametrize("storage", STORAGES)
def test_columns_that_are_kept_come_back_as_they_are(storage):
    vectors = vectors_like_trained()
    decoded = encoded(vectors, storage, kept=2).all_vectors()
    np.testing.assert_array_equal(decoded[:, -2:], vectors[:, -2:])


# ---- searching ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("few", [True, False], ids=["few queries", "many"])
@pytest.mark.parametrize("kept", [0, 2])
@pytest.mark.parametrize("unit", [False, True], ids=["dot", "cosine"])
@pytest.mark.parametrize("storage", EXACT)
def test_lists_are_exactly_those_of_what_the_codes_stand_for(storage, unit, kept, few):
    coded = encoded(vectors_like_trained(), storage, kept)
    generator = np.random.default_rng(1)
    queries = generator.standard_normal((5 if few else 90, DIM)).astype(np.float32)
    seen = csr_of([set(generator.choice(N, 30, replace=False).tolist()) for _ in queries])
    decoded = coded.all_vectors()
    rows, nonzero = (unit_rows(decoded), decoded.any(axis=1)) if unit else (decoded, np.ones(N, np.bool_))
    for candidates in (None, np.arange(0, N, 3)):
        found = CodeSearch(coded, None, 4, unit).top_k(queries, 12, seen=seen, candidates=candidates)
        allowed = np.flatnonzero(nonzero) if candidates is None else candidates[nonzero[candidates]]
        assert_same_lists(found, top_k(queries, rows, 12, seen=seen, candidates=allowed))


@given(data=st.data())
def test_ties_go_to_the_lower_position_and_nothing_leaks(data):
    n, m, dim = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 20)), data.draw(st.integers(1, 4))
    numbers = st.integers(-2, 2)
    queries = np.array(data.draw(st.lists(numbers, min_size=n * dim, max_size=n * dim)), np.float32).reshape(n, dim)
    items = np.array(data.draw(st.lists(numbers, min_size=m * dim, max_size=m * dim)), np.float32).reshape(m, dim)
    seen = csr_of(data.draw(st.lists(st.sets(st.integers(0, m - 1)), min_size=n, max_size=n)))
    k = data.draw(st.integers(1, m + 3))
    coded = encoded(items, data.draw(st.sampled_from(["float16", "int8", "int4"])))
    found = CodeSearch(coded, None, 4, False).top_k(queries, k, seen=seen, num_threads=1)
    assert_same_lists(found, top_k(queries, coded.all_vectors(), k, seen=seen, num_threads=1))


@pytest.mark.parametrize("storage", STORAGES)
def test_lists_do_not_depend_on_threads_or_on_who_else_asks(storage):
    found = embeddings().compress(storage=storage)
    queries = np.random.default_rng(1).standard_normal((70, DIM)).astype(np.float32)
    one, two = (found.search_codes(queries, 9, num_threads=threads) for threads in (1, 2))
    assert_same_lists(one, two)
    alone = found.search_codes(queries[40:41], 9)
    np.testing.assert_array_equal(alone.positions[0], one.positions[40])
    np.testing.assert_array_equal(alone.scores[0], one.scores[40])


def test_signs_propose_and_what_they_stand_for_decides():
    small = embeddings().compress(storage="binary", oversample=N)
    queries = np.random.default_rng(1).standard_normal((8, DIM)).astype(np.float32)
    # Enough is proposed here for nothing to be missed.
    assert_same_lists(small.search_codes(queries, 5), top_k(queries, small.vectors, 5))
    narrow = embeddings().compress(storage="binary", oversample=2).search_codes(queries, 5)
    assert narrow.counts.tolist() == [5] * 8
    valid = np.take_along_axis(queries @ small.vectors.T, narrow.positions.astype(np.int64), axis=1)
    np.testing.assert_allclose(narrow.scores, valid, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rescore", ["float32", "float16"])
@pytest.mark.parametrize("storage", ["int4", "binary"])
def test_lists_scored_again_have_the_scores_of_the_whole_vectors(storage, rescore):
    whole = embeddings()
    small = whole.compress(storage=storage, rescore=rescore, oversample=N)
    queries = np.random.default_rng(1).standard_normal((8, DIM)).astype(np.float32)
    original = whole.vectors.astype(rescore).astype(np.float32)
    assert_same_lists(small.search_codes(queries, 5), top_k(queries, original, 5))
    np.testing.assert_array_equal(small.vectors, original)
    near = small.neighbours([1, 4], 5)
    wanted = recsys.Embeddings(whole.ids, original).neighbours([1, 4], 5)
    pd.testing.assert_frame_equal(near, wanted)


def test_fewer_dimensions_propose_and_all_decide():
    whole = embeddings()
    small = whole.compress(8, rescore="float32", oversample=20)
    assert (small.dim, small.coded.dim) == (DIM, 8)
    queries = small.to_space(np.random.default_rng(1).standard_normal((20, DIM)).astype(np.float32))
    found, exact = small.search_codes(queries, 5), top_k(queries, small.vectors, 5)
    shared = [len(set(a) & set(b)) for a, b in zip(found.positions.tolist(), exact.positions.tolist(), strict=True)]
    assert np.mean(shared) > 4.5
    np.testing.assert_allclose(found.scores[:, 0], exact.scores[:, 0], rtol=0.2)


@pytest.mark.parametrize("storage", EXACT)
def test_nearest_and_neighbours_are_those_of_the_decompressed(storage):
    small = embeddings().compress(storage=storage)
    plain = small.decompress()
    assert type(plain) is recsys.Embeddings
    for metric in ("cosine", "dot", "euclidean"):
        pd.testing.assert_frame_equal(small.nearest(4, 7, metric=metric), plain.nearest(4, 7, metric=metric))
        pd.testing.assert_frame_equal(small.neighbours(k=3, metric=metric), plain.neighbours(k=3, metric=metric))
    assert small.cosine(4, 7) == plain.cosine(4, 7)
    np.testing.assert_array_equal(small[4], plain[4])
    np.testing.assert_array_equal(small.mean([4, 7]), plain.mean([4, 7]))
    assert small.analogy(positive=[4], negative=[7]).equals(plain.analogy(positive=[4], negative=[7]))


def test_a_zero_vector_is_nobodys_neighbour_by_cosine():
    small = embeddings().compress(storage="int4")
    zero = small.ids.ids_at(np.array([5]))[0].as_py()
    assert zero not in set(small.nearest(4, N)["item_id"])
    assert small.nearest(zero, 5).empty


# ---- dimensions -----------------------------------------------------------------------------------------------------


def test_leading_columns_are_kept_where_these_are_principal_axes():
    vectors = vectors_like_trained()
    _, _, axes = np.linalg.svd(vectors, full_matrices=False)
    turned = recsys.Embeddings.from_arrays(np.arange(N), vectors @ axes.T)
    small = turned.compress(6, storage="float32")
    assert small.axes is None
    np.testing.assert_array_equal(small.vectors, turned.vectors[:, :6])


def test_other_axes_are_found_that_keep_the_most_of_the_dot_products():
    generator = np.random.default_rng(3)
    rotation, _ = np.linalg.qr(generator.standard_normal((DIM, DIM)))
    vectors = (vectors_like_trained() @ rotation).astype(np.float32)
    small = recsys.Embeddings.from_arrays(np.arange(N), vectors).compress(6, storage="float32")
    left, values, right = np.linalg.svd(vectors.astype(np.float64), full_matrices=False)
    best = (left[:, :6] * values[:6]) @ right[:6]
    np.testing.assert_allclose(small.vectors @ small.vectors.T, best @ best.T, atol=1e-3 * np.abs(best @ best.T).max())
    np.testing.assert_allclose(small.to_space(vectors), small.vectors, atol=1e-4)


@pytest.mark.parametrize("dimensions", [None, 10])
def test_users_are_turned_with_the_items(model, dimensions):
    small = model.compress(dimensions, storage="float32")
    scores = small.user_embeddings.vectors @ small.item_embeddings.vectors.T
    whole = model.user_embeddings.vectors @ model.item_embeddings.vectors.T
    left, values, right = np.linalg.svd(whole.astype(np.float64))
    kept = dimensions or model.item_embeddings.dim
    best = (left[:, :kept] * values[:kept]) @ right[:kept]
    # No product of so few dimensions is nearer than the best one; turning alone comes close to it.
    assert np.linalg.norm(scores - whole) <= 1.1 * np.linalg.norm(best - whole) + 1e-4 * np.linalg.norm(whole)


# ---- sizes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("storage", "own", "shared"),
    [
        ("float32", 4 * DIM, 0),
        ("float16", 2 * DIM, 0),
        ("int8", DIM + 2, 8 * DIM),
        ("int4", DIM // 2 + 2, 8 * DIM + 2 * DIM),
        ("pq", DIM // 4 + 2, 2 * 256 * DIM + 4 + 4 * DIM),
        ("binary", DIM // 8 + 2, 4 * DIM + 2 * DIM),
    ],
)
def test_sizes_are_told_with_scales_and_codebooks_and_lie_so_on_the_disk(storage, own, shared, tmp_path):
    small = embeddings().compress(storage=storage)
    assert small.n_bytes == own * N + shared
    assert small.bytes_per_id == pytest.approx(own + shared / N)
    small.save(tmp_path / "small")
    header = 128
    arrays = list((tmp_path / "small").glob("*.npy"))
    assert sum(path.stat().st_size - header for path in arrays) == small.n_bytes


def test_subspaces_are_the_bytes_of_a_vector():
    small = embeddings().compress(storage="pq", subspaces=5)
    assert small.coded.codes.codes.shape == (N, 5)
    # 24 dimensions in 5 subspaces: four of 5 and one of 4.
    assert sorted((small.coded.codes.columns >= 0).sum(axis=1).tolist()) == [4, 5, 5, 5, 5]
    assert sorted(small.coded.codes.columns[small.coded.codes.columns >= 0].tolist()) == list(range(DIM))


# ---- models ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("storage", EXACT)
def test_a_model_recommends_by_the_codes_as_by_what_they_stand_for(model, storage):
    small = model.compress(storage=storage)
    plain = recsys.Model.from_vectors(
        model.history, small.user_embeddings.vectors, small.item_embeddings.vectors, fold_in=model.fold_in_method
    )
    asked = {"users": model.users.to_numpy()[:9], "k": 7}
    pd.testing.assert_frame_equal(small.recommend(**asked), plain.recommend(**asked))
    some = model.items.to_numpy()[:100:3]
    pd.testing.assert_frame_equal(small.recommend(**asked, only_items=some), plain.recommend(**asked, only_items=some))
    pd.testing.assert_frame_equal(small.similar_items(some[:3], 4), plain.similar_items(some[:3], 4))
    users, items = model.users.to_numpy()[[0, 3]], model.items.to_numpy()[[9, 2]]
    np.testing.assert_array_equal(small.score(users, items), plain.score(users, items))
    basket = {"items": model.items.to_numpy()[:4].tolist(), "k": 5}
    pd.testing.assert_frame_equal(small.recommend_basket(**basket), plain.recommend_basket(**basket))


@pytest.mark.parametrize("storage", STORAGES)
def test_lists_and_scores_of_pairs_agree(model, storage):
    small = model.compress(storage=storage)
    lists = small.recommend(model.users.to_numpy()[:5], k=6)
    np.testing.assert_array_equal(small.score(lists["user_id"], lists["item_id"]), lists["score"].to_numpy())


def test_with_whole_vectors_a_model_scores_by_these(model):
    small = model.compress(storage="binary", rescore="float32", oversample=200)
    assert small.user_embeddings.storage == "float32"
    users = model.users.to_numpy()[:9]
    pd.testing.assert_frame_equal(small.recommend(users, k=5), model.recommend(users, k=5))


@pytest.mark.parametrize("storage", ["int8", "int4", "binary"])
@pytest.mark.parametrize("dimensions", [None, 6])
def test_columns_of_biases_are_left_alone(rating_model, storage, dimensions):
    small = rating_model.compress(dimensions, storage=storage)
    assert small.item_embeddings.dim == (dimensions or 8) + 2
    np.testing.assert_array_equal(small.item_embeddings.vectors[:, -2:], rating_model.item_embeddings.vectors[:, -2:])
    np.testing.assert_array_equal(small.user_embeddings.vectors[:, -2:], rating_model.user_embeddings.vectors[:, -2:])
    users, items = rating_model.users.to_numpy()[:50], rating_model.items.to_numpy()[:50]
    difference = small.score(users, items) - rating_model.score(users, items)
    assert np.abs(difference).mean() < 0.5
    with pytest.raises(ParameterError, match="from 1 to the 8 that there are"):
        rating_model.compress(9)


def test_new_users_are_folded_in_by_what_the_codes_stand_for(model):
    small = model.compress(storage="int8")
    events = recsys.read_interactions(
        pd.DataFrame({"user_id": [-1, -1, -1], "item_id": model.items.to_numpy()[:3], "weight": [1.0, 2.0, 1.0]})
    )
    grown = small.fold_in(events)
    assert isinstance(grown.item_embeddings, CompressedEmbeddings)
    vector = model.fold_in(events).user_embeddings[-1]
    np.testing.assert_allclose(grown.user_embeddings[-1], vector, atol=0.05 * np.abs(vector).max())
    assert len(grown.recommend([-1], k=5)) == 5


def test_evaluation_goes_the_same_way(model):
    test = random_interactions(300, 280, 0.1, seed=9)
    whole, small = (
        recsys.evaluate(which, test, ["ndcg@10", "auc"], overlap="drop") for which in (model, model.compress(storage="int8"))
    )
    np.testing.assert_allclose(small.values.mean(axis=0), whole.values.mean(axis=0), rtol=0.02)


# ---- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rescore", [None, "float16"])
@pytest.mark.parametrize("storage", ["int8", "int4", "pq", "binary"])
def test_compressed_embeddings_come_back_from_their_directory(storage, rescore, tmp_path):
    small = embeddings().compress(8, storage, rescore=rescore)
    small.save(tmp_path / "small")
    back = recsys.load(tmp_path / "small")
    assert isinstance(back, CompressedEmbeddings)
    assert back.fingerprint == small.fingerprint
    assert repr(back) == repr(small)
    assert back.describe() == small.describe()
    pd.testing.assert_frame_equal(back.nearest(4, 5), small.nearest(4, 5))
    np.testing.assert_array_equal(back.to_space(np.ones((1, DIM))), small.to_space(np.ones((1, DIM))))
    assert isinstance(recsys.Embeddings.load(tmp_path / "small"), CompressedEmbeddings)


@pytest.mark.parametrize("settings", [{"storage": "int4"}, {"dimensions": 8, "rescore": "float16"}])
def test_a_compressed_model_comes_back_from_its_directory(model, settings, tmp_path):
    small = model.compress(**settings)
    small.save(tmp_path / "small")
    back = recsys.load(tmp_path / "small")
    assert back.fingerprint == small.fingerprint
    pd.testing.assert_frame_equal(back.recommend(k=5), small.recommend(k=5))
    assert back.provenance["compressed"]["storage"] == settings.get("storage", "int8")
    again = back.compress(storage="float16")
    assert again.item_embeddings.dim == back.item_embeddings.dim


def test_one_side_may_be_compressed_alone(model, tmp_path):
    mixed = recsys.Model(model.user_embeddings, model.item_embeddings.compress(storage="int4"), model.history)
    mixed.save(tmp_path / "mixed")
    back = recsys.load(tmp_path / "mixed")
    assert type(back.user_embeddings) is recsys.Embeddings
    pd.testing.assert_frame_equal(back.recommend(k=3), mixed.recommend(k=3))


def test_taking_some_ids_keeps_their_codes(tmp_path):
    small = embeddings().compress(8, "int4", rescore="float16")
    some = small.take([7, 1])
    assert isinstance(some, CompressedEmbeddings)
    np.testing.assert_array_equal(some.vectors, small.vectors[[2, 0]])
    assert some.axes is small.axes
    with pytest.raises(UnknownIdError):
        small.take([2])


def test_open_formats_get_what_the_codes_stand_for(tmp_path):
    small = embeddings().compress(storage="int8")
    small.to_file(tmp_path / "v.parquet")
    np.testing.assert_array_equal(recsys.Embeddings.from_file(tmp_path / "v.parquet").vectors, small.vectors)


def test_a_storage_of_a_newer_version_is_named(tmp_path):
    embeddings().compress(storage="int8").save(tmp_path / "small")
    rewrite_manifest(tmp_path / "small", lambda manifest: manifest["attributes"]["compressed"].update(storage="int2"))
    with pytest.raises(FormatError, match="keeps vectors as 'int2'.*newer version"):
        recsys.load(tmp_path / "small")


def test_codes_of_other_ids_are_refused(tmp_path):
    embeddings().compress(storage="int8").save(tmp_path / "small")
    embeddings(n=500).compress(storage="int8").save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "ids.parquet", tmp_path / "small" / "ids.parquet")
    other = json.loads((tmp_path / "other" / "manifest.json").read_text())["files"]["ids.parquet"]
    rewrite_manifest(tmp_path / "small", lambda manifest: manifest["files"].update({"ids.parquet": other}))
    with pytest.raises(FormatError, match="codes of 600 rows and 500 item_ids"):
        recsys.load(tmp_path / "small")


def rewrite_manifest(folder, change):
    from recsys.storage import _manifest_sum

    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    manifest["manifest_sha256"] = _manifest_sum(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("storage", ["int8", "int4", "pq", "binary"])
def test_golden_codes_of_format_version_1_still_stand_for_the_same(storage):
    found = recsys.load(GOLDEN / storage)
    expected = np.load(GOLDEN / f"{storage}.npy")
    np.testing.assert_allclose(found.vectors, expected, rtol=1e-5, atol=1e-6)
    queries = expected[:3]
    np.testing.assert_array_equal(found.search_codes(queries, 3).counts, [3, 3, 3])


# ---- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"storage": "int9"}, "`storage` must be one of .* Did you mean 'int8'"),
        ({"storage": 8}, "`storage` must be one of"),
        ({"dimensions": DIM + 1}, "from 1 to the 24 that there are. Got 25"),
        ({"dimensions": 0}, "`dimensions` must be an int >= 1. Got 0"),
        ({"dimensions": True}, "`dimensions` must be an int >= 1. Got True"),
        ({"storage": "int8", "subspaces": 4}, "`subspaces` is for storage='pq'"),
        ({"storage": "pq", "subspaces": 25}, "from 1 to the number of dimensions, 24"),
        ({"rescore": "int8"}, "`rescore` must be 'float32', 'float16' or None"),
        ({"storage": "float32", "rescore": "float16"}, "adds nothing"),
        ({"oversample": 3}, "`oversample` is for lists that are scored again"),
        ({"storage": "binary", "oversample": 0.5}, "`oversample` must be a number >= 1"),
        ({"random_state": -1}, "`random_state` must be an int >= 0"),
    ],
)
def test_wrong_arguments_are_named(arguments, sentence):
    with pytest.raises(ParameterError, match=sentence):
        embeddings().compress(**arguments)


def test_too_few_rows_for_a_codebook_are_named():
    with pytest.raises(DataError, match="256 centres.*Got 100.*Hint"):
        embeddings(n=100).compress(storage="pq")


def test_few_different_rows_are_enough_for_a_codebook():
    repeated = recsys.Embeddings.from_arrays(np.arange(300), np.tile(vectors_like_trained(3), (100, 1)))
    np.testing.assert_allclose(repeated.compress(storage="pq").vectors, repeated.vectors, atol=2e-3)


def test_numbers_too_large_for_float16_are_refused():
    large = recsys.Embeddings.from_arrays([1, 2], np.array([[1e6], [1.0]]))
    with pytest.raises(DataError, match="65,504.*1,000,000.*Hint"):
        large.compress(storage="float16")
    assert large.compress(storage="int8").vectors[0, 0] == pytest.approx(1e6, rel=1e-3)


def test_numbers_that_are_not_finite_never_get_so_far():
    with pytest.raises(DataError, match="must be finite"):
        recsys.Embeddings.from_arrays([1, 2], np.array([[np.nan], [1.0]]))


def test_queries_of_another_space_are_refused():
    small = embeddings().compress(6)
    with pytest.raises(ParameterError, match=r"shape \(m, 6\). Got \(1, 24\)"):
        small.search_codes(np.ones((1, DIM), np.float32), 5)
    with pytest.raises(ParameterError, match="must be 6 finite numbers"):
        small.nearest(np.ones(DIM), 5)


def test_an_index_needs_whole_vectors():
    with pytest.raises(InputError, match=r"decompress\(\)"):
        embeddings().compress().build_index()


def test_vectors_are_brought_to_the_space_only_where_its_axes_are_known(model):
    with pytest.raises(ParameterError, match="24 columns"):
        embeddings().compress(6).to_space(np.ones((2, 5)))
    with pytest.raises(InputError, match="axes of a compressed model"):
        model.compress(4).item_embeddings.to_space(np.ones((2, 16)))
