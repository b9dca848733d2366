"""Blends: weighted sums of several models' scores, as models and as what is chosen on validation data."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import naive
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import random_interactions
from hypothesis import given, settings
from hypothesis import strategies as st

import recsys
from recsys.blending import NoGainError
from recsys.blending.shares import best_shares
from recsys.cli import commands
from recsys.errors import DataError, FormatError, InputError, ParameterError, UnknownIdError
from recsys.jobs.job_record import content_sum
from recsys.model import BlendModel, load_model
from recsys.model.pools import pool_of
from recsys.model.without_embeddings import NoEmbeddingsError
from recsys.recommending.blended import BlendedScores
from recsys.recommending.scores import VectorScores
from recsys.retrieval import RankedLists, top_k
from recsys.testing import CHECKS
from recsys.testing.promises import Case
from recsys.trainers.base import Outcome, Trainer, Training

DATA = random_interactions(60, 40, 0.15)
PARTS = {
    "als": recsys.ALS(factors=5, iterations=4).fit(DATA),
    "rp3beta": recsys.RP3beta(neighbours=9).fit(DATA),
    "ease": recsys.EASE(regularization=5.0).fit(DATA),
}
BLEND = BlendModel(PARTS, {"als": 0.5, "rp3beta": 0.3, "ease": 0.2}, {"als": 0.2, "rp3beta": 0.02, "ease": 0.1})


def all_scores(blend):
    """(n_users, n_items) float32: the sum in float64 of each part's own float32 scores, in order of the parts."""
    users, items = blend.users.to_numpy(), blend.items.to_numpy()
    total = np.zeros((len(users), len(items)))
    for name, part in blend.parts.items():
        scores = part.score(np.repeat(users, len(items)), np.tile(items, len(users)))
        total += blend.weights[name] * scores.reshape(total.shape).astype(np.float64)
    return total.astype(np.float32)


def tastes(seed=0, n_users=300, n_items=80, noise=0.0):
    """Two tastes that add up, a model of each, what users have seen, and what they will like: the best sums unseen."""
    generator = np.random.default_rng(seed)
    sides = [[generator.standard_normal((n, 6)).astype(np.float32) for n in (n_users, n_items)] for _ in range(2)]
    liked = sum(users @ items.T for users, items in sides)
    order = np.argsort(-liked, axis=1)
    history, later = np.zeros(liked.shape), np.zeros(liked.shape)
    np.put_along_axis(history, order[:, ::4][:, :3], 1, axis=1)
    np.put_along_axis(later, order[:, 1:4], 1, axis=1)
    train = recsys.Interactions.from_csr(history)
    one, other = ([users, items * scale] for (users, items), scale in zip(sides, (1.0, 50.0), strict=True))
    if noise:
        other = [generator.standard_normal(side.shape).astype(np.float32) for side in other]
    models = (recsys.Model.from_vectors(train, *side) for side in (one, other))
    return dict(zip(("one", "other"), models, strict=True)), recsys.Interactions.from_csr(later)


# ---- sums of scores -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TableScores:
    """Scores by a table, and their lists as sorting gives them."""

    table: np.ndarray

    def pairs(self, rows, columns, num_threads):
        return self.table[rows, columns]

    def search(self, rows, k, *, seen, candidates, num_threads):
        allowed = np.arange(self.table.shape[1]) if candidates is None else candidates
        k = min(k, len(allowed))
        lists = RankedLists(
            np.zeros((len(rows), k), np.int32), np.zeros((len(rows), k), np.float32), np.zeros(len(rows), np.int32)
        )
        for place, row in enumerate(rows):
            hidden = set() if seen is None else set(seen[1][seen[0][place] : seen[0][place + 1]].tolist())
            best = sorted((-self.table[row, item], item) for item in allowed if item not in hidden)[:k]
            lists.counts[place] = len(best)
            lists.positions[place, : len(best)] = [item for _, item in best]
            lists.scores[place, : len(best)] = [-score for score, _ in best]
        return lists


