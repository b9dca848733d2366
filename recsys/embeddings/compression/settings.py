"""`Compression`: how vectors are to be compressed, checked. May import errors and this room's codes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from recsys.embeddings.compression.coded import STORAGES, require_storage
from recsys.errors import ParameterError

__all__ = ["Compression"]

_RESCORES = ("float32", "float16")


@dataclass(frozen=True)
class Compression:
    """Settings of `Embeddings.compress` and `Model.compress`, which explain them.

    Raises `ParameterError` for what can not be.
    """

    dimensions: int | None = None
    storage: str = "int8"
    subspaces: int | None = None
    rescore: str | None = None
    oversample: float | None = None
    random_state: int = 0

    def __post_init__(self) -> None:
        require_storage(self.storage)
        if self.dimensions is not None:
            _require_whole(self.dimensions, "dimensions", 1)
        if self.subspaces is not None and self.storage != "pq":
            raise ParameterError(f"`subspaces` is for storage='pq'. Got it with {self.storage!r}.")
        if self.rescore not in (None, *_RESCORES):
            raise ParameterError(f"`rescore` must be 'float32', 'float16' or None. Got {self.rescore!r}.")
        if self.rescore is not None and STORAGES.index(self.storage) <= STORAGES.index(self.rescore) and not self.dimensions:
            raise ParameterError(f"`rescore` by {self.rescore} adds nothing to storage={self.storage!r} of all dimensions.")
        self._check_oversample()
        _require_whole(self.random_state, "random_state", 0)

    def _check_oversample(self) -> None:
        if self.oversample is None:
            return
        number = isinstance(self.oversample, (int, float)) and not isinstance(self.oversample, bool)
        if not number or not 1 <= self.oversample < float("inf"):
            raise ParameterError(f"`oversample` must be a number >= 1. Got {self.oversample!r}.")
        if self.rescore is None and self.storage != "binary":
            raise ParameterError("`oversample` is for lists that are scored again: with `rescore`, or storage='binary'.")

    def dimensions_of(self, dim: int) -> int:
        """How many of `dim` dimensions are coded. Raises `ParameterError` when more are asked for than there are."""
        if self.dimensions is None:
            return dim
        if self.dimensions > dim:
            raise ParameterError(f"`dimensions` must be an int from 1 to the {dim} that there are. Got {self.dimensions}.")
        return int(self.dimensions)

    def of_size(self, dimensions: int, storage: str) -> Compression:
        """The same in another size; what this storage has no use for is left out."""
        oversample = self.oversample if self.rescore is not None or storage == "binary" else None
        subspaces = self.subspaces if storage == "pq" else None
        return replace(self, dimensions=dimensions, storage=storage, oversample=oversample, subspaces=subspaces)

    def describe(self) -> dict[str, Any]:
        """Those that were chosen, for provenance: plain values."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def _require_whole(value: Any, name: str, least: int) -> None:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise ParameterError(f"`{name}` must be an int >= {least}. Got {value!r}.")
