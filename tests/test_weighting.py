"""Weightings beyond their formulas: mutual information, schemes written as text, numbers kept for what comes later."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import random_interactions
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import ParameterError
from recsys.interactions import Interactions
from recsys.weighting import SCHEMES, Entries, Side, Statistics, make_scheme, parse_scheme


def entries_of(data):
    counts = (data.user_counts, data.item_counts)
    return Entries(data.weights.astype(np.float64), data.row_positions(), data.indices, *counts)


@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0])
def test_ppmi_is_the_positive_part_of_the_shifted_mutual_information(shift):
    data = random_interactions(seed=1)
    w = data.to_csr().toarray().astype(np.float64)
    joint = w / w.sum()
    with np.errstate(divide="ignore"):
        information = np.log(joint / (joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)))
    expected = np.maximum(information - np.log(shift), 0)
    found = data.weighted("ppmi", shift=shift).to_csr().toarray()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_ppmi_of_independent_pairs_is_nothing_and_entries_stay():
    data = Interactions.from_csr(np.outer([1, 2, 3], [4, 5]))
    weighted = data.weighted("ppmi")
    assert len(weighted) == len(data)
    np.testing.assert_allclose(weighted.weights, 0, atol=1e-6)


def test_ppmi_takes_weights_of_zero():
    data = Interactions.from_csr(np.eye(3)).weighted(lambda weights: weights * 0)
    assert not data.weighted("ppmi").weights.any()


@given(scheme=st.sampled_from(sorted(SCHEMES)), seed=st.integers(0, 20), density=st.sampled_from([0.05, 0.3, 0.9]))
def test_what_is_kept_weighs_rows_and_columns_again_as_they_were(scheme, seed, density):
    entries = entries_of(random_interactions(12, 9, density=density, seed=seed))
    chosen = make_scheme(scheme)
    kept = Statistics.of(chosen, entries)
    whole = kept.weigh(chosen, entries)
    assert np.isfinite(whole).all()
    assert (whole >= 0).all()
    mine = entries.rows == 3
    side = Side(entries.weights[mine], np.zeros(mine.sum(), np.int64), np.array([mine.sum()]))
    own = chosen.of_rows(side, kept.columns[entries.columns[mine]], kept.whole)[side.positions]
    again = chosen.weights(side.weights, own, kept.columns[entries.columns[mine]], kept.whole)
    np.testing.assert_allclose(again, whole[mine], rtol=1e-12)
    mine = entries.columns == 2
    side = Side(entries.weights[mine], np.zeros(mine.sum(), np.int64), np.array([mine.sum()]))
    own = chosen.of_columns(side, kept.whole)[side.positions]
    again = chosen.weights(side.weights, kept.rows[entries.rows[mine]], own, kept.whole)
    np.testing.assert_allclose(again, whole[mine], rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("none", None),
        ("tfidf", make_scheme("tfidf")),
        ("bm25:k1=1.2,b=0.75", make_scheme("bm25", k1=1.2, b=0.75)),
        ("bm25: b=0.5", make_scheme("bm25", b=0.5)),
        ("degree:user_exponent=-0.5", make_scheme("degree", user_exponent=-0.5)),
    ],
)
def test_schemes_are_read_from_text(text, scheme):
    assert parse_scheme(text) == scheme


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ppmi2", r"Did you mean 'ppmi'\?"),
        ("none:k=1", "Got 'none:k=1'"),
        ("bm25:", "are numbers"),
        ("bm25:k1", "are numbers"),
        ("bm25:k1=nan", "finite"),
        ("tfidf:b=1", r"'tfidf' takes no parameters\. Got 'b'"),
        (3, "is written as"),
    ],
)
def test_what_is_no_scheme_is_told(text, message):
    with pytest.raises(ParameterError, match=message):
        parse_scheme(text)