@settings(max_examples=60)
@given(
    seed=st.integers(0, 1000),
    k=st.integers(1, 14),
    n_parts=st.integers(1, 3),
    ties=st.booleans(),
    hide=st.booleans(),
    wanted=st.none() | st.sets(st.integers(0, 29)),
)
def test_lists_of_sums_are_the_sorted_sums_whatever_has_to_be_looked_at(seed, k, n_parts, ties, hide, wanted):
    generator = np.random.default_rng(seed)
    draw = (lambda: generator.integers(-2, 3, (5, 30))) if ties else (lambda: generator.standard_normal((5, 30)))
    tables = [draw().astype(np.float32) for _ in range(n_parts)]
    weights = generator.choice([0.1, 1.0, 3.0], n_parts)
    total = sum(weight * table.astype(np.float64) for weight, table in zip(weights, tables, strict=True)).astype(np.float32)
    hidden = generator.random((5, 30)) < (0.4 if hide else 0)
    indptr = np.concatenate([[0], np.cumsum(hidden.sum(axis=1))])
    candidates = None if wanted is None else np.array(sorted(wanted), np.int64)
    scores = BlendedScores([TableScores(table) for table in tables], weights, 30)
    rows = generator.permutation(5)[:4]
    seen = (np.concatenate([[0], np.cumsum(hidden[rows].sum(axis=1))]), np.nonzero(hidden[rows])[1].astype(np.int32))
    assert len(indptr) == 6
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"_FIRST": 1, "_LEAST": 1, "_MORE": 2, "_ENTRIES": 20}.items():
            patch.setattr(f"recsys.recommending.blended.{name}", value)
        lists = scores.search(rows, k, seen=seen if hide else None, candidates=candidates, num_threads=1)
    for place, row in enumerate(rows):
        allowed = range(30) if wanted is None else sorted(wanted)
        expected = sorted((-total[row, item], item) for item in allowed if not hidden[row, item])[:k]
        count = lists.counts[place]
        assert lists.positions[place, :count].tolist() == [item for _, item in expected]
        assert lists.scores[place, :count].tolist() == [-score for score, _ in expected]


@pytest.mark.compiled
def test_a_few_items_of_each_part_prove_most_lists():
    generator = np.random.default_rng(0)
    asked = []

    @dataclass(frozen=True, eq=False)
    class Watched(VectorScores):
        def search(self, rows, k, **options):
            asked.append((len(rows), k))
            return super().search(rows, k, **options)

    sides = [[generator.standard_normal((n, 4)).astype(np.float32) for n in (200, 5000)] for _ in range(2)]
    scores = BlendedScores([Watched(*side, top_k) for side in sides], [1.0, 0.3], 5000)
    lists = scores.search(np.arange(200), 10, seen=None, candidates=None, num_threads=1)
    assert asked[0] == (200, 32)
    assert sum(rows * k for rows, k in asked) < 200 * 5000  # far from everything, twice
    whole = np.concatenate([sides[0][1], sides[1][1] * np.float32(0.3)], axis=1)
    plain = top_k(np.concatenate([sides[0][0], sides[1][0]], axis=1), whole, 10)
    assert (lists.positions == plain.positions).mean() > 0.999
    np.testing.assert_allclose(lists.scores, plain.scores, rtol=1e-5)


# ---- the model ----------------------------------------------------------------------------------------------------


def test_scores_are_weighted_sums_on_the_scale_of_the_part_of_the_greatest_share():
    assert BLEND.leading == "als"
    assert BLEND.weights == {"als": 1.0, "rp3beta": pytest.approx(0.3 / 0.02 * 0.2 / 0.5), "ease": pytest.approx(0.8)}
    np.testing.assert_array_equal(BLEND.scores(np.arange(60)), all_scores(BLEND))
    assert repr(BLEND) == "BlendModel(0.5 als + 0.3 rp3beta + 0.2 ease, 60 users × 40 items)"


