"""Metrics: kernels against their naive twins, properties of the definitions, names, and bootstrap intervals."""

from __future__ import annotations

import dataclasses

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys.errors import DataError, ParameterError
from recsys.evaluation import METRICS, JudgedLists, parse_metrics
from recsys.evaluation.intervals import mean_intervals
from recsys.kernels.metrics import shared_entries

NAIVE = {
    "recall": naive.recall,
    "precision": naive.precision,
    "ndcg": naive.ndcg,
    "map": naive.average_precision,
    "mrr": naive.reciprocal_rank,
    "hit_rate": naive.hit_rate,
    "recall_capped": naive.recall_capped,
    "r_precision": naive.r_precision,
    "ndcg_graded": lambda ranked, relevant, k: naive.ndcg_graded(ranked, dict.fromkeys(relevant, 1), k),
}
# Those that look at nothing but hits; the others are in test_metrics_shown.py.
OF_HITS = {name: metric for name, metric in METRICS.items() if metric.of_relevant and name != "auc"}

N_ITEMS = 12
one_case = st.tuples(
    st.permutations(range(N_ITEMS)), st.integers(0, N_ITEMS), st.sets(st.integers(0, N_ITEMS + 3), min_size=1)
).map(lambda case: (case[0][: case[1]], case[2]))
cases = st.lists(one_case, min_size=1, max_size=6)


@dataclasses.dataclass(frozen=True)
class Lists:
    """What a search returns, made by hand: the places beyond a list's end hold an item that would be a hit if it were read."""

    positions: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, ranked, beyond):
        width = max((len(row) for row in ranked), default=0)
        rows = [list(row) + [beyond] * (width - len(row)) for row in ranked]
        return cls(np.array(rows, np.int32).reshape(len(rows), width), np.array([len(row) for row in ranked], np.int32))


def judged(pairs):
    """(ranked, relevant) pairs as JudgedLists; items from N_ITEMS on are unknown to the ranker and only counted."""
    rows = [sorted(relevant) for _, relevant in pairs]
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    relevant = np.array([item for row in rows for item in row], np.int32)
    lists = Lists.of([ranked for ranked, _ in pairs], beyond=min(rows[0]))
    return JudgedLists.from_ranked(lists, indptr, relevant)


def test_every_metric_of_hits_has_a_naive_twin():
    assert set(NAIVE) == set(OF_HITS)


@pytest.mark.parametrize("name", OF_HITS)
@settings(max_examples=60, deadline=None)
@given(pairs=cases, k=st.integers(1, N_ITEMS + 5))
def test_a_metric_equals_its_naive_twin_and_lies_between_0_and_1(name, pairs, k):
    values = METRICS[name](judged(pairs), k)
    expected = [NAIVE[name](ranked, relevant, k) for ranked, relevant in pairs]
    assert values.dtype == np.float64
    np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-15)
    assert (values >= 0).all()
    assert (values <= 1 + 1e-12).all()


@settings(max_examples=60, deadline=None)
@given(items=st.permutations(range(N_ITEMS)), n_relevant=st.integers(1, N_ITEMS), k=st.integers(1, N_ITEMS))
def test_a_perfect_list_gives_1_and_where_it_cannot_the_stated_bound(items, n_relevant, k):
    lists = judged([(items, set(items[:n_relevant]))])
    bounds = {"recall": min(1, k / n_relevant), "precision": min(1, n_relevant / k)}
    for name, metric in OF_HITS.items():
        assert metric(lists, k)[0] == pytest.approx(bounds.get(name, 1))


@settings(max_examples=60, deadline=None)
@given(pair=one_case)
def test_recall_hit_rate_and_mrr_never_fall_when_k_grows(pair):
    lists = judged([pair])
    for name in ("recall", "hit_rate", "mrr", "r_precision"):
        values = [METRICS[name](lists, k)[0] for k in range(1, N_ITEMS + 3)]
        assert values == sorted(values)


@settings(max_examples=60, deadline=None)
@given(pair=one_case, data=st.data())
def test_names_of_items_do_not_matter_so_the_order_of_the_relevant_set_does_not(pair, data):
    renamed = data.draw(st.permutations(range(N_ITEMS)))
    other = ([renamed[item] for item in pair[0]], {renamed[item] if item < N_ITEMS else item for item in pair[1]})
    for metric in OF_HITS.values():
        assert metric(judged([pair]), 5)[0] == metric(judged([other]), 5)[0]


def test_the_values_of_one_list_worked_out_by_hand():
    # Places:            1  2  3  4  5
    lists = judged([([7, 1, 8, 2, 9], {1, 2, 3})])
    log2 = np.log2
    expected = {
        "recall": 2 / 3,
        "precision": 2 / 5,
        "ndcg": (1 / log2(3) + 1 / log2(5)) / (1 + 1 / log2(3) + 1 / log2(4)),
        "map": (1 / 2 + 2 / 4) / 3,
        "mrr": 1 / 2,
        "hit_rate": 1,
        "recall_capped": 2 / 3,
        "r_precision": 1 / 3,
    }
    expected["ndcg_graded"] = expected["ndcg"]
    assert {name: metric(lists, 5)[0] for name, metric in OF_HITS.items()} == pytest.approx(expected)


