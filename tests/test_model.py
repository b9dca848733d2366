"""Model: ids in and out, filters that hold, fold-in and explanations equal to the direct computation, files that come back."""

import json
import shutil

import naive
import numpy as np
import pandas as pd
import pytest
from conftest import random_interactions
from hypothesis import given
from hypothesis import strategies as st

import recsys
from recsys.errors import DataError, FormatError, InputError, ParameterError, UnknownIdError
from recsys.model import Model

DATA = random_interactions()
STRINGS = random_interactions(strings=True, timestamps=True)
MODEL = recsys.ALS(factors=8, iterations=4).fit(DATA)
SEEN = set(zip(DATA.to_frame().user_id, DATA.to_frame().item_id, strict=True))
DEFAULTS = {
    "alpha": recsys.ALS().alpha,
    "unobserved_weight": recsys.ALS().unobserved_weight,
    "regularization": recsys.ALS().regularization,
    "exponent": recsys.ALS().regularization_exponent,
    "weighting": recsys.ALS().weighting,
}
ITEM_IDS = DATA.items.to_numpy().tolist()


def test_recommendations_are_ranked_by_dot_product_without_seen_items():
    table = MODEL.recommend(k=7)
    assert table.columns.tolist() == ["user_id", "item_id", "score", "rank"]
    assert table.dtypes.astype(str).tolist() == ["int64", "int64", "float32", "int64"]
    assert table.user_id.drop_duplicates().tolist() == DATA.users.to_numpy().tolist()
    assert not SEEN & set(zip(table.user_id, table.item_id, strict=True))
    for user, rows in table.groupby("user_id"):
        position = DATA.users.position(user)
        seen = DATA.indices[DATA.indptr[position] : DATA.indptr[position + 1]]
        expected = naive.ranked(MODEL.user_embeddings[user], MODEL.item_embeddings.vectors, 7, skip=seen.tolist())
        assert rows.item_id.tolist() == DATA.items.ids_at([p for p, _ in expected]).to_pylist()
        np.testing.assert_array_equal(rows.score, np.array([s for _, s in expected], np.float32))
        assert rows["rank"].tolist() == list(range(1, len(rows) + 1))


def test_users_come_in_the_order_they_were_asked_for():
    assert MODEL.recommend([1005, 1001, 1005], k=1).user_id.tolist() == [1005, 1001, 1005]


@given(
    st.none() | st.lists(st.sampled_from(ITEM_IDS)),
    st.none() | st.lists(st.sampled_from(ITEM_IDS)),
    st.booleans(),
    st.integers(1, 50),
)
def test_a_filtered_item_never_appears_and_no_place_is_lost(only, exclude, exclude_seen, k):
    users = [1000, 1007]
    table = MODEL.recommend(users, k, only_items=only, exclude_items=exclude, exclude_seen=exclude_seen)
    for user in users:
        allowed = set(ITEM_IDS if only is None else only) - set(exclude or [])
        if exclude_seen:
            allowed -= {item for owner, item in SEEN if owner == user}
        got = table.item_id[table.user_id == user].tolist()
        assert set(got) <= allowed
        assert len(got) == len(set(got)) == min(k, len(allowed))


def test_strings_stay_strings():
    model = recsys.ALS(factors=4, iterations=2).fit(STRINGS)
    table = model.recommend(["u3"], k=3)
    assert table.user_id.tolist() == ["u3"] * 3
    assert set(table.item_id) <= set(STRINGS.items.to_numpy())
    assert model.similar_items(["i1"], k=2).similar_item_id.dtype == "str"


def test_batches_hold_the_same_rows_as_one_call():
    batches = list(MODEL.recommend_batches(k=3, batch_users=7))
    assert max(batch.user_id.nunique() for batch in batches) == 7
    pd.testing.assert_frame_equal(pd.concat(batches, ignore_index=True), MODEL.recommend(k=3))


def test_arguments_are_checked_before_the_first_batch_is_asked_for():
    with pytest.raises(UnknownIdError):
        MODEL.recommend_batches([1], k=3)


def test_unknown_users_raise_or_are_skipped_or_get_what_is_popular():
    with pytest.raises(UnknownIdError, match="Unknown user_id: 1, 2"):
        MODEL.recommend([1, 1000, 2])
    assert MODEL.recommend([1, 1000], k=2, unknown="skip").user_id.unique().tolist() == [1000]
    table = MODEL.recommend([1, 1000, 2], k=3, unknown="popular")
    assert table.user_id.tolist() == [1] * 3 + [1000] * 3 + [2] * 3
    top = np.argsort(-DATA.item_counts, kind="stable")[:3]
    assert table.item_id[:3].tolist() == DATA.items.ids_at(top).to_pylist()
    assert table.score[:3].tolist() == DATA.item_counts[top].tolist()
    pd.testing.assert_frame_equal(table[3:6].reset_index(drop=True), MODEL.recommend([1000], k=3))
    shown = MODEL.recommend([1], k=3, unknown="popular", exclude_items=DATA.items.ids_at(top[:1]))
    assert DATA.items.ids_at(top[:1])[0].as_py() not in shown.item_id.tolist()