def test_lists_hold_the_best_unseen_items_and_pairs_score_the_same_alone_and_among_others():
    expected, seen = all_scores(BLEND), DATA.to_csr().toarray() > 0
    table = BLEND.recommend(k=7)
    for user, rows in table.groupby("user_id", sort=False):
        position = DATA.users.position(user)
        best = naive.ranked_by(expected[position], 7, np.flatnonzero(seen[position]))
        assert DATA.items.positions(rows.item_id).tolist() == best
        assert rows.score.tolist() == expected[position, best].tolist()
    assert BLEND.score(table.user_id, table.item_id).tolist() == table.score.tolist()
    one = next(table.iloc[11:].itertuples())
    assert BLEND.score(one.user_id, one.item_id).tolist() == [one.score]
    alone = BLEND.recommend([one.user_id], k=7)
    assert alone.score.tolist() == table[table.user_id == one.user_id].score.tolist()


def test_a_compressed_part_is_searched_by_its_codes():
    parts = {"codes": PARTS["als"].compress(storage="int8"), "ease": PARTS["ease"]}
    blend = BlendModel(parts, {"codes": 0.5, "ease": 0.5}, {"codes": 0.2, "ease": 0.1})
    table, expected = blend.recommend(k=6, exclude_seen=False), all_scores(blend)
    best = [naive.ranked_by(expected[user], 6) for user in range(60)]
    assert DATA.items.positions(table.item_id).tolist() == np.ravel(best).tolist()
    assert blend.score(table.user_id, table.item_id).tolist() == table.score.tolist()


def test_one_thread_and_three_give_the_same_lists():
    one, three = (BLEND.recommend(k=9, num_threads=threads) for threads in (1, 3))
    assert one.equals(three)


def test_filters_hold():
    items = DATA.items.to_numpy()
    only = BLEND.recommend(k=50, only_items=items[:9], exclude_items=items[:3])
    assert set(only.item_id) <= set(items[3:9])
    allow = pd.DataFrame({"user_id": DATA.users.to_numpy()[[0, 0, 5]], "item_id": items[[3, 8, 3]]})
    allowed = BLEND.recommend(k=50, allow=allow, exclude_seen=False)
    assert set(zip(allowed.user_id, allowed.item_id, strict=True)) == set(zip(allow.user_id, allow.item_id, strict=True))
    assert (BLEND.recommend(k=50, min_score=0.3).score >= 0.3).all()
    assert len(BLEND.recommend(k=50, exclude_seen=False)) == 60 * 40
    assert BLEND.recommend(users=[-1], unknown="popular", k=1).score.tolist() == [DATA.item_counts.max()]
    with pytest.raises(ParameterError, match="`index` must be 'exact'. Got 'hnsw'"):
        BLEND.recommend(index="hnsw")


def test_diversity_goes_by_the_first_part_with_vectors():
    diverse = BLEND.recommend(k=5, diversity=0.7)
    assert not diverse.equals(BLEND.recommend(k=5))
    items_alone = {name: PARTS[name] for name in ("rp3beta", "ease")}
    with pytest.raises(InputError, match="`diversity` goes by how alike the vectors"):
        BlendModel(items_alone, {"rp3beta": 0.4, "ease": 0.6}, {"rp3beta": 1.0, "ease": 1.0}).recommend(diversity=0.5)


def test_likeness_is_that_of_the_part_of_the_greatest_share():
    assert BLEND.similar_items(k=4).equals(PARTS["als"].similar_items(k=4))
    assert next(BLEND.similar_items_batches(k=4)).equals(PARTS["als"].similar_items(k=4))
    other = replace_shares(BLEND, {"als": 0.3, "rp3beta": 0.6, "ease": 0.1})
    assert other.similar_items(k=4).equals(PARTS["rp3beta"].similar_items(k=4))
    with pytest.raises(NoEmbeddingsError, match="'rp3beta' has no embeddings"):
        other.similar_users()
    assert not hasattr(BLEND, "item_embeddings")


def replace_shares(blend, shares):
    return BlendModel(blend.parts, shares, blend.spreads)