def test_a_list_shorter_than_k_counts_its_missing_places_as_misses():
    lists = judged([([1], {1, 2})])
    assert METRICS["precision"](lists, 4)[0] == 1 / 4
    assert METRICS["recall"](lists, 4)[0] == 1 / 2
    assert METRICS["ndcg"](lists, 4)[0] == pytest.approx(1 / (1 + 1 / np.log2(3)))


def test_an_empty_list_gives_0():
    lists = judged([([], {1})])
    assert {name: metric(lists, 3)[0] for name, metric in OF_HITS.items()} == dict.fromkeys(OF_HITS, 0)


@settings(max_examples=60, deadline=None)
@given(pair=one_case, data=st.data(), k=st.integers(1, N_ITEMS + 5))
def test_graded_ndcg_equals_its_naive_twin_and_has_no_value_where_nothing_has_a_gain(pair, data, k):
    ranked, relevant = pair
    gains = {item: data.draw(st.sampled_from([0.0, 0.5, 1.0, 3.0])) for item in sorted(relevant)}
    lists = judged([pair])
    pairs = dataclasses.replace(lists.pairs, gains=np.array(list(gains.values()), np.float32))
    value = METRICS["ndcg_graded"](dataclasses.replace(lists, pairs=pairs), k)[0]
    np.testing.assert_allclose(value, naive.ndcg_graded(list(ranked), gains, k), rtol=1e-12, atol=1e-15)


def test_capped_recall_is_recall_where_fewer_are_relevant_than_places_and_precision_where_more_are():
    lists = judged([([1, 2, 3, 4], {2, 9}), ([1, 2, 3, 4], {1, 3, 5, 6, 7, 8})])
    capped = METRICS["recall_capped"](lists, 4)
    assert capped[0] == METRICS["recall"](lists, 4)[0] == 1 / 2
    assert capped[1] == METRICS["precision"](lists, 4)[1] == 1 / 2


def test_many_relevant_items_whose_low_bits_coincide_are_all_found():
    relevant = np.arange(5, dtype=np.int32) * 4096 + 7
    shown = np.concatenate([relevant, relevant + 1, relevant + 4096 * 5]).astype(np.int32)
    lists = Lists(shown[None], np.array([len(shown)], np.int32))
    assert JudgedLists.from_ranked(lists, np.array([0, 5]), relevant).hits.tolist() == [[True] * 5 + [False] * 10]


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 2), st.sets(st.integers(0, 8))), min_size=1, max_size=5),
    others=st.lists(st.sets(st.integers(0, 8)), min_size=3, max_size=3),
)
def test_shared_entries_equals_its_naive_twin(rows, others):
    def pack(sets):
        indptr = np.concatenate([[0], np.cumsum([len(row) for row in sets])]).astype(np.int64)
        return indptr, np.array([column for row in sets for column in sorted(row)], np.int32)

    shared = shared_entries(*pack([columns for _, columns in rows]), np.array([other for other, _ in rows]), *pack(others))
    assert shared.tolist() == naive.shared_entries([(other, sorted(columns)) for other, columns in rows], others)


def test_lists_without_relevant_items_and_parts_that_do_not_fit_are_refused():
    hits = np.zeros((2, 3), bool)
    with pytest.raises(DataError, match="List 1 is one"):
        JudgedLists(hits, np.array([2, 0]))
    with pytest.raises(DataError, match="n_relevant of shape"):
        JudgedLists(hits, np.array([1, 1, 1]))
    lists = Lists(np.zeros((2, 1), np.int32), np.ones(2, np.int32))
    with pytest.raises(DataError, match="2 lists of up to 1 items, and relevant items for 1 lists"):
        JudgedLists.from_ranked(lists, np.array([0, 1]), np.array([1], np.int32), np.array([1]))


# ---- names ------------------------------------------------------------------------------------------------------


def test_metric_names_are_read_in_either_case_and_repetitions_count_once():
    assert [str(metric) for metric in parse_metrics(["NDCG@10", "Hit-Rate@5", "ndcg@10", "map@ 3"])] == [
        "ndcg@10",
        "hit_rate@5",
        "map@3",
    ]
    assert [str(metric) for metric in parse_metrics("recall@20, ndcg@20")] == ["recall@20", "ndcg@20"]


def test_metrics_without_a_cutoff_are_read_and_refuse_one():
    assert [str(metric) for metric in parse_metrics("AUC, r-precision, auc")] == ["auc", "r_precision"]
    with pytest.raises(ParameterError, match="'auc' looks at whole rankings and has no cut-off. Got 'auc@20'"):
        parse_metrics("auc@20")


