"""The class `Interactions`. May import errors, times, ids, storage, features, parallel, kernels and this room."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

from recsys.errors import DataError, ParameterError, quote_some
from recsys.features import Features
from recsys.ids import IdMap
from recsys.interactions import merging, side_features, weighing
from recsys.kernels import csr, gather
from recsys.parallel import Workers
from recsys.storage import Stored, id_table, open_stored, read_ids, write_stored
from recsys.times import as_microseconds

__all__ = ["DUPLICATE_RULES", "Interactions"]

DUPLICATE_RULES = {"sum": gather.SUM, "count": gather.COUNT, "max": gather.MAX, "last": gather.LAST}
EventBlock = tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]

_STRETCH = 2**22


@dataclass(frozen=True, eq=False, repr=False)
class Interactions:
    """Events gathered to one entry per user and item, in compressed rows, one row a user.

    users, items : ids and their positions.
    indptr : (n_users + 1,) int64, where each user's entries begin and end.
    indices : (n_interactions,) int32, item positions, strictly rising within a row.
    weights : (n_interactions,) float32, finite.
    timestamps : (n_interactions,) int64, microseconds since 1970 UTC, of the latest event of the entry; or None.
    provenance : where the events came from; saved with the data.
    user_features, item_features : what is known about them, one row each in the same positions; or None.

    Nothing can be changed after construction; each method returns new Interactions. Raises `DataError` when the parts do
    not fit together.
    """

    users: IdMap
    items: IdMap
    indptr: np.ndarray
    indices: np.ndarray
    weights: np.ndarray
    timestamps: np.ndarray | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    user_features: Features | None = field(default=None, kw_only=True)
    item_features: Features | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        wanted = {"indptr": np.int64, "indices": np.int32, "weights": np.float32, "timestamps": np.int64}
        lengths = {"indptr": len(self.users) + 1}
        for name, dtype in wanted.items():
            array = getattr(self, name)
            if array is None:
                continue
            length = lengths.get(name, len(self.indices))
            if array.dtype != dtype or array.shape != (length,):
                raise DataError(
                    f"Interactions.{name} must be {np.dtype(dtype)} of shape ({length},). "
                    f"Got {array.dtype} of shape {array.shape}."
                )
            view = array.view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)
        if self.indptr[0] != 0 or self.indptr[-1] != len(self.indices) or (np.diff(self.indptr) < 0).any():
            raise DataError("Interactions.indptr must rise from 0 to the number of entries.")
        if not csr.rows_are_sorted(self.indptr, self.indices, len(self.items)):
            raise DataError("Interactions.indices must strictly rise within each row and lie within the items.")
        if not np.isfinite(self.weights).all():
            user, item = self._first_ids(~np.isfinite(self.weights))
            raise DataError(f"Every weight must be a finite number. That of user {user!r} and item {item!r} is not.")
        side_features.check(self)

    # ---- making -------------------------------------------------------------------------------------------------

    @classmethod
    def from_events(
        cls,
        users: IdMap,
        items: IdMap,
        user_positions: np.ndarray,
        item_positions: np.ndarray,
        weights: np.ndarray | None = None,
        timestamps: np.ndarray | None = None,
        *,
        duplicates: str = "sum",
        provenance: Mapping[str, Any] | None = None,
    ) -> Interactions:
        """Gathers events given as positions, in the order of the log. No weights means 1 each.

        duplicates : what becomes of several events of one user and item: "sum" of their weights, their "count", the
            "max", or the "last" (by timestamp, then by order).
        """
        events = (user_positions, item_positions, weights, timestamps)
        return cls.from_event_blocks(users, items, [events], duplicates=duplicates, provenance=provenance)

    @classmethod
    def from_event_blocks(
        cls,
        users: IdMap,
        items: IdMap,
        blocks: list[EventBlock],
        *,
        duplicates: str = "sum",
        provenance: Mapping[str, Any] | None = None,
        num_threads: int | None = None,
    ) -> Interactions:
        """As `from_events`, from blocks of (user positions, item positions, weights or None, timestamps or None).

        `blocks` is emptied on the way, so that little more than the result is held in memory beside what is left of it.
        """
        if duplicates not in DUPLICATE_RULES:
            raise ParameterError(f"`duplicates` must be one of {quote_some(DUPLICATE_RULES)}. Got {duplicates!r}.")
        timed = bool(blocks) and blocks[0][3] is not None
        with Workers(num_threads) as workers:
            gathered = gather.gather_events(blocks, len(users), DUPLICATE_RULES[duplicates], workers.num_threads, workers.map)
        indptr, indices, weights, timestamps = gathered
        return cls(users, items, indptr, indices, weights, timestamps if timed else None, provenance or {})

    @classmethod
    def from_csr(cls, matrix: Any, *, users: Any = None, items: Any = None) -> Interactions:
        """From a scipy sparse matrix or array of users × items; ids default to the row and column numbers."""
        rows = scipy.sparse.csr_array(matrix).astype(np.float32)
        rows.sum_duplicates()
        n_users, n_items = rows.shape
        user_map = IdMap(np.arange(n_users) if users is None else users, name="user_id")
        item_map = IdMap(np.arange(n_items) if items is None else items, name="item_id")
        if (len(user_map), len(item_map)) != rows.shape:
            raise DataError(
                f"The matrix is {n_users} × {n_items} (users × items), the ids are {len(user_map)} × {len(item_map)}."
            )
        return cls(user_map, item_map, rows.indptr.astype(np.int64), rows.indices.astype(np.int32), rows.data)

    # ---- looking ------------------------------------------------------------------------------------------------

    @property
    def n_users(self) -> int:
        """Number of users (rows)."""
        return len(self.users)

    @property
    def n_items(self) -> int:
        """Number of items (columns)."""
        return len(self.items)

    @property
    def n_interactions(self) -> int:
        """Number of stored user-item pairs."""
        return len(self.indices)

    @property
    def shape(self) -> tuple[int, int]:
        """(n_users, n_items)."""
        return self.n_users, self.n_items

    @property
    def density(self) -> float:
        """Share of all user-item pairs that are stored, 0 for empty data."""
        return self.n_interactions / (self.n_users * self.n_items) if self.n_interactions else 0.0

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays, ids not counted."""
        arrays = (self.indptr, self.indices, self.weights, self.timestamps)
        return sum(array.nbytes for array in arrays if array is not None)

    @cached_property
    def item_counts(self) -> np.ndarray:
        """(n_items,) int64: in how many users' rows each item stands."""
        counts = np.zeros(self.n_items, np.int64)
        # numpy counts integers of 64 bits: a stretch at a time, the copy stays small.
        for start in range(0, len(self.indices), _STRETCH):
            counts += np.bincount(self.indices[start : start + _STRETCH], minlength=self.n_items)
        return counts

    @property
    def user_counts(self) -> np.ndarray:
        """(n_users,) int64: how many items each user has."""
        return np.diff(self.indptr)

    @cached_property
    def by_item(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same entries by item: indptr (n_items + 1,) int64, user positions int32, weights float32. Made once, kept."""
        indptr, rows, order = csr.transpose(self.indptr, self.indices, self.n_items)
        weights = self.weights[order]
        for array in (indptr, rows, weights):
            array.flags.writeable = False
        return indptr, rows, weights

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over ids, entries, weights and timestamps: equal data have equal fingerprints."""
        digest = hashlib.sha256()
        for ids in (self.users, self.items):
            digest.update(b"integer" if ids.is_integer else b"string")
            for part in ids.content():
                digest.update(part)
        for array in (self.indptr, self.indices, self.weights, self.timestamps):
            digest.update(b"none" if array is None else np.ascontiguousarray(array).data)
        for name, features in side_features.named(self).items():
            digest.update(f"{name} {features.fingerprint}".encode())
        return digest.hexdigest()

    def __len__(self) -> int:
        return self.n_interactions

    def __repr__(self) -> str:
        if self.n_interactions == 0:
            return f"Interactions({self.n_users:,} users × {self.n_items:,} items, empty)"
        low, high = self.weights.min(), self.weights.max()
        parts = [
            f"{self.n_users:,} users × {self.n_items:,} items",
            f"{self.n_interactions:,} interactions",
            f"density {100 * self.density:.3g} %",
            f"weight {low:g}" if low == high else f"weights {low:g} to {high:g}",
        ]
        if self.timestamps is not None:
            first, last = (np.datetime64(int(t), "us") for t in (self.timestamps.min(), self.timestamps.max()))
            parts.append(f"{np.datetime_as_string(first, 'D')} to {np.datetime_as_string(last, 'D')}")
        parts += [f"{features.n_features:,} {name.replace('_', ' ')}" for name, features in side_features.named(self).items()]
        return f"Interactions({', '.join(parts)})"

    def to_csr(self) -> scipy.sparse.csr_array:
        """As a scipy CSR array of users × items, float32. A copy: changing it changes nothing here."""
        return scipy.sparse.csr_array((self.weights.copy(), self.indices.copy(), self.indptr.copy()), shape=self.shape)

    def to_frame(self) -> pd.DataFrame:
        """As a DataFrame with columns user_id, item_id, weight and, if there are times, timestamp (datetime64[us], UTC)."""
        columns = {"user_id": self.users.series(self.row_positions()), "item_id": self.items.series(self.indices)}
        columns["weight"] = pd.Series(self.weights.copy())
        if self.timestamps is not None:
            columns["timestamp"] = pd.Series(self.timestamps.astype("datetime64[us]"))
        return pd.DataFrame(columns)

    def row_positions(self) -> np.ndarray:
        """(n_interactions,) int32: the user position of each entry."""
        return np.repeat(np.arange(self.n_users, dtype=np.int32), self.user_counts)

    # ---- choosing -----------------------------------------------------------------------------------------------

    def k_core(self, *, users: int = 5, items: int = 5) -> Interactions:
        """Drops users with fewer than `users` items and items with fewer than `items` users, again and again until stable.

        The result is empty when no such core exists.
        """
        for name, value in (("users", users), ("items", items)):
            if not isinstance(value, (int, np.integer)) or value < 0:
                raise ParameterError(f"The `{name}` parameter of k_core must be an int >= 0. Got {value!r}.")
        rows, columns = self.row_positions(), self.indices
        keep = np.ones(self.n_interactions, dtype=bool)
        while True:
            enough_items = np.bincount(rows[keep], minlength=self.n_users) >= users
            enough_users = np.bincount(columns[keep], minlength=self.n_items) >= items
            kept = keep & enough_items[rows] & enough_users[columns]
            if kept.sum() == keep.sum():
                return self.select(kept)
            keep = kept

    def filter(
        self,
        *,
        users: Any = None,
        items: Any = None,
        min_weight: float | None = None,
        max_weight: float | None = None,
        since: Any = None,
        until: Any = None,
    ) -> Interactions:
        """Keeps what fulfils every condition given; ids left without interactions go.

        users, items : ids to keep; unknown ones raise `UnknownIdError`.
        min_weight, max_weight : both inclusive.
        since, until : dates, strings or Unix seconds; `since` inclusive, `until` exclusive.
        """
        keep = np.ones(self.n_interactions, dtype=bool)
        if users is not None:
            keep &= _mask(self.users.positions(users), self.n_users)[self.row_positions()]
        if items is not None:
            keep &= _mask(self.items.positions(items), self.n_items)[self.indices]
        if min_weight is not None:
            keep &= self.weights >= min_weight
        if max_weight is not None:
            keep &= self.weights <= max_weight
        if since is not None:
            keep &= self.required_timestamps("filter(since=…)") >= as_microseconds(since, "since")
        if until is not None:
            keep &= self.required_timestamps("filter(until=…)") < as_microseconds(until, "until")
        return self.select(keep)

    def select(self, keep: np.ndarray) -> Interactions:
        """The entries where the boolean `keep` (n_interactions,) is true; ids left without entries go, order stays."""
        rows, columns = self.row_positions()[keep], self.indices[keep]
        user_positions = np.flatnonzero(np.bincount(rows, minlength=self.n_users))
        item_positions = np.flatnonzero(np.bincount(columns, minlength=self.n_items))
        new_column = np.zeros(self.n_items, dtype=np.int32)
        new_column[item_positions] = np.arange(len(item_positions), dtype=np.int32)
        indptr = np.zeros(len(user_positions) + 1, dtype=np.int64)
        np.cumsum(np.bincount(rows, minlength=self.n_users)[user_positions], out=indptr[1:])
        return self._part(user_positions, item_positions, indptr, new_column[columns], keep)

    def drop(self, *, users: Any = None, items: Any = None) -> Interactions:
        """Without these users and items; all others stay, also those left without entries. Raises `UnknownIdError`."""
        keep_user = ~_mask(self.users.positions([] if users is None else users), self.n_users)
        keep_item = ~_mask(self.items.positions([] if items is None else items), self.n_items)
        rows, keep = self.row_positions(), np.ones(self.n_interactions, dtype=bool)
        keep &= keep_user[rows] & keep_item[self.indices]
        counts = np.bincount(rows[keep], minlength=self.n_users)[keep_user]
        new_column = (np.cumsum(keep_item) - 1).astype(np.int32)
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return self._part(np.flatnonzero(keep_user), np.flatnonzero(keep_item), indptr, new_column[self.indices[keep]], keep)

    def _part(
        self, users: np.ndarray, items: np.ndarray, indptr: np.ndarray, indices: np.ndarray, keep: np.ndarray
    ) -> Interactions:
        """The users and items at these positions, with what is known about them, and the entries that `keep` marks."""
        return Interactions(
            self.users.subset(users),
            self.items.subset(items),
            indptr,
            indices,
            self.weights[keep],
            None if self.timestamps is None else self.timestamps[keep],
            self.provenance,
            user_features=None if self.user_features is None else self.user_features.take(users),
            item_features=None if self.item_features is None else self.item_features.take(items),
        )

    def with_ids(self, *, users: IdMap | None = None, items: IdMap | None = None) -> Interactions:
        """The same entries with more ids, which have none: each map must begin with the ids that are here.

        Ids that are new have no features, where there are features.
        """
        users, items = self.users if users is None else users, self.items if items is None else items
        for ids, grown in ((self.users, users), (self.items, items)):
            if grown.subset(np.arange(min(len(ids), len(grown)))) != ids:
                raise DataError(f"The new {ids.name}s must begin with those that are here, in the same order.")
        indptr = np.pad(self.indptr, (0, len(users) - self.n_users), mode="edge")
        of_users, of_items = side_features.grown(self.user_features, users), side_features.grown(self.item_features, items)
        return replace(self, users=users, items=items, indptr=indptr, user_features=of_users, item_features=of_items)

    def with_features(
        self, *, items: Features | None = None, users: Features | None = None, missing: str = "raise"
    ) -> Interactions:
        """With features of the items, of the users, or of both, brought into the order of the ids here.

        items, users : `recsys.Features`; those of other ids are left out. None leaves that side as it is.
        missing : what becomes of ids that have no row in them: "raise" names them (`UnknownIdError`), "zero" leaves them
            without features.
        """
        aligned = side_features.aligned({"item_features": (items, self.items), "user_features": (users, self.users)}, missing)
        return replace(self, **aligned)

    def without_features(self) -> Interactions:
        """The same without features of users and items."""
        return replace(self, user_features=None, item_features=None)

    # ---- weighing -----------------------------------------------------------------------------------------------

    def weighted(self, scheme: str | Callable[[np.ndarray], Any], **parameters: float) -> Interactions:
        """New weights from old ones, by a scheme of `recsys.weighting` or by a function of the weights.

        scheme :
            "log"    log(1 + alpha · w), alpha = 1.
            "tfidf"  sqrt(w) · idf, each user's row scaled to length 1.
            "bm25"   saturating weight times idf, k1 = 100, b = 0.8 (Robertson & Walker 1994).
            "degree" w · (items of the user)^user_exponent · (users of the item)^item_exponent, both -0.25, scaled so that the
                     mean weight stays: entries of busy users and popular items count less.
            "ppmi"   max(0, log(w · total / (sum of the user · sum of the item)) - log shift), shift = 1: positive pointwise
                     mutual information (Levy & Goldberg 2014).
            a function of the (n_interactions,) float32 weights that returns as many.

        Raises `ParameterError` for an unknown scheme or parameter, `DataError` if weights are negative or become infinite.
        """
        return weighing.weighted(self, scheme, parameters)

    def decayed(self, *, half_life: Any, now: Any = None) -> Interactions:
        """Weights halved for every `half_life` that has passed between the entry's time and `now`.

        half_life : a timedelta, a string such as "30D" or "12h", or a number of seconds.
        now : a date, a string or Unix seconds; the latest time in the data if not given. Later entries keep their weight.
        """
        return weighing.decayed(self, half_life, now)

    def binarize(self, *, threshold: float | None = None) -> Interactions:
        """Every weight becomes 1; entries below `threshold`, if one is given, go."""
        chosen = self if threshold is None else self.filter(min_weight=threshold)
        return replace(chosen, weights=np.ones(chosen.n_interactions, dtype=np.float32))

    def merge(self, other: Interactions, *, duplicates: str = "sum") -> Interactions:
        """These entries followed by the newer ones of `other`; ids here keep their positions, new ids come after.

        duplicates : as in `from_events`. Both or neither must have timestamps. Features stay; where both have some they must
            have the same columns, and ids that are known keep theirs.
        """
        require_interactions(other, "merge")
        return merging.merged(self, other, duplicates)

    # ---- files --------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Writes a directory of kind "dataset" (see `recsys.storage`). An existing path is refused unless `overwrite`."""
        counts = {"n_users": self.n_users, "n_items": self.n_items, "n_interactions": self.n_interactions}
        write_stored(
            path,
            "dataset",
            arrays=self.arrays(),
            tables={"users": id_table(self.users), "items": id_table(self.items)},
            attributes={**counts, "fingerprint": self.fingerprint, **self.feature_attributes()},
            provenance=self.provenance,
            parts=self.feature_parts(),
            overwrite=overwrite,
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, verify: bool = True) -> Interactions:
        """Opens a directory written by `save`; arrays are memory-mapped. Raises `FormatError` that names what is wrong."""
        return cls.from_stored(open_stored(path, "dataset", verify=verify))

    @classmethod
    def from_stored(cls, stored: Stored, prefix: str = "") -> Interactions:
        """The interactions in an opened directory; `prefix` when they are a part of something larger, such as a model."""
        return cls(
            read_ids(stored, "users"),
            read_ids(stored, "items"),
            stored.array(prefix + "indptr"),
            stored.array(prefix + "indices"),
            stored.array(prefix + "weights"),
            timestamps=stored.array(prefix + "timestamps") if stored.has(prefix + "timestamps") else None,
            provenance=stored.provenance if not prefix else {},
            user_features=side_features.stored(stored, prefix + "user_features"),
            item_features=side_features.stored(stored, prefix + "item_features"),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name, without timestamps where there are none; what `from_stored` reads."""
        named = {name: getattr(self, name) for name in ("indptr", "indices", "weights", "timestamps")}
        return {name: array for name, array in named.items() if array is not None}

    def feature_parts(self, prefix: str = "") -> dict[str, Callable[[Path], None]]:
        """What writes the features, by folder, as `write_stored` takes it; nothing where there are none."""
        return {prefix + name: features.save for name, features in side_features.named(self).items()}

    def feature_attributes(self, prefix: str = "") -> dict[str, Any]:
        """What a manifest says of the features, so that a folder which is gone or another's is noticed."""
        return {prefix + name: side_features.facts(features) for name, features in side_features.named(self).items()}

    # ---- inside -------------------------------------------------------------------------------------------------

    def required_timestamps(self, wanted_by: str) -> np.ndarray:
        """The timestamps; raises `DataError` naming `wanted_by` where there are none."""
        if self.timestamps is None:
            raise DataError(f"{wanted_by} needs timestamps, and these interactions have none. Hint: read them with timestamp=.")
        return self.timestamps

    def refuse_negative_weights(self, wanted_by: str) -> None:
        if len(self.weights) and self.weights.min() < 0:
            user, item = self._first_ids(self.weights < 0)
            raise DataError(
                f"{wanted_by} needs weights >= 0. That of user {user!r} and item {item!r} is negative. "
                "Hint: filter(min_weight=0) leaves such entries out."
            )

    def _first_ids(self, mask: np.ndarray) -> tuple[Any, Any]:
        entry = int(np.flatnonzero(mask)[0])
        user = int(np.searchsorted(self.indptr, entry, side="right")) - 1
        return self.users.ids_at([user])[0].as_py(), self.items.ids_at([self.indices[entry]])[0].as_py()


def require_interactions(value: object, wanted_by: str) -> None:
    """Raises `ParameterError` unless `value` is `Interactions`."""
    if not isinstance(value, Interactions):
        hint = "Hint: recsys.read_interactions makes them."
        raise ParameterError(f"{wanted_by} takes Interactions. Got {type(value).__name__}. {hint}")


def same_timing(first: Interactions, second: Interactions) -> tuple[Interactions, Interactions]:
    """Both with timestamps, or both without when one of them has none."""
    if (first.timestamps is None) == (second.timestamps is None):
        return first, second
    return replace(first, timestamps=None), replace(second, timestamps=None)


def _mask(positions: np.ndarray, length: int) -> np.ndarray:
    mask = np.zeros(length, dtype=bool)
    mask[positions] = True
    return mask
