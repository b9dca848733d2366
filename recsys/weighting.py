"""Weighting schemes: new weights of a sparse user-item matrix from old ones. Arrays only; imports `errors`.

Users (rows) play the part of documents, items (columns) that of words. A new weight follows from the old one, from one number
of its row, one of its column, and a few of the whole matrix. With those kept, rows and columns that come later are weighed as
they would have been beside the others: `Statistics` keeps them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np

from recsys.errors import ParameterError, closest_hint, quote_some

__all__ = ["SCHEMES", "Entries", "Scheme", "Side", "Statistics", "make_scheme", "parse_scheme", "weigh"]


Whole: TypeAlias = Mapping[str, float]


@dataclass(frozen=True)
class Entries:
    """What a scheme may look at: weights, row and column of each entry; entries of each row and of each column."""

    weights: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    row_counts: np.ndarray
    column_counts: np.ndarray


@dataclass(frozen=True)
class Side:
    """Entries by their rows, or by their columns: weights (n,), the position of each, entries at each position."""

    weights: np.ndarray
    positions: np.ndarray
    counts: np.ndarray

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Of (n,) values, one an entry, at each position."""
        return np.bincount(self.positions, values, minlength=len(self.counts))


@dataclass(frozen=True)
class Scheme(ABC):
    """Parameters, and how the numbers of the matrix, of columns and of rows make a weight. All arrays are float64."""

    @property
    def is_local(self) -> bool:
        """Whether a new weight follows from the old one alone."""
        return False

    def whole(self, entries: Entries) -> dict[str, float]:
        """Numbers of the whole matrix."""
        return {}

    def of_columns(self, side: Side, whole: Whole) -> np.ndarray:
        """(n_columns,) from the entries by column."""
        return np.ones(len(side.counts))

    def of_rows(self, side: Side, by_column: np.ndarray, whole: Whole) -> np.ndarray:
        """(n_rows,) from the entries by row and the numbers (n,) of their columns."""
        return np.ones(len(side.counts))

    @abstractmethod
    def weights(self, old: np.ndarray, by_row: np.ndarray, by_column: np.ndarray, whole: Whole) -> np.ndarray:
        """(n,) new weights from the old ones, the numbers of their rows and those of their columns."""


@dataclass(frozen=True)
class Log(Scheme):
    """log(1 + alpha · w)"""

    alpha: float = 1.0

    @property
    def is_local(self) -> bool:
        return True

    def weights(self, old: np.ndarray, by_row: np.ndarray, by_column: np.ndarray, whole: Whole) -> np.ndarray:
        return np.asarray(np.log1p(self.alpha * old))


@dataclass(frozen=True)
class Tfidf(Scheme):
    """sqrt(w) · idf, each row scaled to length 1; idf = log((1 + rows) / (1 + entries of the column)), never negative"""

    def whole(self, entries: Entries) -> dict[str, float]:
        return {"n_rows": float(len(entries.row_counts))}

    def of_columns(self, side: Side, whole: Whole) -> np.ndarray:
        return _idf(side.counts, whole["n_rows"])

    def of_rows(self, side: Side, by_column: np.ndarray, whole: Whole) -> np.ndarray:
        length = np.sqrt(side.sums(side.weights * by_column**2))
        return np.asarray(1 / np.where(length > 0, length, 1))

    def weights(self, old: np.ndarray, by_row: np.ndarray, by_column: np.ndarray, whole: Whole) -> np.ndarray:
        return np.asarray(np.sqrt(old) * by_row * by_column)


@dataclass(frozen=True)
class Bm25(Scheme):
    """w (k1 + 1) / (w + k1 (1 - b + b · |row| / mean |row|)) · idf, |row| the sum of a row (Robertson & Walker 1994)"""

    k1: float = 100.0
    b: float = 0.8

    def whole(self, entries: Entries) -> dict[str, float]:
        n_rows = len(entries.row_counts)
        return {"n_rows": float(n_rows), "mean_row": float(entries.weights.sum()) / max(n_rows, 1)}

    def of_columns(self, side: Side, whole: Whole) -> np.ndarray:
        return _idf(side.counts, whole["n_rows"])

    def of_rows(self, side: Side, by_column: np.ndarray, whole: Whole) -> np.ndarray:
        if not whole["mean_row"]:
            return np.ones(len(side.counts))
        return np.asarray(side.sums(side.weights) / whole["mean_row"])

    def weights(self, old: np.ndarray, by_row: np.ndarray, by_column: np.ndarray, whole: Whole) -> np.ndarray:
        below = old + self.k1 * (1 - self.b + self.b * by_row)
        return np.asarray(old * (self.k1 + 1) / np.where(below > 0, below, 1) * by_column)


@dataclass(frozen=True)
class Degree(Scheme):
    """w · (entries of the row)^user_exponent · (entries of the column)^item_exponent, scaled so that the mean weight stays"""

    user_exponent: float = -0.25
    item_exponent: float = -0.25

    def whole(self, entries: Entries) -> dict[str, float]:
        by_row = np.maximum(entries.row_counts, 1.0) ** self.user_exponent
        by_column = np.maximum(entries.column_counts, 1.0) ** self.item_exponent
        total = float((entries.weights * by_row[entries.rows] * by_column[entries.columns]).sum())
        return {"scale": float(entries.weights.sum()) / total if total > 0 else 1.0}

    def of_columns(self, side: Side, whole: Whole) -> np.ndarray:
        return np.asarray(np.maximum(side.counts, 1.0) ** self.item_exponent * whole["scale"])

    def of_rows(self, side: Side, by_column: np.ndarray, whole: Whole) -> np.ndarray:
        return np.asarray(np.maximum(side.counts, 1.0) ** self.user_exponent)

    def weights(self, old: np.ndarray, by_row: np.ndarray, by_column: np.ndarray, whole: Whole) -> np.ndarray:
        return np.asarray(old * by_row * by_column)