def test_nobody_asked_for_gives_an_empty_table_with_all_columns():
    for table in (MODEL.recommend([], k=3), MODEL.recommend([5], unknown="skip"), MODEL.recommend([1000], only_items=[])):
        assert len(table) == 0
        assert table.columns.tolist() == ["user_id", "item_id", "score", "rank"]
        assert str(table.item_id.dtype) == "int64"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"k": 0}, ParameterError, r"`k` must be an int >= 1\. Got 0"),
        ({"index": "hnsw"}, ParameterError, "`index` must be one of 'exact'"),
        ({"unknown": "ignore"}, ParameterError, "`unknown` must be 'raise', 'skip' or 'popular'"),
        ({"only_items": [5, 1]}, UnknownIdError, "Unknown item_id: 1"),
        ({"exclude_items": ["x"]}, UnknownIdError, "these are strings"),
        ({"users": 1000}, DataError, r"one id is given as \[1000\]"),
    ],
)
def test_wrong_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        MODEL.recommend(**arguments)


def test_similar_items_are_nearest_by_cosine_and_not_the_item_itself():
    table = MODEL.similar_items([5, 12], k=3)
    assert table.columns.tolist() == ["item_id", "similar_item_id", "score", "rank"]
    vectors = MODEL.item_embeddings.vectors.astype(np.float64)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = unit @ unit[1]
    scores[1] = -2
    assert table.similar_item_id[3:].tolist() == DATA.items.ids_at(np.argsort(-scores)[:3]).to_pylist()
    np.testing.assert_allclose(table.score[3:], np.sort(scores)[::-1][:3], atol=1e-6)
    assert len(MODEL.similar_users(k=2)) == 2 * DATA.n_users


@pytest.mark.parametrize("weighting", ["rendle2022", "hu2008"])
def test_contributions_sum_to_the_score(weighting):
    model = recsys.ALS(factors=8, iterations=4, weighting=weighting, alpha=2.0).fit(DATA)
    best = model.recommend([1003], k=1).iloc[0]
    reasons = model.explain(1003, int(best.item_id), k=None)
    assert reasons.columns.tolist() == ["item_id", "weight", "contribution", "rank"]
    assert set(reasons.item_id) == {item for user, item in SEEN if user == 1003}
    assert reasons.contribution.sum() == pytest.approx(best.score, abs=2e-4)
    assert reasons.attrs["score"] == pytest.approx(best.score, abs=2e-4)
    assert reasons.contribution.is_monotonic_decreasing
    pd.testing.assert_frame_equal(model.explain(1003, int(best.item_id), k=2), reasons.head(2))


def test_contributions_are_how_much_less_the_score_would_be_without_the_entrys_target():
    # Direct computation: the score of the row solved with the right-hand side of one entry alone.
    item = ITEM_IDS[0]
    reasons = MODEL.explain(1004, item, k=None)
    method, fixed = MODEL.fold_in_method, MODEL.item_embeddings.vectors.astype(np.float64)
    start, stop = DATA.indptr[4], DATA.indptr[5]
    y, w = fixed[DATA.indices[start:stop]], DATA.weights[start:stop].astype(np.float64)
    matrix = method.unobserved_weight * fixed.T @ fixed + (y.T * w) @ y
    matrix += method.regularization * (len(w) + method.unobserved_weight * len(fixed)) * np.eye(8)
    direct = {DATA.items.ids_at([p])[0].as_py(): fixed[0] @ np.linalg.solve(matrix, c * v)
              for p, v, c in zip(DATA.indices[start:stop], y, w, strict=True)}  # fmt: skip
    for row in reasons.itertuples():
        assert row.contribution == pytest.approx(direct[row.item_id], rel=1e-4, abs=1e-6)


def test_models_whose_scores_do_not_follow_from_what_users_have_say_so():
    popular = recsys.Popularity().fit(DATA)
    with pytest.raises(InputError, match="'popularity' can not explain"):
        popular.explain(1000, 5)
    with pytest.raises(InputError, match="'unknown' can not fold in"):
        Model.from_vectors(DATA, popular.user_embeddings.vectors, popular.item_embeddings.vectors).fold_in(DATA)


