"""`Indexes`: the indexes of a model or of embeddings by name, those saved beside it opened when they are asked for.

Imports errors and the index.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from recsys.errors import InputError, ParameterError, closest_hint, quote_some
from recsys.retrieval.approximate.index import ItemIndex
from recsys.retrieval.searcher import Searcher

__all__ = ["Indexes", "require_name"]


class Indexes(Mapping[str, ItemIndex]):
    """Indexes by name. Immutable; what lies on disk is checked and read when it is first asked for."""

    def __init__(self, indexes: Mapping[str, ItemIndex | Path] | None = None, *, verify: bool = True) -> None:
        self._indexes, self._verify = dict(indexes or {}), verify

    @classmethod
    def in_folder(cls, path: str | os.PathLike[str], *, verify: bool = True) -> Indexes:
        """Those in the folders of `path`; no such path means none. With verify=False their sums are not checked."""
        entries = Path(path).iterdir() if Path(path).is_dir() else []
        folders = [entry for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
        return cls({folder.name: folder for folder in sorted(folders)}, verify=verify)

    def with_index(self, name: str, index: ItemIndex) -> Indexes:
        """These and one more, in the place of one of the same name."""
        return Indexes({**self._indexes, require_name(name): index}, verify=self._verify)

    def searcher(self, name: str, fingerprint: str) -> Searcher:
        """The search by the index of that name over a model's items. Raises as `checked` does."""
        return self.checked(name, fingerprint, "model").top_k

    def checked(self, name: str, fingerprint: str, owner: str) -> ItemIndex:
        """The index of that name. `owner`: what has it, "model" or "embeddings", for the sentences.

        Raises `ParameterError` where there is none, `InputError` when it was not built from vectors of this fingerprint.
        """
        if name not in self:
            names = ["exact", *self]
            raise ParameterError(
                f"`index` must be one of {quote_some(names)}. Got {name!r}.{closest_hint(str(name), names)} "
                f"Hint: {owner}.build_index(…) makes one."
            )
        if self[name].fingerprint != fingerprint:
            raise InputError(
                f"The index {name!r} is stale: it was built from other vectors than there are in the {owner} now. "
                f"Hint: build it again with {owner}.build_index(…)."
            )
        return self[name]

    def __getitem__(self, name: str) -> ItemIndex:
        found = self._indexes[name]
        if isinstance(found, Path):
            found = self._indexes[name] = ItemIndex.load(found, verify=self._verify)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._indexes

    def __iter__(self) -> Iterator[str]:
        return iter(self._indexes)

    def __len__(self) -> int:
        return len(self._indexes)

    def __repr__(self) -> str:
        return f"Indexes({', '.join(self) or 'none'})"


def require_name(name: str) -> str:
    """`name` if an index can be called so. Raises `ParameterError`."""
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name) or name == "exact":
        raise ParameterError(
            "The name of an index must be letters, digits, '.', '_' and '-', begin with a letter or digit, be at most 64 long, "
            f"and not be 'exact'. Got {name!r}."
        )
    return name
