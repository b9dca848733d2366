"""Popularity: of all time, of late, by group; for users that came later; what data it needs."""

import numpy as np
import pandas as pd
import pytest
from conftest import random_interactions

import recsys
from recsys.errors import DataError, InputError, ParameterError

LOG = pd.DataFrame(
    {
        "user_id": ["a", "b", "c", "a", "b", "d", "d"],
        "item_id": ["old", "old", "old", "new", "new", "mid", "old"],
        "weight": [1.0, 1, 1, 5, 5, 2, 1],
        "timestamp": pd.to_datetime(["2024-01-01"] * 3 + ["2024-03-01"] * 2 + ["2024-02-10", "2024-01-01"]),
    }
)
DATA = recsys.read_interactions(LOG)
COUNTRIES = pd.DataFrame({"user_id": ["a", "b", "c"], "country": ["de", "de", "fr"]})


def scores(trainer, data=DATA):
    model = trainer.fit(data)
    return dict(zip(model.items.to_numpy(), model.item_embeddings.vectors[:, 0].tolist(), strict=True))


def test_users_or_weights_are_counted():
    assert scores(recsys.Popularity()) == {"old": 4, "new": 2, "mid": 1}
    assert scores(recsys.Popularity(by="weight")) == {"old": 4, "new": 10, "mid": 2}


def test_a_window_counts_what_happened_of_late():
    assert scores(recsys.Popularity(window="30D")) == {"old": 0, "new": 2, "mid": 1}
    assert scores(recsys.Popularity(window=19 * 86400)) == {"old": 0, "new": 2, "mid": 0}
    assert scores(recsys.Popularity(window="30D", by="weight")) == {"old": 0, "new": 10, "mid": 2}


def test_a_half_life_lets_events_fade():
    assert scores(recsys.Popularity(half_life="30D")) == pytest.approx({"old": 4 * 2**-2, "new": 2, "mid": 2 ** (-20 / 30)})
    both = scores(recsys.Popularity(half_life="30D", window="30D"))
    assert both == pytest.approx({"old": 0, "new": 2, "mid": 2 ** (-20 / 30)})


def grouped(missing="zero"):
    return DATA.with_features(users=recsys.Features.from_table(COUNTRIES), missing=missing)


def test_groups_have_their_own_order_and_ties_go_by_all():
    model = recsys.Popularity(group="country", window="80D").fit(grouped())
    listed = model.recommend(exclude_seen=False, k=3).groupby("user_id").item_id.agg(list)
    # a and b (de): "old" and "new" twice each there, and "old" is more popular with everybody.
    assert listed["a"] == ["old", "new", "mid"] == listed["b"]
    # c (fr) saw "old" alone; the others go by everybody. d is in no group.
    assert listed["c"] == ["old", "new", "mid"] == listed["d"]
    assert model.score("c", ["old", "new"])[1] < 1 <= model.score("c", ["old"])[0]
    of_late = recsys.Popularity(group="country", by="weight").fit(grouped())
    assert of_late.recommend(["a"], exclude_seen=False, k=1).item_id[0] == "new"
    assert of_late.recommend(["c"], exclude_seen=False, k=1).item_id[0] == "old"


def test_new_users_get_what_is_popular_and_so_can_be_judged():
    parts = recsys.split.users(random_interactions(), random_state=0)
    result = recsys.evaluate_new_users(recsys.Popularity(), parts, ["ndcg@5"])
    assert 0 < result.summary()["mean"].iloc[0] < 1
    model = recsys.Popularity().fit(DATA)
    stranger = recsys.read_interactions(pd.DataFrame({"user_id": ["z"], "item_id": ["old"], "timestamp": [1.7e9]}))
    grown = model.fold_in(stranger)
    assert grown.recommend(["z"]).item_id.tolist() == ["new", "mid"]
    assert model.recommend_basket(["new"]).item_id.tolist() == ["old", "mid"]


@pytest.mark.parametrize("by", ["users", "weight"])
def test_items_that_are_folded_in_are_as_popular_as_trained_ones(by):
    data = random_interactions()
    features = pd.DataFrame({"user_id": data.users.to_numpy(), "side": np.where(np.arange(60) % 2, "l", "r")})
    data = data.with_features(users=recsys.Features.from_table(features))
    trainer = recsys.Popularity(by=by, group="side")
    whole = trainer.fit(data)
    some = data.items.to_numpy()[:30]
    late = data.filter(items=data.items.to_numpy()[30:])
    grown = trainer.fit(data.filter(items=some)).fold_in(late, of="items")
    for item in data.items.to_numpy()[30:]:
        np.testing.assert_allclose(grown.item_embeddings[item], whole.item_embeddings[item], rtol=1e-6)


def test_known_users_keep_their_group_and_items_are_counted_again_where_times_do_not_matter():
    model = recsys.Popularity(group="country").fit(grouped())
    more = recsys.read_interactions(pd.DataFrame({"user_id": ["c"], "item_id": ["new"], "timestamp": [1.7e9]}))
    np.testing.assert_array_equal(model.fold_in(more).user_embeddings["c"], model.user_embeddings["c"])
    left = model.forget(users=["d"])
    assert left.item_embeddings.vectors[:, 0].tolist() == [3, 2, 0]
    np.testing.assert_array_equal(left.user_embeddings["c"], model.user_embeddings["c"])
    of_late = recsys.Popularity(window="30D").fit(DATA)
    assert of_late.forget(users=["d"]).item_embeddings.vectors.tolist() == of_late.item_embeddings.vectors.tolist()
    with pytest.raises(InputError, match="window or half-life can not fold in items"):
        of_late.fold_in(more, of="items")


def test_it_is_saved_with_its_fold_in(tmp_path):
    model = recsys.Popularity(group="country", window="30D").fit(grouped())
    model.save(tmp_path / "model")
    back = recsys.load(tmp_path / "model")
    assert back.fold_in_method == model.fold_in_method
    pd.testing.assert_frame_equal(back.recommend(), model.recommend())


def test_data_that_lack_what_it_goes_by_are_refused():
    timeless = recsys.read_interactions(LOG.drop(columns="timestamp"))
    for setting in ({"window": "30D"}, {"half_life": "30D"}):
        with pytest.raises(DataError, match=rf"Popularity\({next(iter(setting))}=…\) needs timestamps"):
            recsys.Popularity(**setting).fit(timeless)
    with pytest.raises(
        DataError, match=r"needs features of the users, and these interactions have none. Hint: data.with_features"
    ):
        recsys.Popularity(group="country").fit(DATA)
    with pytest.raises(ParameterError, match="no feature column 'city'; there are 'country'"):
        recsys.Popularity(group="city").fit(grouped())


@pytest.mark.parametrize("settings", [{"by": "money"}, {"window": "soon"}, {"window": 0}, {"half_life": "-3D"}])
def test_wrong_settings_are_refused(settings):
    with pytest.raises(ParameterError, match=next(iter(settings))):
        recsys.Popularity(**settings)


def test_settings_as_text_are_lengths_of_time_or_seconds():
    made = recsys.trainers.make_trainer("popularity", {"window": "30D", "half_life": "3600", "group": "none"})
    assert made == recsys.Popularity(window="30D", half_life=3600.0)


def test_it_says_that_it_can_not_explain():
    with pytest.raises(InputError, match="'popularity' can not explain"):
        recsys.Popularity().fit(DATA).explain("a", "old")