def test_folding_in_the_training_events_as_new_users_gives_their_trained_vectors():
    frame = DATA.to_frame()
    strangers = recsys.Interactions.from_csr(DATA.to_csr(), users=DATA.users.to_numpy() + 50_000, items=DATA.items)
    grown = MODEL.fold_in(strangers)
    np.testing.assert_allclose(grown.user_embeddings.vectors[DATA.n_users :], MODEL.user_embeddings.vectors, atol=1e-4)
    assert grown.users.positions(DATA.users).tolist() == list(range(DATA.n_users))
    assert len(MODEL.users) == DATA.n_users
    # What a new user has is seen for them too.
    table = grown.recommend([50_000 + 1000], k=40)
    assert not set(table.item_id) & set(frame.item_id[frame.user_id == 1000])


def test_folding_in_more_events_of_a_known_user_solves_history_and_events_together():
    extra = DATA.filter(users=[1001, 1002])
    grown = MODEL.fold_in(extra)
    dense = np.full(DATA.shape, np.nan)
    dense[DATA.row_positions(), DATA.indices] = DATA.weights
    dense[1:3] *= 2
    items = MODEL.item_embeddings.vectors.astype(np.float64)
    for row in (1, 2):
        np.testing.assert_allclose(
            grown.user_embeddings.vectors[row], naive.best_user(dense[row], items, **DEFAULTS), atol=1e-4
        )
    np.testing.assert_array_equal(grown.user_embeddings.vectors[3:], MODEL.user_embeddings.vectors[3:])
    assert len(grown.users) == DATA.n_users


def test_new_items_are_folded_in_with_the_users_fixed():
    renamed = recsys.Interactions.from_csr(DATA.to_csr(), users=DATA.users, items=DATA.items.to_numpy() + 90_000)
    grown = MODEL.fold_in(renamed, of="items")
    dense = np.full(DATA.shape, np.nan)
    dense[DATA.row_positions(), DATA.indices] = DATA.weights
    users = MODEL.user_embeddings.vectors.astype(np.float64)
    expected = [naive.best_user(column, users, **DEFAULTS) for column in dense.T]
    np.testing.assert_allclose(grown.item_embeddings.vectors[DATA.n_items :], expected, atol=1e-3)
    assert 90_005 in grown.recommend([1000], k=80, exclude_seen=False).item_id.tolist()


def test_fold_in_refuses_ids_the_fixed_side_does_not_know():
    other = recsys.Interactions.from_csr(np.ones((1, 2)), users=[7], items=[5, 99])
    with pytest.raises(UnknownIdError, match="Unknown item_id: 99"):
        MODEL.fold_in(other)
    with pytest.raises(UnknownIdError, match="Unknown user_id: 7"):
        MODEL.fold_in(other, of="items")
    skipped = MODEL.fold_in(other, unknown="skip")
    assert skipped.provenance["folded_in"]["left_out"] == 1
    assert 7 in skipped.users
    with pytest.raises(ParameterError, match="`unknown` must be"):
        MODEL.fold_in(other, unknown="ignore")
    with pytest.raises(ParameterError, match="`of` must be"):
        MODEL.fold_in(other, of="user")


def test_a_saved_model_gives_equal_lists_and_can_still_fold_in(tmp_path):
    model = recsys.ALS(factors=4, iterations=2).fit(STRINGS)
    model.save(tmp_path / "model")
    again = recsys.load(tmp_path / "model")
    pd.testing.assert_frame_equal(again.recommend(k=5), model.recommend(k=5))
    pd.testing.assert_frame_equal(again.explain("u1", "i2"), model.explain("u1", "i2"))
    assert again.history.fingerprint == STRINGS.fingerprint
    assert again.provenance == json.loads(json.dumps(model.provenance))
    assert isinstance(again, Model)
    assert len(again.fold_in(STRINGS.filter(users=["u1"])).users) == STRINGS.n_users


def test_provenance_names_trainer_settings_data_and_versions():
    provenance = MODEL.provenance
    assert provenance["trainer"] == "als"
    assert provenance["hyperparameters"]["factors"] == 8
    assert provenance["data"]["fingerprint"] == DATA.fingerprint
    assert {"recsys", "numpy", "numba", "python"} <= provenance["versions"].keys()
    assert provenance["training"]["epochs"] == 4


@pytest.fixture
def saved(tmp_path):
    MODEL.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("name", ["item_vectors.npy", "users.parquet", "history_indices.npy", "manifest.json"])
def test_a_file_changed_cut_short_or_gone_is_named(saved, name):
    path = saved / name
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    with pytest.raises(FormatError, match=name):
        recsys.load(saved)
    path.write_bytes(content[:-7])
    with pytest.raises(FormatError, match=name):
        recsys.load(saved, verify=False)
    path.unlink()
    with pytest.raises(FormatError, match=name):
        recsys.load(saved)


