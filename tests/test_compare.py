"""`compare`: numbers worked out by hand, which users and pairs are compared, what is refused, and what it says."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import recsys
from recsys.errors import DataError, ParameterError
from recsys.evaluation import EvaluationResult, RatingErrors
from recsys.ids import IdMap
from tests.conftest import random_interactions

METRICS = ("recall@5", "ndcg@5")


def result_of(values, *, users=None, metrics=METRICS, test="t1", counts=None, **settings):
    values = np.asarray(values, dtype=float)
    users = users if users is not None else [f"u{row}" for row in range(len(values))]
    evaluation = {"exclude_seen": True, "overlap": "raise", "confidence": 0.95, "random_state": 0} | settings
    provenance = {"model": {"trainer": "by hand"}, "test": {"fingerprint": test}, "evaluation": evaluation}
    return EvaluationResult(IdMap(users, name="user_id"), tuple(metrics), values, counts or {}, provenance)


def three_models(n_users=400, seed=0):
    """c is better than a, on recall@5 alone; b is like a."""
    generator = np.random.default_rng(seed)
    base = np.where(generator.random((n_users, 2)) < 0.5, 0, generator.random((n_users, 2)))
    values = {name: np.where(generator.random((n_users, 2)) < 0.3, generator.random((n_users, 2)), base) for name in "abc"}
    values["c"][:, 0] += 0.1
    return {name: result_of(found) for name, found in values.items()}


def row_of(comparison, **wanted):
    table = comparison.table()
    for column, value in wanted.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


# ---- numbers --------------------------------------------------------------------------------------------------------


def test_a_row_worked_out_by_hand():
    a, b = ([0, 0.5, 0.5, 1] * 2, [0, 1, 1, 0.5] * 2)
    a, b = (result_of([[value, 0] for value in column]) for column in (a, b))
    row = row_of(recsys.compare({"a": a, "b": b}, metrics="recall@5"), metric="recall@5")
    assert (row.a, row.b, row.mean_a, row.mean_b, row.difference) == ("a", "b", 0.5, 0.625, 0.125)
    # Of the 64 sign patterns of six halves, 20 have as many plus as minus; the others give 1 or more.
    assert row.p_value == row.p_adjusted == 44 / 64
    assert (row.better, row.equal, row.worse, row.n_users) == (0.5, 0.25, 0.25, 8)
    spread = np.std([0, 0.5, 0.5, -0.5] * 2, ddof=1)
    assert row.effect_size == pytest.approx(0.125 / spread)
    # Student's quantiles with seven degrees of freedom, as printed tables have them.
    assert row.detectable_difference == pytest.approx((2.364624 + 0.896030) * spread / np.sqrt(8), rel=1e-6)
    assert -0.5 <= row.low <= 0.125 <= row.high <= 0.5


def test_the_exact_p_value_of_users_who_all_change_alike():
    a = result_of(np.zeros((6, 1)), metrics=["ndcg@5"])
    b = result_of(np.full((6, 1), 0.25), metrics=["ndcg@5"])
    row = row_of(recsys.compare({"a": a, "b": b}))
    assert row.p_value == 2 / 2**6
    assert (row.low, row.high, row.difference) == (0.25, 0.25, 0.25)
    assert np.isnan(row.effect_size)
    assert row.verdict == "better"


def test_all_pairs_in_order_of_the_models_and_metrics():
    table = recsys.compare(three_models()).table()
    assert list(zip(table.metric, table.a, table.b, strict=True)) == [
        (metric, a, b) for metric in METRICS for a, b in ("ab", "ac", "bc")
    ]
    assert (table.n_users == 400).all()
    assert (table.difference == table.mean_b - table.mean_a).all() or np.allclose(table.difference, table.mean_b - table.mean_a)


def test_with_a_baseline_every_other_model_is_compared_with_it():
    table = recsys.compare(three_models(), baseline="c", metrics=["recall@5"]).table()
    assert list(zip(table.a, table.b, strict=True)) == [("c", "a"), ("c", "b")]
    assert table.verdict.tolist() == ["worse", "worse"]


def test_what_is_found_of_a_pair_does_not_depend_on_the_other_models_and_metrics():
    results = three_models()
    whole = recsys.compare(results)
    alone = recsys.compare({"b": results["b"], "c": results["c"]}, metrics="recall@5")
    columns = ["difference", "low", "high", "p_value", "effect_size", "better"]
    np.testing.assert_allclose(
        row_of(whole, a="b", b="c", metric="recall@5")[columns].astype(float), row_of(alone)[columns].astype(float), rtol=1e-9
    )


def test_turning_a_pair_round_turns_the_signs():
    results = three_models()
    one = row_of(recsys.compare({"a": results["a"], "c": results["c"]}, metrics="recall@5"))
    other = row_of(recsys.compare({"c": results["c"], "a": results["a"]}, metrics="recall@5"))
    assert one.difference == -other.difference
    assert (one.p_value, one.better, one.worse) == (other.p_value, other.worse, other.better)
    np.testing.assert_allclose([one.low, one.high], [-other.high, -other.low], rtol=0.05)


def test_p_values_are_corrected_over_all_rows():
    table = recsys.compare(three_models()).table()
    ordered = table.sort_values("p_value", kind="stable")
    wanted = np.minimum(1, np.maximum.accumulate(ordered.p_value * np.arange(len(table), 0, -1)))
    np.testing.assert_allclose(ordered.p_adjusted, wanted)
    assert set(table[table.p_adjusted <= 0.05].verdict) == {"better"}
    assert set(table[table.p_adjusted > 0.05].verdict) == {"not shown"}


def test_a_larger_family_can_show_larger_differences_only():
    results = three_models()
    alone = row_of(recsys.compare({"a": results["a"], "b": results["b"]}, metrics="ndcg@5"))
    among = row_of(recsys.compare(results), a="a", b="b", metric="ndcg@5")
    assert among.detectable_difference > 1.2 * alone.detectable_difference


def test_the_same_seed_gives_the_same_and_threads_change_nothing():
    results = three_models()
    first = recsys.compare(results, num_threads=1).table()
    assert first.equals(recsys.compare(results, num_threads=3).table())
    assert not first.equals(recsys.compare(results, random_state=1).table())


def test_the_differences_of_each_user():
    results = three_models(5)
    table = recsys.compare(results).per_user
    assert table.columns.tolist() == ["a", "b", "user_id", *METRICS]
    assert len(table) == 15
    of_pair = table[(table.a == "a") & (table.b == "c")]
    assert of_pair.user_id.tolist() == ["u0", "u1", "u2", "u3", "u4"]
    np.testing.assert_array_equal(of_pair[list(METRICS)], results["c"].values - results["a"].values)


# ---- users ----------------------------------------------------------------------------------------------------------


def test_users_in_another_order_are_brought_together():
    results = three_models(50)
    order = np.random.default_rng(1).permutation(50)
    turned = result_of(results["c"].values[order], users=[f"u{row}" for row in order])
    assert recsys.compare(results).table().equals(recsys.compare(results | {"c": turned}).table())


def test_other_users_are_refused_and_compared_on_those_in_common_when_asked():
    results = three_models(60)
    fewer = result_of(results["c"].values[10:], users=[f"u{row}" for row in range(10, 60)])
    sentence = "'a' and 'c' were evaluated on different users: 10 only in 'a', 0 only in 'c', such as 'u0'. Hint: on='common'"
    with pytest.raises(DataError, match=sentence):
        recsys.compare(results | {"c": fewer})
    with pytest.raises(DataError, match="0 only in 'c', 10 only in 'a', such as 'u0'"):
        recsys.compare({"c": fewer, "a": results["a"]})
    found = recsys.compare(results | {"c": fewer}, on="common")
    assert found.left_out == {"a": 10, "b": 10, "c": 0}
    assert (found.table().n_users == 50).all()
    assert row_of(found, a="a", b="b", metric="ndcg@5").mean_a == pytest.approx(results["a"].values[10:, 1].mean())
    assert "Users left out because not all results have them: 10 of a, 10 of b" in repr(found)


def test_users_without_a_value_are_left_out_of_that_metric_alone():
    results = three_models(80)
    values = results["b"].values.copy()
    values[:7, 1] = np.nan
    table = recsys.compare(results | {"b": result_of(values)}).table()
    assert table.n_users.tolist() == [80] * 3 + [73] * 3
    assert row_of(recsys.compare(results | {"b": result_of(values)}), a="a", b="c", metric="ndcg@5").mean_a == pytest.approx(
        results["a"].values[7:, 1].mean()
    )
    assert table.notna().all(axis=None)


# ---- what is refused ------------------------------------------------------------------------------------------------


def refused(change, **arguments):
    results = three_models(20)
    with pytest.raises((DataError, ParameterError)) as caught:
        recsys.compare(results | change(results), **arguments)
    return str(caught.value)


def ratings():
    return RatingErrors(IdMap(["u"]), ("rmse", "mae"), np.ones((1, 2)), {}, {}, n_pairs=np.array([3]))


def like(result, **changes):
    return result_of(result.values, **changes)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda r: {"b": like(r["b"], test="t2")}, "'a' and 'b' were evaluated on different test data (fingerprints t1 and"),
        (
            lambda r: {"b": like(r["b"], exclude_seen=False)},
            "'a' was evaluated with exclude_seen=True, 'b' with exclude_seen=False",
        ),
        (lambda r: {"c": like(r["c"], overlap="drop")}, "'a' was evaluated with overlap='raise', 'c' with overlap='drop'"),
        (lambda r: {"b": like(r["b"], negatives=100)}, "'a' was evaluated with no 'negatives', 'b' with negatives=100"),
        (
            lambda r: {"b": like(r["b"], metrics=("recall@5", "ndcg@10"))},
            "'a' was evaluated by 'ndcg@5', 'b' was not. Hint: evaluate both by the same metrics at the same cut-offs",
        ),
        (
            lambda r: {"a": like(r["a"], counts={"pairs_relevant": 30}), "b": like(r["b"], counts={"pairs_relevant": 28})},
            "a user's relevant items differ",
        ),
        (lambda r: {"b": result_of(r["b"].values, users=[f"v{n}" for n in range(20)])}, "20 only in 'a', 20 only in 'b'"),
        (lambda r: {"b": r["b"].per_user}, "The result of 'b' must be an EvaluationResult, as recsys.evaluate returns. Got"),
        (lambda r: {"b": ratings()}, "means over users, those of 'b' are over pairs: RatingErrors can not be compared."),
        (lambda r: {"": r["b"]}, "The name of a model must be a text that is not empty. Got ''."),
        (lambda r: {7: r["b"]}, "Got 7."),
        (lambda r: {" a": r["b"]}, "Got twice, up to blanks: 'a'."),
        (lambda r: {"b": like(r["b"], users=list(range(20)))}, "20 only in 'a', 20 only in 'b'"),
    ],
)  # fmt: skip
def test_results_that_cannot_be_held_against_each_other_are_refused(change, sentence):
    assert sentence in refused(change)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"metrics": "ndcg@50"}, "'a' has no values of users for 'ndcg@50'. It has them for: recall@5, ndcg@5. Did you mean"),
        ({"metrics": []}, "`metrics` must name at least one metric to compare"),
        ({"baseline": "A"}, "`baseline` must be one of the models, 'a', 'b', 'c'. Got 'A'. Did you mean 'a'?"),
        ({"on": "shared"}, "`on` must be 'same' or 'common'. Got 'shared'."),
        ({"confidence": 95}, "95 % is written 0.95"),
        ({"resamples": 0}, "`resamples` must be an int >= 1"),
        ({"random_state": -1}, "`random_state` must be an int >= 0"),
        ({"num_threads": 0}, "`num_threads` must be an int >= 1"),
        (
            {"resamples": 100},
            "With 6 differences to correct for, resamples=100 can show none at confidence 0.95. Hint: take resamples=1200",
        ),
    ],
)
def test_bad_arguments_are_refused(arguments, sentence):
    assert sentence in refused(lambda r: {}, **arguments)


def test_fewer_than_two_models_or_users_are_refused():
    results = three_models(20)
    with pytest.raises(ParameterError, match="at least 2 models. Got 1: 'a'"):
        recsys.compare({"a": results["a"]})
    with pytest.raises(ParameterError, match="Got 0: none"):
        recsys.compare({})
    with pytest.raises(ParameterError, match="must map names of models to their results"):
        recsys.compare([results["a"], results["b"]])
    single = result_of([[0.5, 0.5]])
    with pytest.raises(DataError, match="at least 2 users, since it is about their spread. Got 1"):
        recsys.compare({"a": single, "b": single})
    with pytest.raises(DataError, match="at least 2 users.* Got 1"):
        recsys.compare({"a": results["a"], "b": single}, on="common")
    with pytest.raises(DataError, match="'a', 'b' share no user"):
        recsys.compare({"a": results["a"], "b": result_of(np.ones((2, 2)), users=["x", "y"])}, on="common")
    nobody = result_of(np.column_stack([np.ones(20), np.full(20, np.nan)]))
    with pytest.raises(DataError, match="'ndcg@5' has a value under all models for 0 of 20 users"):
        recsys.compare({"a": results["a"], "b": nobody})


def test_one_number_over_all_users_is_refused_as_what_it_is():
    results = {name: replace(result, overall={"coverage@5": 0.4}) for name, result in three_models(20).items()}
    with pytest.raises(ParameterError, match=r"'coverage@5'. It is one number over all users\. It has them for: recall@5"):
        recsys.compare(results, metrics=["coverage@5"])


def test_how_lists_are_searched_and_the_seed_of_intervals_may_differ():
    results = three_models(20)
    searched = like(results["b"], index="hnsw", random_state=5, confidence=0.9)
    assert len(recsys.compare(results | {"b": searched}).table()) == 6
    sampled = {name: like(result, negatives=100, random_state=seed) for seed, (name, result) in enumerate(results.items())}
    with pytest.raises(DataError, match="'a' was evaluated with random_state=0, 'b' with random_state=1"):
        recsys.compare(sampled)


# ---- what it says ---------------------------------------------------------------------------------------------------


def test_the_verdict_in_words():
    results = three_models()
    text = repr(recsys.compare(results))
    assert "Comparison: 3 models, the same 400 users, 95 % intervals over users, p-values corrected over 6 differences" in text
    row = row_of(recsys.compare(results), a="a", b="c", metric="recall@5")
    size = f"{row.difference:.4f} [{row.low:.4f}, {row.high:.4f}], p = {row.p_adjusted:.4f} (Holm)"
    assert f"- c is better than a on recall@5 by {size}" in text
    row = row_of(recsys.compare(results), a="a", b="b", metric="ndcg@5")
    size = f"{row.difference:+.4f} [{row.low:+.4f}, {row.high:+.4f}], p = {row.p_adjusted:.4f} (Holm)"
    power = f"this test set could show {row.detectable_difference:.4f}"
    assert f"- no difference between a and b on ndcg@5 is shown: {size}; {power}" in text


def test_a_single_difference_needs_no_correction_and_a_loss_is_told_as_one():
    results = three_models()
    found = recsys.compare({"c": results["c"], "a": results["a"]}, metrics="recall@5")
    row = row_of(found)
    assert row.p_adjusted == row.p_value
    assert f"- a is worse than c on recall@5 by {-row.difference:.4f} [{-row.high:.4f}, {-row.low:.4f}], p = 0.0001" in repr(
        found
    )
    assert "Holm" not in repr(found)


def test_equal_models_are_called_the_same():
    results = three_models(30)
    found = recsys.compare({"old": results["a"], "new": results["a"]}, metrics="ndcg@5")
    assert "- old and new have the same ndcg@5 for every user" in repr(found)
    row = row_of(found)
    assert (row.p_value, row.low, row.high, row.equal, row.detectable_difference, row.verdict) == (1, 0, 0, 1, 0, "same")


def test_a_handful_of_users_can_show_nothing_and_the_comparison_says_so():
    # Five users have 32 sign patterns, so no p-value is below 2 / 32.
    a, b = (result_of(np.full((5, 1), value), metrics=["ndcg@5"]) for value in (0, 1))
    found = recsys.compare({"a": a, "b": b})
    assert found.table().p_value.tolist() == [2 / 32]
    assert found.table().detectable_difference.tolist() == [np.inf]
    assert "p = 0.0625; 5 users are too few to show any difference" in repr(found)
    assert found.to_dict()["differences"][0]["detectable_difference"] is None
    assert "too few" not in repr(recsys.compare({"a": a, "b": b}, confidence=0.9))


def test_small_differences_keep_their_digits():
    values = np.random.default_rng(0).random((50, 1)) * 1e-6
    found = recsys.compare({"a": result_of(values, metrics=["map@5"]), "b": result_of(values + 2e-6, metrics=["map@5"])})
    assert "b is better than a on map@5 by 0.0000020" in repr(found)


def test_metrics_that_do_not_judge_are_higher_or_lower():
    values = np.random.default_rng(0).random((50, 1))
    a, b = (result_of(values + shift, metrics=["novelty@5"]) for shift in (0, 3))
    assert "b is higher than a on novelty@5 by 3.0000" in repr(recsys.compare({"a": a, "b": b}))
    assert "a is lower than b on novelty@5" in repr(recsys.compare({"b": b, "a": a}))


def test_a_long_comparison_is_cut_and_says_so():
    results = {f"m{n}": result_of(np.random.default_rng(n).random((30, 2))) for n in range(6)}
    text = repr(recsys.compare(results))
    assert text.count("\n- ") == 21
    assert "- and 10 more: see table()" in text


def test_the_page_escapes_names():
    results = three_models(30)
    page = recsys.compare({"<a>": results["a"], "b": results["b"]})._repr_html_()
    assert "&lt;a&gt;" in page
    assert "<a>" not in page
    assert "<table" in page


def test_the_dictionary_is_plain_json_and_says_how_it_was_found():
    a = result_of(np.zeros((6, 1)), metrics=["ndcg@5"])
    b = result_of(np.full((6, 1), 0.25), metrics=["ndcg@5"])
    content = json.loads(json.dumps(recsys.compare({"a": a, "b": b}).to_dict(), allow_nan=False))
    (row,) = content["differences"]
    assert row["effect_size"] is None
    assert row["verdict"] == "better"
    assert row["sentence"] == "b is better than a on ndcg@5 by 0.2500 [0.2500, 0.2500], p = 0.0312"
    assert content["test_of_differences"]["correction"] == "Holm"
    assert content["test_of_differences"]["family"] == 1
    assert content["provenance"]["models"]["a"] == {"trainer": "by hand"}
    assert content["provenance"]["test"] == {"fingerprint": "t1"}


def test_a_comparison_cannot_be_changed_through_what_it_returns():
    found = recsys.compare(three_models(30), on="common")
    table, users = found.table(), found.per_user
    table.loc[0, "p_value"] = 9.0
    users.loc[0, "recall@5"] = 9.0
    assert found.table().p_value.max() <= 1
    assert found.per_user["recall@5"].max() <= 1.1
    with pytest.raises(ValueError, match="read-only"):
        found.values[1][0, 0] = 9.0


# ---- real models ----------------------------------------------------------------------------------------------------


def test_real_models_are_compared_by_their_own_results():
    data = random_interactions(n_users=80, seed=3)
    train, test = recsys.split.random(data, test_fraction=0.2)
    models = {"als": recsys.ALS(factors=4, iterations=3), "popularity": recsys.Popularity()}
    results = {name: recsys.evaluate(trainer.fit(train), test) for name, trainer in models.items()}
    row = row_of(recsys.compare(results), metric="ndcg@20")
    assert row.mean_a == pytest.approx(results["als"].summary().set_index("metric").loc["ndcg@20", "mean"])
    assert row.difference == pytest.approx(row.mean_b - row.mean_a)
