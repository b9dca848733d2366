"""`BlendModel`: weighted sums of the scores of several models. What `recsys.Blend` yields.

May import everything below trainers, and the other models of this room.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from recsys.errors import DataError, FormatError, InputError, ParameterError, UnknownIdError, quote_some
from recsys.fold_in import Rows
from recsys.interactions import Interactions
from recsys.model.base import NeighbourTable, RankingModel
from recsys.model.parts import Part, check_parts, measured_spreads, part_from_stored
from recsys.model.without_embeddings import WithoutEmbeddings
from recsys.recommending.asked import EventRules
from recsys.recommending.blended import BlendedCatalogue, BlendedScores
from recsys.recommending.catalogue import Catalogue
from recsys.recommending.scores import Scores
from recsys.retrieval.exact import require_k
from recsys.storage import Stored, open_stored, write_stored

__all__ = ["FORM", "BlendModel"]

FORM = "blend"

Result = TypeVar("Result")

_PAIRS = 2**22


@dataclass(frozen=True)
class _Rules:
    duplicates: str
    takes_negative_weights: bool


@dataclass(frozen=True, eq=False, repr=False)
class BlendModel(WithoutEmbeddings, RankingModel):
    """Weighted sums of the scores of several models of the same data. Immutable; it has no embeddings.

        score(u, i) = Σ_m w_m s_m(u, i)        w_m = (share_m / spread_m) · (spread_1 / share_1)

    with 1 the part of the greatest share, whose scores the sums are thus on the scale of.

    parts : the models, by name. They must have the same history: users, items, pairs and weights.
    shares : of each part, above 0; they sum to 1.
    spreads : how far each part's scores of one user's best items lie apart (`recsys.model.pools.score_spreads`).

    Lists, pairs, baskets, filters and reasons are those of the sums, exactly: a pair scores the same float32 number in every
    list (where a part was compressed with `rescore`, lists hold what its codes propose). `similar_items` is that of the part of
    the greatest share; `diversity` goes by the vectors of the part of the greatest share that has some. New users are folded in
    by each part.
    """

    parts: Mapping[str, Part]
    shares: Mapping[str, float]
    spreads: Mapping[str, float]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    history: Interactions = field(init=False)

    def __post_init__(self) -> None:
        check_parts(self.parts)
        names = list(self.parts)
        for what, numbers in (("share", self.shares), ("spread", self.spreads)):
            if set(numbers) != set(names):
                raise ParameterError(
                    f"Each part must have a {what}: {quote_some(names)}. Got {what}s of {quote_some(numbers)}."
                )
            for name in names:
                if not 0 < numbers[name] < np.inf:
                    raise ParameterError(f"The {what} of the part {name!r} must be a number above 0. Got {numbers[name]!r}.")
            ordered = {name: float(numbers[name]) for name in names}
            object.__setattr__(self, f"{what}s", MappingProxyType(ordered))
        total = sum(self.shares.values())
        if abs(total - 1) > 1e-6:
            raise ParameterError(f"The shares of a blend must sum to 1. Got {total:g}.")
        object.__setattr__(self, "parts", MappingProxyType(dict(self.parts)))
        object.__setattr__(self, "history", self.parts[names[0]].history)

    @classmethod
    def of(
        cls,
        parts: Mapping[str, Part],
        shares: Mapping[str, float],
        *,
        provenance: Mapping[str, Any] | None = None,
        random_state: int = 0,
        num_threads: int | None = None,
    ) -> BlendModel:
        """With shares that are known. How far the scores of each part spread is measured, over up to 2,000 users drawn by
        `random_state`. Raises as the constructor, and `DataError` for a part that scores everything alike."""
        check_parts(parts)
        return cls(
            parts, shares, measured_spreads(parts, random_state, num_threads), {"trainer": "blend", **(provenance or {})}
        )

    def __repr__(self) -> str:
        sum_of = " + ".join(f"{share:.3g} {name}" for name, share in self.shares.items())
        return f"BlendModel({sum_of}, {len(self.users):,} users × {len(self.items):,} items)"

    @property
    def leading(self) -> str:
        """The name of the part of the greatest share, the first of equal ones."""
        return max(self.shares, key=lambda name: self.shares[name])

    @property
    def weights(self) -> dict[str, float]:
        """w_m of each part; 1 for the leading one."""
        one = self.shares[self.leading] / self.spreads[self.leading]
        return {name: self.shares[name] / self.spreads[name] / one for name in self.parts}

    def with_parts(self, parts: Mapping[str, Part], *, random_state: int = 0, num_threads: int | None = None) -> BlendModel:
        """The same shares over `parts`, models by the same names that were trained on other data: as when the shares were
        chosen on held-out data, and the parts are trained again on all there are.

        How far their scores spread is measured again, by `random_state`; shares stay. Raises `ParameterError` for other names.
        """
        if set(parts) != set(self.parts):
            raise ParameterError(f"The parts of this blend are {quote_some(self.parts)}. Got {quote_some(parts)}.")
        ordered = {name: parts[name] for name in self.parts}
        blend = BlendModel.of(
            ordered, self.shares, provenance=self.provenance, random_state=random_state, num_threads=num_threads
        )
        data = blend.history
        facts = {"n_users": data.n_users, "n_items": data.n_items, "n_interactions": data.n_interactions}
        again = {"fingerprint": data.fingerprint, **facts, "parts": {name: part.fingerprint for name, part in ordered.items()}}
        return replace_provenance(blend, "parts_trained_again", again)

    # ---- recommending -------------------------------------------------------------------------------------------

    def _scores(self, index: str) -> Scores:
        self._refuse_index(index)
        return self._sum_of([part._scores("exact") for part in self.parts.values()])

    def _sum_of(self, scores: list[Scores]) -> BlendedScores:
        return BlendedScores(scores, list(self.weights.values()), len(self.items))

    def _catalogue(self) -> Catalogue:
        catalogues = {name: part._catalogue() for name, part in self.parts.items()}
        by_share = sorted(catalogues, key=lambda name: -self.shares[name])
        likeness = [catalogues[name] for name in by_share]
        return BlendedCatalogue(list(catalogues.values()), list(self.weights.values()), likeness)

    def _event_rules(self, purpose: str) -> EventRules:
        rules = self._of_each(lambda part: part._event_rules(purpose))
        duplicates = {rule.duplicates for rule in rules.values()}
        if len(duplicates) > 1:
            each = ", ".join(f"{name!r}: {rule.duplicates}" for name, rule in rules.items())
            raise InputError(f"This blend can not {purpose}: its parts take a second event of a pair differently ({each}).")
        return _Rules(duplicates.pop(), all(rule.takes_negative_weights for rule in rules.values()))

    def _basket_scores(self, basket: Rows, index: str, num_threads: int | None) -> Scores:
        self._refuse_index(index)
        scores = self._of_each(lambda part: part._basket_scores(basket, "exact", num_threads))
        return self._sum_of(list(scores.values()))

    def _refuse_index(self, index: str) -> None:
        if index != "exact":
            raise ParameterError(f"A blend has no indexes of its own: `index` must be 'exact'. Got {index!r}.")

    def _of_each(self, work: Callable[[Part], Result]) -> dict[str, Result]:
        """`work` of every part; where one refuses, the error names it."""
        found = {}
        for name, part in self.parts.items():
            try:
                found[name] = work(part)
            except (UnknownIdError, ParameterError, DataError):
                raise  # what was asked for is wrong, whatever the part
            except InputError as error:
                raise InputError(f"The part {name!r} of the blend refuses: {error}") from error
        return found

    def scores(self, user_positions: np.ndarray) -> np.ndarray:
        """(n, n_items) float32: the scores of every item, also of those that were seen, for users given by position."""
        users, n_items = np.asarray(user_positions, np.int64), len(self.items)
        exact, found = self._scores("exact"), np.empty((len(users), n_items), np.float32)
        size = max(1, _PAIRS // max(1, n_items))
        for begin in range(0, len(users), size):
            some = users[begin : begin + size]
            pairs = np.repeat(some, n_items), np.tile(np.arange(n_items), len(some))
            found[begin : begin + size] = exact.pairs(*pairs, 1).reshape(len(some), n_items)
        return found

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the parts and their weights: equal models have equal fingerprints."""
        parts = [
            f"{part.fingerprint} {weight!r}" for part, weight in zip(self.parts.values(), self.weights.values(), strict=True)
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    # ---- likeness and reasons -----------------------------------------------------------------------------------

    def similar_items(self, items: Any = None, k: int = 10, *, num_threads: int | None = None) -> pd.DataFrame:
        """Those of the part of the greatest share (`leading`): item_id, similar_item_id, score, rank."""
        return self.parts[self.leading].similar_items(items, k, num_threads=num_threads)

    def similar_users(self, users: Any = None, k: int = 10, *, num_threads: int | None = None) -> pd.DataFrame:
        """Those of the part of the greatest share (`leading`). Raises `NoEmbeddingsError` where it has no vectors."""
        return self.parts[self.leading].similar_users(users, k, num_threads=num_threads)

    def _similar(self) -> NeighbourTable:
        return self.parts[self.leading]._similar()

    def explain(self, user: Any, item: Any, k: int | None = 5) -> pd.DataFrame:
        """Which of the user's own items carried the score of `item`: columns item_id, weight, contribution, rank.

        Contributions, and the base in `.attrs["base"]`, are the weighted sums of what `explain` of the parts says; so those of
        all the user's items sum to the score less the base. The k largest are returned, all of them for k=None. Raises
        `UnknownIdError`, and `InputError` where a part can not explain.
        """
        if k is not None:
            require_k(k)
        row = Rows.of(self.history, "users").take(np.array([self.users.position(user)]))
        base, contributions = 0.0, np.zeros(len(row.indices), np.float64)
        for name, table in self._of_each(lambda part: part.explain(user, item, None)).items():
            entries = np.searchsorted(row.indices, self.items.positions(table["item_id"]))
            contributions[entries] += self.weights[name] * table["contribution"].to_numpy(np.float64)
            base += self.weights[name] * table.attrs["base"]
        return self._explanation(row, contributions, base, k)

    # ---- what is new --------------------------------------------------------------------------------------------

    def fold_in(
        self, events: Interactions, *, of: str = "users", unknown: str = "raise", num_threads: int | None = None
    ) -> BlendModel:
        """A model that also knows the users (or, with of="items", the items) of `events`; this one stays as it is.

        Each part folds them in, and the weights stay. Arguments and errors are those of the parts' `fold_in`; `InputError`
        names a part that can not.
        """
        self._check_fold_in(events, of, unknown)
        self._event_rules("fold in")
        parts = self._of_each(lambda part: part.fold_in(events, of=of, unknown=unknown, num_threads=num_threads))
        facts = next(iter(parts.values())).provenance["folded_in"]
        return replace_provenance(replace_parts(self, parts), "folded_in", dict(facts))

    def forget(self, *, users: Any = None, items: Any = None, num_threads: int | None = None) -> BlendModel:
        """A model without these users and items, which each part forgets (see there what that leaves); this one stays.

        Raises `UnknownIdError` for ids the model does not know, `DataError` when nothing would be left.
        """
        self._remaining(users, items)
        parts = self._of_each(lambda part: part.forget(users=users, items=items, num_threads=num_threads))
        facts = {name: dict(part.provenance["forgotten"]) for name, part in parts.items()}
        return replace_provenance(replace_parts(self, parts), "forgotten", facts)

    @property
    def _duplicates(self) -> str:
        return self._event_rules("take new events").duplicates

    # ---- files --------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Writes a directory of kind "model" (see `recsys.storage`), its parts as models in folders of `parts/`.

        An existing path is refused unless `overwrite`.
        """
        weights = self.weights
        about = {
            name: {
                "trainer": part.trainer_name,
                "share": self.shares[name],
                "weight": weights[name],
                "spread": self.spreads[name],
                "fingerprint": part.fingerprint,
            }
            for name, part in self.parts.items()
        }
        write_stored(
            path,
            "model",
            arrays={},
            tables={},
            attributes={"form": FORM, "n_users": len(self.users), "n_items": len(self.items), "parts": about},
            provenance=self.provenance,
            parts={f"parts/{name}": part.save for name, part in self.parts.items()},
            overwrite=overwrite,
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, verify: bool = True) -> BlendModel:
        """Opens a directory written by `save`; arrays are memory-mapped. Raises `FormatError` that names what is wrong."""
        return cls.from_stored(open_stored(path, "model", verify=verify), verify=verify)

    @classmethod
    def from_stored(cls, stored: Stored, *, verify: bool = True) -> BlendModel:
        """The model in an opened directory. Raises `FormatError` for a model of another form, and for parts that are not those
        that it was written with."""
        if stored.attributes.get("form") != FORM:
            raise FormatError(f"{stored.path} holds a model of another form. Hint: recsys.load opens every form.")
        about = stored.attribute("parts")
        parts = {}
        for name, facts in about.items():
            parts[name] = part_from_stored(open_stored(stored.path / "parts" / name, "model", verify=verify), verify)
            if verify and parts[name].fingerprint != facts["fingerprint"]:
                raise FormatError(f"{stored.path / 'parts' / name} holds another model than {stored.path} was written with.")
        shares, spreads = ({name: facts[what] for name, facts in about.items()} for what in ("share", "spread"))
        return cls(parts, shares, spreads, stored.provenance)


def replace_parts(blend: BlendModel, parts: Mapping[str, Part]) -> BlendModel:
    """The same weights over other parts."""
    return BlendModel(parts, blend.shares, blend.spreads, blend.provenance)


def replace_provenance(blend: BlendModel, name: str, facts: Mapping[str, Any]) -> BlendModel:
    """With an entry of provenance more."""
    return BlendModel(blend.parts, blend.shares, blend.spreads, {**blend.provenance, name: facts})