def test_explanations_are_weighted_sums_and_sum_to_the_score():
    user, item = DATA.users.to_numpy()[7], BLEND.recommend([DATA.users.to_numpy()[7]], k=1).item_id[0]
    table = BLEND.explain(user, item, k=None)
    assert set(table.item_id) == set(DATA.items.to_numpy()[DATA.indices[DATA.indptr[7] : DATA.indptr[8]]])
    assert table.contribution.sum() + table.attrs["base"] == pytest.approx(float(BLEND.score(user, item)[0]), abs=1e-4)
    first = table.iloc[0]
    each = {name: part.explain(user, item, k=None).set_index("item_id") for name, part in PARTS.items()}
    weighted = sum(BLEND.weights[name] * found.loc[first.item_id, "contribution"] for name, found in each.items())
    assert first.contribution == pytest.approx(weighted)
    assert len(BLEND.explain(user, item, k=2)) == 2
    with pytest.raises(UnknownIdError):
        BLEND.explain(-1, item)


def test_reasons_in_lists_are_those_of_explanations(monkeypatch):
    monkeypatch.setattr("recsys.recommending.blended._CONTRIBUTIONS", 300)
    table = BLEND.recommend(k=4, with_reasons=2)
    for row in table.iloc[::13].itertuples():
        expected = BLEND.explain(row.user_id, row.item_id, k=2)
        expected = expected[expected.contribution > 0]
        assert [reason["item_id"] for reason in row.reasons] == expected.item_id.tolist()
        np.testing.assert_allclose([reason["contribution"] for reason in row.reasons], expected.contribution, rtol=1e-3)
    popular = BLEND.recommend([-1], k=2, unknown="popular", with_reasons=True)
    assert [list(reasons) for reasons in popular.reasons] == [[], []]


def test_new_users_are_folded_in_by_each_part():
    frame = pd.DataFrame({"user_id": [1, 1, 1001], "item_id": [5, 12, 19], "weight": [1.0, 2.0, 1.0]})
    events = recsys.read_interactions(frame)
    grown = BLEND.fold_in(events)
    parts = {name: part.fold_in(events) for name, part in PARTS.items()}
    assert grown.fingerprint == BlendModel(parts, BLEND.shares, BLEND.spreads).fingerprint
    assert grown.provenance["folded_in"]["left_out"] == 0
    own = frame[frame.user_id == 1]
    basket = BLEND.recommend_basket(own.item_id, weights=own.weight, k=5)
    folded = grown.recommend([1], k=5)
    assert basket.item_id.tolist() == folded.item_id.tolist()
    np.testing.assert_allclose(basket.score, folded.score, rtol=1e-4)
    with pytest.raises(InputError, match=r"The part 'rp3beta' of the blend refuses: .*can not fold in items"):
        BLEND.fold_in(events.select(events.users.positions([1001])[0] == events.row_positions()), of="items")
    with pytest.raises(UnknownIdError, match="77777"):
        BLEND.fold_in(recsys.read_interactions(frame.assign(item_id=77777)))


def test_a_part_that_can_not_fold_in_or_explain_is_named():
    fixed = recsys.Model.from_vectors(DATA, np.ones((60, 2), np.float32), np.arange(80, dtype=np.float32).reshape(40, 2))
    blend = BlendModel({"fixed": fixed, "ease": PARTS["ease"]}, {"fixed": 0.5, "ease": 0.5}, {"fixed": 1.0, "ease": 1.0})
    with pytest.raises(InputError, match="The part 'fixed' of the blend refuses: .* can not fold in"):
        blend.fold_in(DATA)
    with pytest.raises(InputError, match="The part 'fixed' of the blend refuses: .* can not explain"):
        blend.explain(DATA.users.to_numpy()[0], DATA.items.to_numpy()[0])
    with pytest.raises(InputError, match="can not give reasons"):
        blend.recommend(with_reasons=True)


