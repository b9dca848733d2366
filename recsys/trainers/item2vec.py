"""Item2Vec: item vectors by skip-gram with negative sampling, trained by gensim, which is imported where it is used."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from recsys.errors import quote_some, require_extra
from recsys.fold_in import CrossedMean, Rows
from recsys.interactions import Interactions
from recsys.model import Model
from recsys.parallel import Workers
from recsys.times import span_microseconds
from recsys.trainers.base import Factors, Run, Trainer, refuse_idle_factors
from recsys.trainers.search_space import Range, SearchSpace
from recsys.trainers.sequences import ORDERS, sequences_of

__all__ = ["Item2Vec"]

# The most items that gensim's compiled code takes at once; what is over is lost without a word.
_BATCH_ITEMS = 10_000
# Where the learning rate ends, as in the authors' program.
_LAST_RATE = 1e-4


@dataclass(frozen=True, kw_only=True)
class Item2Vec(Trainer[Model]):
    """Skip-gram with negative sampling on sequences of items (Mikolov et al., "Distributed Representations of Words and Phrases
    and their Compositionality", NIPS 2013, equation 4; on items Barkan & Koenigstein, "Item2Vec", MLSP 2016).

    For each item i and each item j up to `window` places away in a user's sequence, gensim's Word2Vec makes a step up

        log σ(v_j · u_i) + Σ_{k=1..negatives} log σ(-v_j · u_k)        k drawn in proportion to n_k^negative_exponent

    with n_k how often item k occurs. The model's item vectors are [v, u], 2 · factors columns, both halves scaled to the same
    mean squared length, which changes no product. A user's vector is the weighted mean of [u_j, v_j] over what the user has, so
    that the score of an item is the weighted mean of v_j · u_i + u_j · v_i: the very products that were trained. On held-out
    data of Last.fm that ranks best (NDCG@10 .156): v_j · u_i alone has .130, and what is customary far less, v_j · v_i .041 and
    its cosine .003, in which items seen once or twice come first; least squares on [v, u] has .072. Weights of interactions
    count in that mean only. A trained user's vector equals the one that folding in the same events gives.

    How these settings matter for items, far more than for words, is shown by Caselles-Dupré, Lesaint & Royo-Letelier
    ("Word2vec applied to Recommendation: Hyperparameters Matter", RecSys 2018).

    An item that stands beside no other keeps a place and a vector of zeros. With one thread the same seed gives the same bytes,
    in any process; more are faster and write over each other's steps, so that every run differs a little.

    Raises `MissingExtraError` without gensim, and `DataError` for negative weights, without timestamps where order or sessions
    need them, and when no user has two items.
    """

    name: ClassVar[str] = "item2vec"
    advice: ClassVar[str] = (
        "items as words, sessions as sentences: for what follows what in time; slow, its settings need tuning"
    )
    extra: ClassVar[str | None] = "word2vec"
    search_space: ClassVar[SearchSpace] = {
        "window": Range(2, 20, log=True),
        "negative_exponent": Range(-1.0, 1.0),
        "subsampling": Range(1e-5, 1e-2, log=True),
        "learning_rate": Range(0.02, 0.2, log=True),
    }

    factors: int = 64
    """Length of v and of u."""
    order: str = "auto"
    """"time": a user's items in order of time; "none": a set, in a new random order each pass; "auto": time if there is one."""
    session_gap: float | str | None = None
    """A longer pause, such as "30min" or a number of seconds, begins a new sequence; None for one sequence a user."""
    window: int = 5
    """Places to each side that count as context; in order of time drawn anew from 1 to this, so that near ones count more."""
    negatives: int = 5
    """Items drawn against each pair: more learns more from a small log, at linear cost."""
    negative_exponent: float = -0.5
    """How they are drawn: 1 by popularity, 0 all alike, below 0 rare ones more often. 0.75 does for words, seldom for items."""
    subsampling: float = 1e-3
    """Events of items with more than this share of all are left out at random, the more the commoner; 0 for none."""
    min_count: int = 1
    """Items that fewer users have are not trained: they keep their place with a vector of zeros."""
    iterations: int = 30
    """Passes over all sequences."""
    learning_rate: float = 0.1
    """At the beginning; falls evenly to nearly 0."""
    random_state: int = 0
    """Seed of the initial vectors and of all draws."""
    num_threads: int | None = 1
    """Threads; None for as many as there are processors. The result can be repeated with 1 only."""
    track_loss: bool = False
    """Sum up -log σ of the steps (a little slower) and report it for each event to progress and callback."""

    def __post_init__(self) -> None:
        for name in ("factors", "window", "negatives", "min_count", "iterations"):
            self._check_integer(name, at_least=1)
        self._check_integer("random_state", at_least=0)
        self._check_number("learning_rate", above=0)
        self._check_number("negative_exponent", at_least=-10)
        self._check_number("subsampling", at_least=0)
        self._check("subsampling", "a share of all events, below 1", self.subsampling < 1)
        self._check("order", quote_some(ORDERS), self.order in ORDERS)
        self._check("track_loss", "True or False", isinstance(self.track_loss, (bool, np.bool_)))
        self._check_num_threads()
        if self.session_gap is not None:
            span_microseconds(self.session_gap, "session_gap")

    def start(self, train: Interactions) -> Run:
        train.refuse_negative_weights("Item2Vec")
        refuse_idle_factors("Item2Vec", self.factors, train)
        return _Item2VecRun(self, train)


class _Item2VecRun(Run):
    """gensim knows items by number, counted in order of position over those that occur; ids are never given to it.

    Pass e draws from the seed, e and the number of its batch alone, so the vectors and the number of passes are all its state.
    """

    def __init__(self, trainer: Item2Vec, train: Interactions) -> None:
        self.epochs = trainer.iterations
        self._trainer, self._train = trainer, train
        self._sequences = sequences_of(
            train, wanted_by="Item2Vec", order=trainer.order, session_gap=trainer.session_gap, min_count=trainer.min_count
        )
        self._items, numbers, counts = np.unique(self._sequences.items, return_inverse=True, return_counts=True)
        self._numbers = numbers.astype(np.int32)
        self._starts = _cut(self._sequences.starts)
        self._batches = _batches(self._starts)
        self._gensim = require_extra("gensim.models.word2vec", "word2vec", "The trainer 'item2vec'")
        self._word2vec = self._untrained(counts)
        self.parts, self._epoch = len(self._batches), 0

    def _untrained(self, counts: np.ndarray) -> Any:
        trainer = self._trainer
        word2vec = self._gensim.Word2Vec(
            vector_size=trainer.factors, window=trainer.window, negative=trainer.negatives,
            ns_exponent=trainer.negative_exponent, sample=trainer.subsampling, min_count=1, sg=1, sorted_vocab=0,
            shrink_windows=self._sequences.ordered, seed=int(_seeds(trainer.random_state)[0]),
        )  # fmt: skip
        # Numbers in rising order: gensim's own place of an item is then its number too.
        word2vec.build_vocab_from_freq(dict(enumerate(counts.tolist())))
        return word2vec

    def train_epoch(self) -> dict[str, float]:
        trainer, numbers = self._trainer, self._numbers
        if not self._sequences.ordered:
            numbers = numbers[self._shuffled()]
        with Workers(trainer.num_threads) as workers:
            losses = workers.map(lambda batch: self._train_batch(batch, numbers), range(len(self._batches)))
        self._epoch += 1
        return {"loss": math.fsum(losses) / len(numbers)} if trainer.track_loss else {}

    def _shuffled(self) -> np.ndarray:
        """An order of all places that mixes each sequence."""
        lengths = self._sequences.lengths
        keys = np.random.default_rng([self._trainer.random_state, self._epoch]).random(len(self._numbers))
        return np.lexsort((keys, np.repeat(np.arange(len(lengths)), lengths)))

    def _train_batch(self, batch: int, numbers: np.ndarray) -> float:
        """Steps over one batch of sequences; the loss of them."""
        trainer, (first, last) = self._trainer, self._batches[batch]
        sentences = [numbers[begin:end].tolist() for begin, end in pairwise(self._starts[first : last + 1].tolist())]
        done = (self._epoch + self._starts[first] / self._starts[-1]) / trainer.iterations
        rate = trainer.learning_rate + (min(_LAST_RATE, trainer.learning_rate) - trainer.learning_rate) * done
        # A handle on the same vectors with draws and a loss of its own, so that threads share nothing else.
        handle = copy.copy(self._word2vec)
        handle.random = np.random.RandomState(_seeds(trainer.random_state, self._epoch, batch))
        handle.running_training_loss = 0.0
        self._gensim.train_batch_sg(handle, sentences, rate, np.zeros(trainer.factors, np.float32), trainer.track_loss)
        self.part_done()
        return float(handle.running_training_loss)

    def factors(self) -> Factors:
        factors = self._trainer.factors
        items = np.zeros((self._train.n_items, 2 * factors), np.float32)
        items[self._items] = np.hstack(_balanced(self._word2vec.wv.vectors, self._word2vec.syn1neg))
        method = CrossedMean.of_halves(factors)
        return Factors(method.solve(Rows.of(self._train, "users"), items, self._trainer.num_threads), items, method)

    def state(self) -> dict[str, np.ndarray]:
        vectors = {"inputs": self._word2vec.wv.vectors, "outputs": self._word2vec.syn1neg}
        return vectors | {"epochs": np.array([self._epoch])}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._word2vec.wv.vectors, self._word2vec.syn1neg = state["inputs"], state["outputs"]
        self._epoch = int(state["epochs"][0])


def _seeds(*numbers: int) -> np.ndarray:
    """(4,) uint32 that follow from `numbers`, of any size."""
    return np.random.SeedSequence(numbers).generate_state(4)


def _cut(starts: np.ndarray) -> np.ndarray:
    """`starts` with more of them where a sequence is longer than gensim takes."""
    lengths = np.diff(starts)
    if not (lengths > _BATCH_ITEMS).any():
        return starts
    pieces = [np.arange(start, start + length, _BATCH_ITEMS) for start, length in zip(starts[:-1], lengths, strict=True)]
    return np.concatenate([*pieces, starts[-1:]])


def _batches(starts: np.ndarray) -> list[tuple[int, int]]:
    """(first, last) of runs of sequences that together hold at most `_BATCH_ITEMS`."""
    edges = [0]
    while edges[-1] < len(starts) - 1:
        edges.append(int(np.searchsorted(starts, starts[edges[-1]] + _BATCH_ITEMS, side="right")) - 1)
    return list(pairwise(edges))


def _balanced(inputs: np.ndarray, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both (n, dim), one multiplied and the other divided by a number, so that their mean squared lengths are equal."""
    one, other = (float(np.linalg.norm(half)) for half in (inputs, outputs))
    # After no step at all the outputs are zeros.
    scale = np.float32(math.sqrt(other / one)) if one > 0 and other > 0 else np.float32(1)
    return inputs * scale, outputs / scale
