"""Screening: many queries by items of falling norm, most pairs ruled out by bounds from codes in few bits.

A query is done when its norm times that of the next items can not reach the worst score that it keeps. Of the other pairs the
product of small codes is made, twice as fast as that of floats or more. With what the codes leave out it bounds the score from
above, and only pairs whose bound reaches the bar are scored. Before, a sample of the items suggests what the bar will be at
least; a list for which that was too high is searched again. May import kernels and shortlists.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from recsys.kernels import screening
from recsys.retrieval.shortlists import QueryShortlists, inverse

__all__ = ["Screen", "screened"]

# So many possible pairs a query are scored at a time, by which the bars rise.
_PAIRS_A_QUERY = 16
# One item of so many is in the sample, where that makes a sample of some size; and how seldom a guess should be too high.
_SAMPLED, _LEAST_SAMPLE, _TOO_HIGH = 48, 96, 1e-3


@dataclass(frozen=True)
class _Coded:
    """Vectors as columns of products: see `recsys.kernels.screening.code_columns`."""

    n: int
    codes: np.ndarray
    starts: np.ndarray
    about: np.ndarray

    @classmethod
    def of(cls, vectors: np.ndarray) -> _Coded:
        """The codes of (n, dim) float32 vectors."""
        n, dim = vectors.shape
        panels, words = -(-n // screening.PANEL), _padded(dim) // 4
        codes = np.empty((panels, words, screening.PANEL, 4), np.int8)
        starts, about = np.empty((panels, screening.PANEL), np.int32), np.empty((panels, 3), np.float32)
        screening.code_columns(vectors, codes, starts, about)
        return cls(n, codes.view(np.int32)[..., 0], starts, about)


@dataclass(frozen=True)
class Screen:
    """Items by falling norm, as codes.

    axes : (dim, dim) float32, into which vectors are turned before, so that no coordinate stands out.
    sampled : (n,) int32, the number of each place in the sample, -1 for none.
    """

    axes: np.ndarray
    items: _Coded
    sampled: np.ndarray
    sample: _Coded

    @classmethod
    def of(cls, vectors: np.ndarray) -> Screen:
        """Of (n, dim) float32 vectors of falling norms."""
        n, dim = vectors.shape
        axes = _mixing_axes(dim)
        turned = vectors @ axes
        size = n // _SAMPLED
        places = np.arange(size if size >= _LEAST_SAMPLE else 0) * _SAMPLED + _SAMPLED // 2
        return cls(axes, _Coded.of(turned), inverse(places, n), _Coded.of(turned[places]))


def screened(screen: Screen, best: QueryShortlists, vectors: np.ndarray, labels: np.ndarray, *, guess: bool) -> None:
    """Fills the shortlists.

    vectors, labels : (n, dim) float32 and (n,) int32, the item at each place of the screen.
    guess : begin with bars that the sample suggests, so that a list may end short.
    """
    _Pass(screen, best, vectors, labels).run(guess)


class _Pass:
    """Items pass by a group of queries until none of these can be reached any more."""

    def __init__(self, screen: Screen, best: QueryShortlists, vectors: np.ndarray, labels: np.ndarray) -> None:
        self._screen, self._best, self._vectors, self._labels = screen, best, vectors, labels
        n, dim = best.queries.shape
        self._codes, self._about = np.empty((_whole_tiles(n), _padded(dim)), np.uint8), np.empty((n, 4), np.float32)
        screening.code_rows(best.queries @ screen.axes, self._codes, self._about)

    def run(self, guess: bool) -> None:
        """Fills the shortlists."""
        best, items = self._best, self._screen.items
        if guess and self._screen.sample.n:
            self._guess_bars()
        n = len(self._about)
        rows, codes, enough = np.arange(n), self._codes.view(np.int32), _PAIRS_A_QUERY * n
        room = enough + n * screening.NEAR_PANELS * screening.PANEL
        found_rows, columns, bounds = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.float32)
        panel = 0
        while n:
            found, panel, n = screening.possible_pairs(
                codes, rows, n, self._about, best.bars, items.codes, items.starts, items.about, items.n, panel, enough,
                found_rows, columns, bounds,
            )  # fmt: skip
            best.enter_possible(found_rows[:found], columns[:found], bounds[:found], self._vectors, self._labels)

    def _guess_bars(self) -> None:
        sample, best = self._screen.sample, self._best
        scores = np.empty((len(self._about), sample.n), np.float32)
        screening.products_of_codes(self._codes.view(np.int32), self._about, sample.codes, sample.starts, sample.about, scores)
        best.mask_sampled(scores, self._screen.sampled)
        best.guess(scores, _sample_rank(best.kept, sample.n / len(self._labels)))


def _sample_rank(kept: int, share: float) -> int:
    """The least r for which r of the `kept` best items are seldom in a sample of that share, were it drawn by chance.

    They are about as many as a Poisson variable of mean kept · share. So the r-th best of the sample is seldom among the `kept`
    best of all.
    """
    mean, r = kept * share, 0
    term = math.exp(-mean)
    beyond = 1 - term
    while beyond >= _TOO_HIGH:
        r += 1
        term *= mean / r
        beyond -= term
    return r + 1


def _mixing_axes(dim: int) -> np.ndarray:
    """(dim, dim) float32 orthogonal: those of the discrete cosine transform, after signs drawn at random."""
    places = np.arange(dim)
    axes = np.cos(np.pi / dim * (places[:, None] + 0.5) * places) * np.sqrt(2 / dim)
    axes[:, 0] *= np.sqrt(0.5)
    return np.asarray(axes * np.random.default_rng(0).choice([-1.0, 1.0], (dim, 1)), np.float32)


def _whole_tiles(n: int) -> int:
    return -(-n // screening.TILE_ROWS) * screening.TILE_ROWS


def _padded(dim: int) -> int:
    return -(-dim // screening.DEPTH) * screening.DEPTH
