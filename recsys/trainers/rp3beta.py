"""RP3beta: random walks of three steps from a user over items and users to items, the popular ones held back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recsys.fold_in import Rows
from recsys.fold_in.rows import read_only
from recsys.interactions import Interactions
from recsys.model import ItemItemModel
from recsys.trainers.base import Trainer, Training
from recsys.trainers.item_item import ItemItemOutcome, both_sides, entries, nearest, nearest_blocks, weights_by_source
from recsys.trainers.search_space import Range, SearchSpace

__all__ = ["RP3beta"]


@dataclass(frozen=True, kw_only=True)
class RP3beta(Trainer[ItemItemModel]):
    """Random walks on the graph of users and items (Paudel, Christoffel, Newell & Bernstein, "Updatable, Accurate, Diverse, and
    Scalable Recommendations for Interactive Applications", ACM TiiS 2017), with an exponent of its own for each degree.

    With R the matrix of users and items, d_u = Σ_i r_ui and d_i = Σ_u r_ui,

        B_ji = d_j^-s · Σ_v r_vj d_v^-a r_vi · d_i^-t        score(u, i) = Σ_j r_uj B_ji

    with s, a and t the exponents of source, user and target: a walk steps from what the user has, j, to somebody who has it
    too, v, and on to what v has, i. (1, 1, 0) are its probabilities, P3 (Cooper, Lee, Radinsky & Siekmann, WWW 2014), up to the
    factor 1 / d_u, which changes no list. P3alpha is (α, α, 0) and RP3beta (α, α, β): both raise probabilities to α and the
    second divides by popularity to the power β (where they raise weights to α too, give weights so raised). (½, 1, ½) is
    symmetric in i and j.

    Of each item i the `neighbours` largest B_ji above 0 are kept, j ≠ i; of equal ones the lower position. So the model is
    sparse, and knows new users at once. The same bytes for any number of threads. Raises `DataError` for negative weights.
    """

    name: ClassVar[str] = "rp3beta"
    advice: ClassVar[str] = "trains in seconds, says why, knows new users at once; for sparse data, and beside als in a blend"
    makes_embeddings: ClassVar[bool] = False

    search_space: ClassVar[SearchSpace] = {
        "source_exponent": Range(0.0, 1.0),
        "user_exponent": Range(0.0, 1.5),
        "target_exponent": Range(0.0, 1.0),
        "neighbours": Range(50, 1000, log=True),
    }

    source_exponent: float = 0.5
    """s: more lets popular items that a user has speak less."""
    user_exponent: float = 0.8
    """a: more lets users who have much speak less."""
    target_exponent: float = 0.3
    """t: more holds popular items back; 0 leaves them where walks end most."""
    neighbours: int = 500
    """How many items may speak for an item: more reach further and take more memory and time."""
    use_weights: bool = False
    """Use the weights of the interactions; otherwise every pair counts 1."""
    num_threads: int | None = None
    """Threads; None for as many as there are processors. Does not change the result."""

    def __post_init__(self) -> None:
        for name in ("source_exponent", "user_exponent", "target_exponent"):
            self._check_number(name, at_least=0)
        self._check_integer("neighbours", at_least=1)
        self._check("use_weights", "True or False", isinstance(self.use_weights, (bool, np.bool_)))
        self._check_num_threads()

    def start(self, train: Interactions) -> Training[ItemItemModel]:
        train.refuse_negative_weights("RP3beta")
        return _Walks(self, train)


class _Walks(Training[ItemItemModel]):
    epochs = 1

    def __init__(self, trainer: RP3beta, train: Interactions) -> None:
        self._trainer, self._train = trainer, train
        self.parts = len(nearest_blocks(train.n_items))

    def train_epoch(self) -> dict[str, float]:
        first_step, last_step, of_target = self._steps()
        # No lengths and no shrinkage: likeness is then the sum over users itself.
        plain = np.zeros((self._train.n_items, 2)), 0.0, 1.0
        positions, reached, counts = nearest(
            last_step, first_step, plain, self._trainer.neighbours, self._trainer.num_threads, self.part_done
        )
        reached *= of_target[:, None]
        offsets = np.zeros(self._train.n_items, np.float32)
        self._weights = weights_by_source(entries(positions, reached, counts), offsets)
        return {}

    def _steps(self) -> tuple[Rows, Rows, np.ndarray]:
        """By user r_vj d_j^-s, by item d_v^-a r_vi, and (n_items,) d_i^-t, which changes nothing of which sources are best."""
        users, items = both_sides(self._train, self._trainer.use_weights)
        of_users, of_items = _degrees(users), _degrees(items)
        of_source = _power(of_items, self._trainer.source_exponent)[users.indices]
        of_user = _power(of_users, self._trainer.user_exponent)[items.indices]
        return (
            Rows(users.indptr, users.indices, read_only(users.weights * of_source)),
            Rows(items.indptr, items.indices, read_only(items.weights * of_user)),
            _power(of_items, self._trainer.target_exponent),
        )

    def outcome(self) -> ItemItemOutcome:
        return ItemItemOutcome(self._weights, self._trainer.use_weights)


def _degrees(rows: Rows) -> np.ndarray:
    """(n,) float64: the sum of each row's weights."""
    owners = np.repeat(np.arange(len(rows)), rows.counts)
    return np.bincount(owners, rows.weights, minlength=len(rows))


def _power(degrees: np.ndarray, exponent: float) -> np.ndarray:
    """(n,) float32: degrees^-exponent, 0 for what nobody has."""
    return np.asarray(np.where(degrees > 0, np.maximum(degrees, 1e-300) ** -exponent, 0), np.float32)