def test_a_newer_format_another_kind_and_no_model_at_all_are_told_apart(saved, tmp_path):
    manifest = saved / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(FormatError, match=r"format version 2; this recsys reads up to 1\. Hint: a newer version"):
        recsys.load(saved)
    DATA.save(tmp_path / "set")
    with pytest.raises(FormatError, match="holds a dataset; a model was expected"):
        Model.load(tmp_path / "set")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match=r"a directory without a manifest\.json"):
        recsys.load(tmp_path / "empty")
    with pytest.raises(FormatError, match="does not exist"):
        recsys.load(tmp_path / "nowhere")
    with pytest.raises(FormatError, match="is a file"):
        recsys.load(manifest)


def test_overwriting_replaces_only_what_recsys_wrote(saved, tmp_path):
    with pytest.raises(ParameterError, match="already exists"):
        MODEL.save(saved)
    MODEL.save(saved, overwrite=True)
    DATA.save(tmp_path / "set")
    with pytest.raises(ParameterError, match="set holds a dataset, so it is not overwritten by a model"):
        MODEL.save(tmp_path / "set", overwrite=True)
    precious = tmp_path / "photos"
    precious.mkdir()
    (precious / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(ParameterError, match="not a directory written by recsys, so it is not overwritten"):
        MODEL.save(precious, overwrite=True)
    assert (precious / "holiday.jpg").exists()


def test_a_model_whose_parts_do_not_fit_is_refused():
    users, items = MODEL.user_embeddings, recsys.Embeddings(MODEL.items, MODEL.item_embeddings.vectors[:, :4])
    with pytest.raises(DataError, match="User vectors have 8 columns and item vectors 4"):
        Model(users, items, DATA)
    with pytest.raises(DataError, match="own users and items"):
        Model(users, MODEL.item_embeddings, STRINGS)


def test_golden_files_of_format_version_1_still_load():
    from pathlib import Path

    golden = Path(__file__).parent / "golden" / "v1"
    expected = json.loads((golden / "expected.json").read_text())
    data, model, items = (recsys.load(golden / kind) for kind in ("dataset", "model", "embeddings"))
    assert data.fingerprint == expected["fingerprint"]
    assert model.recommend(k=2).item_id.tolist() == expected["item_ids"]
    assert items.nearest("i1", k=3).item_id.tolist() == expected["nearest_i1"]


def test_nothing_is_left_beside_a_saved_model(saved):
    shutil.rmtree(saved)
    MODEL.save(saved)
    assert [path.name for path in saved.parent.iterdir()] == ["model"]


def test_forgotten_users_and_items_are_gone_and_those_they_touched_are_solved_again():
    users, items = [1003, 1010], [5]
    left = MODEL.forget(users=users, items=items)
    assert not set(users) & set(left.users.to_numpy().tolist())
    assert 5 not in left.items
    assert left.history.fingerprint == DATA.drop(users=users, items=items).fingerprint
    forgotten = left.provenance["forgotten"]
    assert (forgotten["users"], forgotten["items"]) == (2, 1)
    assert forgotten["interactions"] == len(DATA) - len(left.history)
    assert not {"1003", "1010"} & set(json.dumps(forgotten).replace(",", " ").split())
    # Users who had the item, from the history that is left, with the items as they were.
    kept = [item for item in ITEM_IDS if item != 5]
    fixed = MODEL.item_embeddings[kept].vectors.astype(np.float64)
    dense = np.full(left.history.shape, np.nan)
    dense[left.history.row_positions(), left.history.indices] = left.history.weights
    had_it = [user for user, item in SEEN if item == 5 and user not in users]
    assert had_it
    for user in had_it:
        row = left.users.position(user)
        np.testing.assert_allclose(left.user_embeddings[user], naive.best_user(dense[row], fixed, **DEFAULTS), atol=1e-4)
    untouched = [user for user in left.users.to_numpy().tolist() if user not in had_it]
    np.testing.assert_array_equal(left.user_embeddings[untouched].vectors, MODEL.user_embeddings[untouched].vectors)
    assert len(MODEL.users) == DATA.n_users


def test_forgetting_works_without_least_squares_and_refuses_to_leave_nothing():
    popular = recsys.Popularity().fit(DATA)
    popular = Model.from_vectors(DATA, popular.user_embeddings.vectors, popular.item_embeddings.vectors).forget(users=[1000])
    assert popular.provenance["forgotten"]["solved_again"] is False
    with pytest.raises(UnknownIdError, match="Unknown user_id: 1"):
        MODEL.forget(users=[1])
    with pytest.raises(DataError, match="at least one user"):
        MODEL.forget(users=DATA.users.to_numpy())