def test_parts_that_take_new_events_differently_are_refused_when_there_are_some():
    ratings = recsys.ExplicitALS(factors=2, iterations=2).fit(DATA)
    blend = BlendModel(
        {"ratings": ratings, "ease": PARTS["ease"]}, {"ratings": 0.5, "ease": 0.5}, {"ratings": 1.0, "ease": 1.0}
    )
    assert len(blend.recommend(k=3)) == 180
    with pytest.raises(InputError, match=r"take a second event of a pair differently \('ratings': last, 'ease': sum\)"):
        blend.fold_in(DATA)


def test_what_is_forgotten_is_gone_from_every_part():
    users, items = DATA.users.to_numpy()[:3], DATA.items.to_numpy()[:2]
    rest = BLEND.forget(users=users, items=items)
    assert not set(users) & set(rest.users.to_numpy())
    assert len(rest.items) == 38
    assert all(len(part.users) == 57 for part in rest.parts.values())
    assert rest.provenance["forgotten"]["ease"]["users"] == 3
    with pytest.raises(DataError, match="must keep at least one user"):
        BLEND.forget(users=DATA.users.to_numpy())


def test_saved_and_loaded_it_gives_the_same_lists(tmp_path):
    BLEND.save(tmp_path / "blend")
    for loaded in (
        recsys.load(tmp_path / "blend"),
        load_model(tmp_path / "blend", verify=False),
        BlendModel.load(tmp_path / "blend"),
    ):
        assert isinstance(loaded, BlendModel)
        assert loaded.fingerprint == BLEND.fingerprint
        assert loaded.weights == BLEND.weights
        assert loaded.recommend(k=6).equals(BLEND.recommend(k=6))
    with pytest.raises(FormatError, match="another form"):
        recsys.model.ItemItemModel.load(tmp_path / "blend")
    with pytest.raises(NoEmbeddingsError):
        recsys.Model.load(tmp_path / "blend")
    sums = [content_sum(tmp_path / "blend")]
    replace_shares(BLEND, {"als": 0.3, "rp3beta": 0.6, "ease": 0.1}).save(tmp_path / "blend", overwrite=True)
    sums.append(content_sum(tmp_path / "blend"))
    assert len(set(sums)) == 2


def test_the_golden_blend_of_format_version_1_still_loads():
    golden = Path(__file__).parent / "golden" / "v1"
    expected = json.loads((golden / "expected_blend.json").read_text())
    blend = recsys.load(golden / "blend")
    assert blend.weights == expected["weights"]
    assert blend.recommend(k=2).item_id.tolist() == expected["item_ids"]


def test_a_part_that_was_exchanged_or_damaged_is_refused(tmp_path):
    BLEND.save(tmp_path / "blend")
    recsys.RP3beta(neighbours=3).fit(DATA).save(tmp_path / "blend" / "parts" / "rp3beta", overwrite=True)
    with pytest.raises(FormatError, match=r"parts/rp3beta holds another model than"):
        recsys.load(tmp_path / "blend")
    values = tmp_path / "blend" / "parts" / "als" / "user_vectors.npy"
    values.write_bytes(values.read_bytes()[:-4])
    with pytest.raises(FormatError, match="cut short"):
        recsys.load(tmp_path / "blend")


