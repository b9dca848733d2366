"""Weighting schemes: new weights of a sparse user-item matrix from old ones. Arrays only; imports `errors`.

Each scheme takes w (n,) float64, the rows and columns (n,) of the entries, and how many entries each row and column has.
Users (rows) play the part of documents, items (columns) that of words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recsys.errors import ParameterError, closest_hint, quote_some

__all__ = ["SCHEMES", "Entries", "weigh"]


@dataclass(frozen=True)
class Entries:
    """What a scheme may look at: weights, row and column of each entry; entries of each row and of each column."""

    weights: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    row_counts: np.ndarray
    column_counts: np.ndarray

    @property
    def idf(self) -> np.ndarray:
        """(n,) float64: log((1 + rows) / (1 + entries of the column)), which is never negative."""
        return np.asarray(np.log((1 + len(self.row_counts)) / (1 + self.column_counts))[self.columns])


def log(entries: Entries, *, alpha: float = 1.0) -> np.ndarray:
    """log(1 + alpha · w)"""
    return np.log1p(alpha * entries.weights)


def tfidf(entries: Entries) -> np.ndarray:
    """sqrt(w) · idf, each row scaled to length 1"""
    new = np.sqrt(entries.weights) * entries.idf
    length = np.sqrt(np.bincount(entries.rows, new**2, minlength=len(entries.row_counts)))
    return np.asarray(new / np.where(length > 0, length, 1)[entries.rows])


def bm25(entries: Entries, *, k1: float = 100.0, b: float = 0.8) -> np.ndarray:
    """w (k1 + 1) / (w + k1 (1 - b + b · |row| / mean |row|)) · idf, |row| the sum of a row (Robertson & Walker 1994)"""
    w = entries.weights
    totals = np.bincount(entries.rows, w, minlength=len(entries.row_counts))
    relative = totals / totals.mean() if totals.any() else np.ones(len(totals))
    return np.asarray(w * (k1 + 1) / (w + k1 * (1 - b + b * relative[entries.rows])) * entries.idf)


def degree(entries: Entries, *, user_exponent: float = -0.25, item_exponent: float = -0.25) -> np.ndarray:
    """w · (entries of the row)^user_exponent · (entries of the column)^item_exponent, scaled so that the mean weight stays"""
    new = entries.weights * entries.row_counts[entries.rows] ** user_exponent
    new *= entries.column_counts[entries.columns] ** item_exponent
    total = new.sum()
    return np.asarray(new * (entries.weights.sum() / total) if total > 0 else new)


SCHEMES: dict[str, Callable[..., np.ndarray]] = {"log": log, "tfidf": tfidf, "bm25": bm25, "degree": degree}


def weigh(scheme: str, entries: Entries, **parameters: float) -> np.ndarray:
    """The new weights (n,) float64. Raises `ParameterError` for a scheme or parameter that there is not."""
    if scheme not in SCHEMES:
        hint = closest_hint(str(scheme), list(SCHEMES))
        raise ParameterError(f"`scheme` must be {quote_some(SCHEMES)} or a function. Got {scheme!r}.{hint}")
    known = SCHEMES[scheme].__kwdefaults__ or {}
    unknown = parameters.keys() - known.keys()
    if unknown:
        raise ParameterError(f"{scheme!r} takes {quote_some(known) or 'no parameters'}. Got {quote_some(unknown)}.")
    return SCHEMES[scheme](entries, **parameters)
