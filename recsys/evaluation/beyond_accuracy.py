"""Metrics of what is shown rather than of what was found: novelty, popularity, diversity, serendipity, coverage, equality.

May import errors, kernels and this folder's judged lists. `metrics.METRICS` holds their names.

Some have a value for each user: L is the list cut at k, |L| <= k its length, c(i) the number of users who have item i in the
training history, U the number of users there. Others speak of all lists together: m(i) is how many of the n lists show item i,
I the number of items of the model. None of them has a best value: they say what kind of lists these are.
"""

from __future__ import annotations

import numpy as np

from recsys.evaluation.judged import JudgedLists
from recsys.kernels import shown as kernels

__all__ = [
    "average_popularity",
    "coverage",
    "feature_diversity",
    "gini",
    "intra_list_diversity",
    "novelty",
    "personalisation",
    "popularity_lift",
    "popularity_parts",
    "serendipity",
]


def novelty(lists: JudgedLists, k: int) -> np.ndarray:
    """The mean self-information of the items shown, in bits: Σ_{i ∈ L} log2(U / c(i)) / |L|.

    Zhou et al. 2010, "Solving the apparent diversity-accuracy dilemma of recommender systems". 0 when everybody has every
    item, one bit more for items that half as many have. An item that nobody has counts as one that one user has. Divided by
    the length of the list: missing places show nothing. NaN for an empty list.
    """
    return _mean_over_items(lists, lists.require("catalogue").self_information, k)


def average_popularity(lists: JudgedLists, k: int) -> np.ndarray:
    """The mean popularity of the items shown: Σ_{i ∈ L} c(i) / U / |L|, in [0, 1]. NaN for an empty list.

    Yin et al. 2012, "Challenging the long tail recommendation", who count users; divided by their number here, so that it
    can be compared between data sets.
    """
    return _mean_over_items(lists, lists.require("catalogue").popularity, k)


def intra_list_diversity(lists: JudgedLists, k: int) -> np.ndarray:
    """How unlike the items of a list are: the mean of 1 - cos(x_i, x_j) over its pairs, x the item embeddings; in [0, 2].

    Ziegler et al. 2005, "Improving recommendation lists through topic diversification" (they sum likeness), with the cosine
    of the model's own embeddings: models are comparable in it only as far as their spaces are. Columns of biases are left
    out. A zero vector is at distance 1 from all. NaN for a list of fewer than two items.
    """
    shown = lists.require("shown")
    return np.asarray(kernels.mean_cosine_distance(shown.positions, shown.counts, lists.require("catalogue").units, k))


def feature_diversity(lists: JudgedLists, k: int) -> np.ndarray:
    """How unlike the items of a list are by `item_features`: the share of (pair, column) in which they differ, in [0, 1].

    The mean over pairs of the simple matching distance (Gower 1971, "A general coefficient of similarity", for nominal
    columns). It depends on no model, so it compares any two. Columns of floats and times take no part; a missing value
    differs from all. NaN for a list of fewer than two items.
    """
    shown = lists.require("shown")
    codes, n_codes = lists.require("catalogue").codes
    return np.asarray(kernels.mean_mismatch(shown.positions, shown.counts, codes, n_codes, k))


def serendipity(lists: JudgedLists, k: int) -> np.ndarray:
    """The share of the k places that hold a relevant item which nobody needed a model for: |{i ∈ L ∩ R, i ∉ P}| / k.

    P is what a primitive recommender shows the same user: the k most popular items of the history (without those seen, where
    lists leave them out), exactly as `recsys.Popularity` ranks them. Ge, Delgado-Battenfeld & Jannach 2010, "Beyond
    accuracy: evaluating recommender systems by coverage and serendipity", equation 5. At most `precision`; 0 for
    `Popularity` itself.
    """
    catalogue, users, shown = lists.require("catalogue"), lists.require("users"), lists.require("shown")
    history = catalogue.history
    if catalogue.exclude_seen:
        depths = kernels.expected_depths(catalogue.by_popularity, history.indptr, history.indices, users, k)
    else:
        depths = np.full(len(users), k)
    hit_indptr, hit_places, _ = lists.hit_rows
    found = kernels.unexpected_hits(hit_indptr, hit_places, shown.positions, catalogue.popularity_ranks, depths, k)
    return np.asarray(found / k)


def coverage(times_shown: np.ndarray, n_lists: int, k: int) -> float:
    """Catalogue coverage: the share of the model's items that at least one list shows, |{i: m(i) > 0}| / I.

    Herlocker et al. 2004, "Evaluating collaborative filtering recommender systems", section 4.1; Ge et al. 2010. It rises with
    the number of lists, so only numbers over the same users compare.
    """
    return float((times_shown > 0).mean())


def gini(times_shown: np.ndarray, n_lists: int, k: int) -> float:
    """How unequally items are shown: 0 when all are shown equally often, towards 1 when all lists show the same few.

    The Gini coefficient of m over all I items of the model, Σ_j (2j - I - 1) m_(j) / (I Σ_j m_(j)) with m_(1) <= m_(2) <= …
    (Fleder & Hosanagar 2009, "Blockbuster culture's next rise or fall"). NaN when nothing is shown.
    """
    ordered = np.sort(times_shown)
    total = float(ordered.sum())
    if total == 0:
        return float("nan")
    weights = 2.0 * np.arange(1, len(ordered) + 1) - len(ordered) - 1
    return float(weights @ ordered) / (len(ordered) * total)


def personalisation(times_shown: np.ndarray, n_lists: int, k: int) -> float:
    """How different the lists of two users are: the mean over all pairs of users of 1 - |L_u ∩ L_v| / k.

    Zhou et al. 2010 (their h(k)). Exact and over every pair, since Σ_{u ≠ v} |L_u ∩ L_v| = Σ_i m(i) (m(i) - 1); no pairs are
    drawn. 0 when all lists are the same and full, 1 when no two share an item. NaN for fewer than two lists.
    """
    if n_lists < 2:
        return float("nan")
    shared = float((times_shown * (times_shown - 1.0)).sum())
    return 1.0 - shared / (n_lists * (n_lists - 1.0) * k)


def popularity_lift(parts: np.ndarray) -> float:
    """How much more popular what is shown is than what the same users have: GAP_lists / GAP_profiles - 1.

    GAP_lists is the mean over users of `average_popularity`, GAP_profiles that of the mean of c(i) / U over the items in the
    user's history, both over the users who have a list and a history. ΔGAP of Abdollahpouri et al. 2019, "The unfairness of
    popularity bias in recommendation". 0 when lists are as popular as profiles, 1 when twice as popular; by group of users
    through `EvaluationResult.by`. NaN where no user has both.

    parts : (n_users, 2) as `popularity_parts` gives them.
    """
    above, below = parts[~np.isnan(parts).any(axis=1)].sum(axis=0)
    return float(above / below - 1) if below > 0 else float("nan")


def popularity_parts(lists: JudgedLists, k: int) -> np.ndarray:
    """(n_lists, 2) float64: the mean popularity of the list cut at k and of the user's history; NaN where it is empty."""
    catalogue, users = lists.require("catalogue"), lists.require("users")
    history = catalogue.history
    profiles = kernels.mean_of_rows(history.indptr, history.indices, users, catalogue.popularity)
    return np.column_stack([average_popularity(lists, k), profiles])


def _mean_over_items(lists: JudgedLists, values: np.ndarray, k: int) -> np.ndarray:
    shown = lists.require("shown")
    return np.asarray(kernels.mean_of_shown(shown.positions, shown.counts, values, k))