@dataclass(frozen=True)
class Ppmi(Scheme):
    """max(0, log(w · total / (|row| · |column|)) - log shift), |·| the sums of weights.

    The positive pointwise mutual information of user and item, less the logarithm of `shift` (Levy & Goldberg, "Neural Word
    Embedding as Implicit Matrix Factorization", NIPS 2014, equation 11, where `shift` is the number of negative samples):
    a pair that is seen no more often than by chance, or than `shift` times that, gets 0.
    """

    shift: float = 1.0

    def __post_init__(self) -> None:
        if not self.shift > 0:
            raise ParameterError(f"`shift` of 'ppmi' must be a number > 0. Got {self.shift!r}.")

    def whole(self, entries: Entries) -> dict[str, float]:
        return {"total": float(entries.weights.sum())}

    def of_columns(self, side: Side, whole: Whole) -> np.ndarray:
        return _or_zero(whole["total"], side.sums(side.weights))

    def of_rows(self, side: Side, by_column: np.ndarray, whole: Whole) -> np.ndarray:
        return _or_zero(1.0, side.sums(side.weights))

    def weights(self, old: np.ndarray, by_row: np.ndarray, by_column: np.ndarray, whole: Whole) -> np.ndarray:
        return np.asarray(np.log(np.maximum(old * by_row * by_column / self.shift, 1.0)))


SCHEMES: dict[str, type[Scheme]] = {"log": Log, "tfidf": Tfidf, "bm25": Bm25, "degree": Degree, "ppmi": Ppmi}


@dataclass(frozen=True)
class Statistics:
    """What is kept of a weighed matrix: a number of each row and of each column, float64, and those of the whole."""

    rows: np.ndarray
    columns: np.ndarray
    whole: Whole

    @classmethod
    def of(cls, scheme: Scheme, entries: Entries) -> Statistics:
        """Those of a matrix that is to be weighed by `scheme`."""
        whole = scheme.whole(entries)
        columns = scheme.of_columns(Side(entries.weights, entries.columns, entries.column_counts), whole)
        side = Side(entries.weights, entries.rows, entries.row_counts)
        rows = scheme.of_rows(side, columns[entries.columns], whole)
        return cls(rows, columns, whole)

    def weigh(self, scheme: Scheme, entries: Entries) -> np.ndarray:
        """(n,) float64: the new weights of the entries whose rows and columns these numbers belong to."""
        return scheme.weights(entries.weights, self.rows[entries.rows], self.columns[entries.columns], self.whole)


def weigh(scheme: str, entries: Entries, **parameters: float) -> np.ndarray:
    """The new weights (n,) float64. Raises `ParameterError` for a scheme or parameter that there is not."""
    chosen = make_scheme(scheme, **parameters)
    return Statistics.of(chosen, entries).weigh(chosen, entries)


def make_scheme(name: str, **parameters: Any) -> Scheme:
    """A scheme by name. Raises `ParameterError` for one, or for a parameter, that there is not."""
    if name not in SCHEMES:
        hint = closest_hint(str(name), list(SCHEMES))
        raise ParameterError(f"`scheme` must be {quote_some(SCHEMES)} or a function. Got {name!r}.{hint}")
    known = [field.name for field in fields(SCHEMES[name])]
    unknown = parameters.keys() - set(known)
    if unknown:
        raise ParameterError(f"{name!r} takes {quote_some(known) or 'no parameters'}. Got {quote_some(unknown)}.")
    return SCHEMES[name](**parameters)


def parse_scheme(text: str) -> Scheme | None:
    """A scheme written as `bm25` or, with parameters, `bm25:k1=1.2,b=0.75`; None for "none".

    Raises `ParameterError` that says what is wrong with it.
    """
    if not isinstance(text, str):
        raise ParameterError(f"A weighting is written as 'none', 'bm25' or 'bm25:k1=1.2,b=0.75'. Got {text!r}.")
    name, colon, listed = text.partition(":")
    if name == "none" and not colon:
        return None
    if name not in SCHEMES:
        options = ["none", *SCHEMES]
        hint = closest_hint(name, options)
        raise ParameterError(f"A weighting is one of {quote_some(options, 10)}. Got {text!r}.{hint}")
    parameters = {}
    for part in listed.split(",") if colon else ():
        parameter, _, value = part.partition("=")
        try:
            parameters[parameter.strip()] = float(value)
        except ValueError:
            raise ParameterError(
                f"The parameters of a weighting are numbers, as in 'bm25:k1=1.2,b=0.75'. Got {text!r}."
            ) from None
    if not all(np.isfinite(value) for value in parameters.values()):
        raise ParameterError(f"The parameters of a weighting are finite numbers. Got {text!r}.")
    return make_scheme(name, **parameters)


def _idf(counts: np.ndarray, n_rows: float) -> np.ndarray:
    # A column that came later may have more entries than there were rows.
    return np.asarray(np.maximum(np.log((1 + n_rows) / (1 + counts)), 0))


def _or_zero(above: float, below: np.ndarray) -> np.ndarray:
    """above / below, 0 where below is 0."""
    return np.asarray(np.divide(above, below, out=np.zeros(len(below)), where=below > 0))
