"""The bundled data set: which Debian packages need which others. May import errors, interactions, ingest.

A package is a user, the packages it depends on or recommends are its items. `data/README.md` names source and terms,
`data/make_debian.py` makes the files.
"""

from __future__ import annotations

import contextlib
import importlib.resources
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd

from recsys.errors import StorageError
from recsys.ingest import read_interactions
from recsys.interactions import Interactions

__all__ = ["debian_items", "debian_log", "load_debian"]

_SOURCE = "Debian 12.15 (bookworm) package index with security updates of 2026-11-21, component main, architecture amd64"


@contextlib.contextmanager
def debian_log() -> Iterator[Path]:
    """The path of the bundled log, a gzipped CSV with columns package, dependency, relation (depends or recommends).

    To be used in a `with` block: where the package is run from a zip archive, the file is a temporary copy.
    """
    with _bundled("debian-dependencies.csv.gz") as path:
        yield path


def load_debian() -> Interactions:
    """The bundled log as Interactions: 57,103 packages × 41,480 packages they need, 304,003 pairs, each of weight 1.

    Most packages need one or two others and most are needed by one: `k_core(users=5, items=5)` leaves the part that can
    be learned from, 16,660 × 5,222 with 160,547 pairs.
    """
    with debian_log() as path:
        data = read_interactions(path, user="package", item="dependency")
    return replace(data, provenance={**data.provenance, "dataset": "debian", "source": _SOURCE})


def debian_items() -> pd.DataFrame:
    """Features of the packages: one row a package, in alphabetical order, columns

    item_id : its name, str.
    section : the part of the archive it is filed under, such as "python" or "libs"; str.
    tags : its debtags separated by spaces, such as "devel::library role::devel-lib"; an empty str where it has none.

    Items of `load_debian` that no package carries as its own name (virtual packages) are not in it.
    """
    with _bundled("debian-packages.csv.gz") as path:
        # A package may well be called "null" or "nan": nothing here is a missing value.
        frame = pd.read_csv(path, dtype="str", keep_default_na=False)
    return frame.rename(columns={"package": "item_id"})


@contextlib.contextmanager
def _bundled(name: str) -> Iterator[Path]:
    file = importlib.resources.files("recsys.data") / name
    if not file.is_file():
        raise StorageError(f"The bundled file {name} is missing from this installation. Hint: install recsys again.")
    with importlib.resources.as_file(file) as path:
        yield path