def test_a_metric_over_all_lists_has_no_value_for_one():
    with pytest.raises(ParameterError, match="coverage@3 is one number over all lists"):
        parse_metrics("coverage@3")[0].of(judged([([1], {1})]))


def test_a_metric_says_which_part_of_the_judged_lists_it_lacks():
    lists = JudgedLists(np.zeros((1, 2), bool), np.array([1]))
    with pytest.raises(DataError, match="JudgedLists.shown, which was not given"):
        METRICS["intra_list_diversity"](lists, 2)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "must name at least one metric, such as 'ndcg@10'. Known: recall, recall_capped, precision"),
        ("", "must name at least one metric"),
        (["ncdg@10"], "Unknown metric 'ncdg@10'. Known: .* Did you mean 'ndcg'"),
        (["Recal@10"], "Did you mean 'recall'"),
        (["recall"], "such as 'recall@20'. Got 'recall'"),
        (["recall@0"], "cut-off of at least 1 after @, such as 'recall@20'. Got 'recall@0'"),
        (["recall@-3"], "cut-off of at least 1"),
        (["recall@ten"], "cut-off of at least 1"),
        (["recall@1.5"], "cut-off of at least 1"),
        ([3], "A metric must be a text such as 'ndcg@10'. Got 3"),
    ],
)
def test_a_metric_that_cannot_be_read_is_refused_with_what_there_is(names, message):
    with pytest.raises(ParameterError, match=message):
        parse_metrics(names)


# ---- intervals --------------------------------------------------------------------------------------------------


@pytest.mark.compiled
def test_a_90_percent_interval_holds_the_true_mean_of_a_skewed_distribution_nine_times_in_ten():
    # Most users find nothing and some find much: 70 % zeros, else a beta distribution of mean 2/7.
    truth = 0.3 * 2 / 7
    held = missed_low = missed_high = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        values = np.where(rng.random(150) < 0.7, 0, rng.beta(2, 5, 150))[:, None]
        low, high = mean_intervals(values, 0.9, rng, resamples=500)
        held += low[0] <= truth <= high[0]
        missed_low += truth < low[0]
        missed_high += truth > high[0]
    assert 0.84 <= held / 400 <= 0.95
    # Both sides miss: the interval is not bought wide on one of them.
    assert min(missed_low, missed_high) >= 8


@pytest.mark.compiled
def test_an_interval_agrees_with_the_normal_one_where_there_are_many_users():
    values = np.random.default_rng(0).random((20_000, 2))
    low, high = mean_intervals(values, 0.95, np.random.default_rng(1))
    half = 1.96 * values.std(axis=0) / np.sqrt(len(values))
    np.testing.assert_allclose(low, values.mean(axis=0) - half, atol=0.1 * half.max())
    np.testing.assert_allclose(high, values.mean(axis=0) + half, atol=0.1 * half.max())


@pytest.mark.compiled
def test_intervals_equal_those_of_scipy_up_to_the_noise_of_resampling():
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(3).exponential(size=60)
    theirs = stats.bootstrap(
        (values,), np.mean, method="BCa", n_resamples=20_000, rng=np.random.default_rng(4)
    ).confidence_interval
    low, high = mean_intervals(values[:, None], 0.95, np.random.default_rng(5), resamples=20_000)
    width = theirs.high - theirs.low
    assert low[0] == pytest.approx(theirs.low, abs=0.02 * width)
    assert high[0] == pytest.approx(theirs.high, abs=0.02 * width)


def test_an_interval_around_values_that_are_all_equal_is_that_value():
    low, high = mean_intervals(np.full((9, 2), 0.1), 0.95, np.random.default_rng(0))
    np.testing.assert_allclose([low, high], 0.1, rtol=1e-12)


def test_one_user_has_no_interval():
    low, high = mean_intervals(np.array([[0.3]]), 0.95, np.random.default_rng(0))
    assert np.isnan([low, high]).all()


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.sampled_from([0.0, 0.0, 0.0, 1e-9, 0.5, 1.0]), min_size=2, max_size=8),
    confidence=st.sampled_from([0.5, 0.95, 0.9999]),
)
def test_an_interval_of_few_users_lies_within_their_values_and_holds_its_ends_in_order(values, confidence):
    column = np.array(values)[:, None]
    low, high = mean_intervals(column, confidence, np.random.default_rng(0), resamples=50)
    assert column.min() <= low[0] + 1e-12
    assert low[0] <= high[0]
    assert high[0] <= column.max() + 1e-12


def test_the_same_seed_gives_the_same_interval_and_another_metric_beside_it_changes_nothing():
    values = np.random.default_rng(0).random((50, 3))
    first = mean_intervals(values, 0.95, np.random.default_rng(7))
    np.testing.assert_array_equal(first, mean_intervals(values, 0.95, np.random.default_rng(7)))
    alone = mean_intervals(values[:, :1], 0.95, np.random.default_rng(7))
    np.testing.assert_allclose([first[0][0], first[1][0]], [alone[0][0], alone[1][0]], rtol=1e-12)
