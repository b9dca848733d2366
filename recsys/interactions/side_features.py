"""Features beside interactions: a row a user or item, kept in order with them. May import errors, ids, storage, features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from recsys.errors import DataError, FormatError, ParameterError
from recsys.features import Features
from recsys.ids import IdMap
from recsys.storage import Stored

if TYPE_CHECKING:
    from recsys.interactions import Interactions

__all__ = ["aligned", "check", "facts", "grown", "joined", "named", "stored"]


def named(data: Interactions) -> dict[str, Features]:
    """The features that there are, by name."""
    both = {"user_features": data.user_features, "item_features": data.item_features}
    return {name: features for name, features in both.items() if features is not None}


def check(data: Interactions) -> None:
    """Raises `DataError` unless features have the ids of the data, in the same order."""
    for name, features in named(data).items():
        if features.ids != (data.users if name == "user_features" else data.items):
            hint = "Hint: with_features brings them into the order of the ids."
            raise DataError(f"Interactions.{name} must have one row for each id, in the same order. {hint}")


def aligned(given: Mapping[str, tuple[object, IdMap]], missing: str) -> dict[str, Any]:
    """Those features that were given, in the order of the ids beside them. Raises `ParameterError` for anything else."""
    found = {}
    for name, (features, ids) in given.items():
        if features is None:
            continue
        if not isinstance(features, Features):
            hint = "Hint: recsys.Features.from_table reads a table."
            raise ParameterError(f"with_features takes recsys.Features. Got {type(features).__name__}. {hint}")
        found[name] = features.for_ids(ids, missing=missing)
    return found


def grown(features: Features | None, ids: IdMap) -> Features | None:
    """With rows without features for ids that have none here; None stays None."""
    return None if features is None else features.for_ids(ids, missing="zero")


def joined(first: Features | None, second: Features | None, ids: IdMap) -> Features | None:
    """The features of both for `ids`, of which those of neither have none; known ids keep those of the first."""
    if first is not None and second is not None:
        return grown(first.followed_by(second), ids)
    return grown(second if first is None else first, ids)


def facts(features: Features) -> dict[str, Any]:
    """What a manifest says of them."""
    return {"n_features": features.n_features, "fingerprint": features.fingerprint}


def stored(opened: Stored, name: str) -> Features | None:
    """The features in the folder `name` of an opened directory, None where its manifest names none."""
    if name not in opened.attributes:
        return None
    features = Features.load(opened.path / name, verify=opened.verified)
    if features.fingerprint != opened.attributes[name].get("fingerprint"):
        raise FormatError(f"{opened.path / name} holds other features than {opened.path} was written with.")
    return features