def other_history(**changes):
    return recsys.RP3beta(neighbours=3).fit(replace(DATA, **changes))


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (lambda: recsys.RP3beta().fit(random_interactions(61, 40, 0.15)), "they know 60 and 61 users"),
        (lambda: recsys.RP3beta().fit(random_interactions(60, 40, 0.15, strings=True)), "their users differ .* 1000 and 'u0'"),
        (
            lambda: recsys.RP3beta().fit(random_interactions(60, 40, 0.15, seed=1)),
            r"their histories hold \d+ and \d+ interactions",
        ),
        (lambda: other_history(weights=DATA.weights * 2), "the same pairs have other weights"),
        (lambda: other_history(timestamps=np.arange(len(DATA))), "their histories differ in times or features"),
    ],
)
def test_parts_of_different_data_are_refused_and_the_difference_is_named(part, message):
    parts = {"als": PARTS["als"], "other": part()}
    with pytest.raises(DataError, match=f"The parts 'als' and 'other' do not belong together: {message}"):
        BlendModel(parts, {"als": 0.5, "other": 0.5}, {"als": 1.0, "other": 1.0})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BlendModel({}, {}, {}), "models by name"),
        (lambda: BlendModel({"a/b": PARTS["als"]}, {"a/b": 1.0}, {"a/b": 1.0}), "The name of a part must be"),
        (lambda: BlendModel({"a": BLEND}, {"a": 1.0}, {"a": 1.0}), r"Got BlendModel\. Hint: blend its parts, 'als'"),
        (lambda: BlendModel({"a": DATA}, {"a": 1.0}, {"a": 1.0}), "must be a Model or an ItemItemModel. Got Interactions"),
        (lambda: BlendModel(PARTS, {"als": 1.0}, BLEND.spreads), "Each part must have a share"),
        (
            lambda: replace_shares(BLEND, {"als": 0.5, "rp3beta": 0.5, "ease": 0.0}),
            "share of the part 'ease' must be a number above",
        ),
        (lambda: replace_shares(BLEND, {"als": 0.5, "rp3beta": 0.5, "ease": 0.5}), "must sum to 1. Got 1.5"),
        (lambda: BLEND.with_parts({"als": PARTS["als"]}), "The parts of this blend are 'als', 'rp3beta', 'ease'. Got 'als'"),
    ],
)
def test_what_is_no_blend_is_refused(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


def test_the_same_shares_over_parts_trained_again_have_spreads_measured_again():
    again = random_interactions(60, 40, 0.15, seed=1)
    parts = {
        "rp3beta": recsys.RP3beta(neighbours=9).fit(again),
        "ease": recsys.EASE(regularization=5.0).fit(again),
        "als": recsys.ALS(factors=5, iterations=4).fit(again),
    }
    assert BlendModel.of(parts, BLEND.shares).spreads == BLEND.with_parts(parts).spreads
    blend = BLEND.with_parts(parts)
    assert blend.shares == BLEND.shares
    assert list(blend.parts) == list(BLEND.parts)
    assert blend.weights != BLEND.weights
    assert blend.history is parts["als"].history
    assert blend.provenance["parts_trained_again"]["fingerprint"] == again.fingerprint


def test_a_pool_holds_the_best_unseen_items_of_each_part_scored_by_all():
    users = np.array([3, 11, 40])
    parts = [PARTS["als"], PARTS["ease"]]
    pool = pool_of(parts, users, 4)
    for place, user in enumerate(users):
        lists = [part.rank(np.array([user]), 4).positions[0].tolist() for part in parts]
        own = slice(pool.indptr[place], pool.indptr[place + 1])
        assert pool.items[own].tolist() == sorted(set(lists[0]) | set(lists[1]))
        ids = DATA.items.ids_at(pool.items[own])
        for part, scores in zip(parts, pool.scores, strict=True):
            assert scores[own].tolist() == part.score(DATA.users.to_numpy()[user], ids).tolist()


# ---- what every model promises --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BlendOutcome(Outcome):
    """Parts that become a blend."""

    parts: dict

    def check(self, train):
        pass

    def model(self, train, provenance):
        shares, spreads = {"als": 0.7, "item-knn": 0.3}, {"als": 0.3, "item-knn": 0.5}
        return BlendModel(self.parts, shares, spreads, provenance)


class BlendTraining(Training):
    """Trains both parts."""

    epochs = 1

    def __init__(self, train):
        self.train = train

    def train_epoch(self):
        trainers = {"als": recsys.ALS(factors=4, iterations=3), "item-knn": recsys.ItemKNN(neighbours=8)}
        self.parts = {name: trainer.fit(self.train) for name, trainer in trainers.items()}
        return {}

    def outcome(self):
        return BlendOutcome(self.parts)


@dataclass(frozen=True, kw_only=True)
class BlendTrainer(Trainer):
    """Trains two parts and blends them, so that a blend can be held to what every model promises."""

    name = "two-parts"
    advice = "for tests"
    makes_embeddings = False

    def start(self, train):
        return BlendTraining(train)


@pytest.fixture(scope="module")
def case():
    return Case(BlendTrainer())


@pytest.mark.compiled  # as plain Python kernels warn of overflows, which one of the checks is about
@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_a_blend_keeps_what_every_model_promises(check, case):
    check.run(case)


# ---- choosing shares ------------------------------------------------------------------------------------------------


def test_shares_are_found_where_two_parts_complement_each_other():
    parts, later = tastes()
    blend = recsys.Blend(metric="ndcg@5", pool=30).fit(parts, later)
    told = blend.provenance["training"]
    assert 0.3 < blend.shares["one"] < 0.7  # scores of one and the other weigh alike, though they are fifty times as large
    assert told["value"] > 0.9 > 0.6 > max(told["alone"].values())
    assert 0 < told["low"] < told["gain"] < told["high"]
    assert told["gain"] == pytest.approx(told["value"] - told["alone"][told["best_part"]])
    assert told["n_users"] == 300
    assert recsys.evaluate(blend, later, "ndcg@5").values.mean() > told["alone"][told["best_part"]]
    assert blend.provenance["hyperparameters"]["pool"] == 30
    assert json.loads(json.dumps(blend.provenance)) == blend.provenance


def test_a_part_of_noise_is_refused_and_the_better_part_named():
    parts, later = tastes(noise=1.0)
    with pytest.raises(
        NoGainError, match=r"does not surely help: ndcg@5 changes by [+-]0\.\d+ \[.*\] over 'one' alone, on 300"
    ):
        recsys.Blend(metric="ndcg@5", pool=30).fit(parts, later)
    made = recsys.Blend(metric="ndcg@5", pool=30, require_gain=False).fit(parts, later)
    assert made.shares["one"] > 0.9
    assert not made.provenance["training"]["low"] > 0


def test_threads_change_nothing_of_what_is_chosen_and_measured():
    parts, later = tastes(n_users=60)
    one, three = (recsys.Blend(metric="ndcg@5", pool=30, num_threads=threads).fit(parts, later) for threads in (1, 3))
    told = [{name: value for name, value in made.provenance["training"].items() if name != "seconds"} for made in (one, three)]
    assert told[0] == told[1]
    assert one.fingerprint == three.fingerprint


def test_of_many_validation_users_so_many_are_drawn():
    parts, later = tastes()
    blend = recsys.Blend(metric="recall@5", pool=30, max_users=120).fit(parts, later)
    assert blend.provenance["training"]["n_users"] == 120


def test_a_search_of_shares_gives_none_to_what_adds_nothing_and_finds_the_top_of_a_hill():
    users = np.arange(3)
    aim = np.array([0.55, 0.0, 0.45])
    found = best_shares(lambda shares: np.full(3, 1 - np.square(np.array(shares) - aim).sum()), 3, users)
    assert found[1] == 0
    assert found[0] == pytest.approx(0.55, abs=0.05)
    assert best_shares(lambda shares: np.full(3, 1.0), 2, users) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metric": "ndcg"}, "must name a cut-off"),
        ({"metric": "auc"}, r"with a cut-off, such as 'ndcg@20': recall, .*Got 'auc'"),
        ({"metric": "rmse"}, "rmse"),
        ({"metric": "coverage@20"}, "Got 'coverage@20'"),
        ({"metric": "ndcg@5,recall@5"}, "chooses by one metric"),
        ({"pool": 10}, r"`pool` must be at least the cut-off of ndcg@20\. Got 10"),
        ({"max_users": 5}, "`max_users` must be an int >= 20"),
        ({"random_state": -1}, "`random_state` must be an int >= 0"),
        ({"require_gain": 1.5}, "`require_gain` must be True or False"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ParameterError, match=message):
        recsys.Blend(**settings)


def test_what_can_not_be_blended_is_refused():
    parts, later = tastes(n_users=30)
    blend = recsys.Blend(metric="ndcg@5", pool=30)
    with pytest.raises(ParameterError, match="at least two parts. Got 'one'"):
        blend.fit({"one": parts["one"]}, later)
    with pytest.raises(DataError, match="stand in the model's history"):
        blend.fit(parts, parts["one"].history)
    with pytest.raises(DataError, match="at least 20 validation users that the parts know. Got 5"):
        blend.fit(parts, later.select(later.row_positions() < 5))
    flat = recsys.Model.from_vectors(parts["one"].history, np.ones((30, 1), np.float32), np.ones((80, 1), np.float32))
    with pytest.raises(DataError, match="The part 'flat' scores all of a user's items alike"):
        blend.fit({"one": parts["one"], "flat": flat}, later)


# ---- the command line -----------------------------------------------------------------------------------------------


def run(*arguments):
    result = CliRunner().invoke(commands, [str(argument) for argument in arguments], prog_name="recsys")
    return SimpleNamespace(code=result.exit_code, out=result.stdout, err=result.stderr)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("blend")
    for kind, noise in (("good", 0.0), ("bad", 1.0)):
        parts, later = tastes(noise=noise)
        later.save(place / kind / "valid")
        for name, part in parts.items():
            part.save(place / kind / name)
    return place


@pytest.mark.compiled
def test_the_command_blends_and_the_others_take_a_blend(folder):
    good = folder / "good"
    call = ("blend", good / "one", good / "other", "--valid", good / "valid", "--metric", "ndcg@5")
    done = run(*call, "--output", good / "blend", "--json", "--no-progress")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["low"] > 0
    assert told["shares"].keys() == {"one", "other"}
    text = run(*call, "--output", good / "again")
    assert "alone, on 300 validation users." in text.out
    assert json.loads(run("info", good / "blend", "--json").out)["parts"]["one"]["share"] == told["shares"]["one"]
    assert "Intact: all 0 files and those of its parts" in run("info", good / "blend").out
    assert run("recommend", good / "blend", "--output", good / "lists.csv", "--k", 3).code == 0
    lists = pd.read_csv(good / "lists.csv")
    assert lists.item_id.tolist() == recsys.load(good / "blend").recommend(k=3).item_id.tolist()
    judged = run("compare", good / "blend", good / "one", "--test", good / "valid", "--metrics", "ndcg@5", "--json")
    assert json.loads(judged.out)["report"]["differences"][0]["verdict"] == "worse"
    page = run("evaluate", good / "blend", "--test", good / "valid", "--html", good / "page.html")
    assert page.code == 0, page.err
    taken = run("blend", good / "one", good / "other", "--shares-of", good / "blend", "--output", good / "taken", "--json")
    assert json.loads(taken.out)["weights"] == told["weights"]


def test_a_refused_blend_writes_nothing_and_is_told_in_one_sentence(folder):
    bad = folder / "bad"
    call = ("blend", bad / "one", bad / "other", "--valid", bad / "valid", "--metric", "ndcg@5", "--output", bad / "blend")
    refused = run(*call)
    assert refused.code == 2
    assert "does not surely help" in refused.err
    assert refused.err.endswith("or --allow-no-gain.\n")
    assert not (bad / "blend").exists()
    assert run(*call, "--allow-no-gain").code == 0
    assert (bad / "blend").exists()


def test_calls_that_can_not_be_meant_are_refused(folder):
    good = folder / "good"
    for extra, message in {
        (): "Give --valid, a dataset to choose shares by, or --shares-of",
        ("--shares-of", good / "one"): "which has no shares: --shares-of must be a blend",
        ("--shares-of", good / "one", "--metric", "ndcg@5"): "metric is for choosing shares",
    }.items():
        refused = run("blend", good / "one", good / "other", "--output", good / "never", *extra)
        assert refused.code == 2
        assert message in refused.err
    twice = run("blend", good / "one", folder / "bad" / "one", "--valid", good / "valid", "--output", good / "never")
    assert "two are called 'one'" in twice.err
