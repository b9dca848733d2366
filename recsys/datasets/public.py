"""Well-known public data sets: where they are, what they are, under which terms; fetched into a cache and read.

May import errors, interactions, ingest, `download`. None of it is shipped with the package and nothing is downloaded
unless asked for. A set is listed only if its SHA-256 was found the same in at least two public records and its size in at
least one.
"""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from recsys.datasets.download import download
from recsys.errors import FormatError, ParameterError, closest_hint, quote_some
from recsys.ingest import read_interactions
from recsys.interactions import Interactions

__all__ = ["PublicDataset", "cache_directory", "fetch", "public_dataset", "public_datasets", "read_public"]


@dataclass(frozen=True)
class PublicDataset:
    """One public data set; `member` and what follows say how its events are read."""

    name: str
    description: str
    url: str
    sha256: str
    bytes: int
    """Size of the archive."""
    licence: str
    """The terms in short; the text in the archive is the one that counts."""
    citation: str
    member: str
    """The file of events inside the zip archive."""
    columns: tuple[str, ...]
    """Its columns in order: user, item, weight and, where there is a fourth, Unix seconds."""
    separator: str = ","
    has_header: bool = True


_GROUPLENS = "https://files.grouplens.org/datasets"
_RESEARCH = "Research use with acknowledgement; no commercial use without permission of GroupLens, University of Minnesota"
_NO_COPIES = _RESEARCH + "; no redistribution without permission."
_COPIES = _RESEARCH + "; may be redistributed under the same conditions."
_FULL_TERMS = _RESEARCH + "; see the README in the archive for the full terms."
_MOVIELENS_PAPER = (
    "F. Maxwell Harper and Joseph A. Konstan. The MovieLens Datasets: History and Context. "
    "ACM Transactions on Interactive Intelligent Systems 5(4), 2015. https://doi.org/10.1145/2827872"
)
_HETREC_PAPER = (
    "Iván Cantador, Peter Brusilovsky and Tsvi Kuflik. 2nd Workshop on Information Heterogeneity and Fusion in "
    "Recommender Systems (HetRec 2011). RecSys 2011."
)
_CSV_COLUMNS = ("userId", "movieId", "rating", "timestamp")
_NAMES = ["user_id", "item_id", "weight", "timestamp"]  # What the columns are read as, in order.
_OLD_COLUMNS = ("user_id", "movie_id", "rating", "timestamp")

_DATASETS = (
    PublicDataset(
        "ml-latest-small",
        "MovieLens, the small development set of September 2018: 100,836 ratings of 9,724 films by 610 users.",
        f"{_GROUPLENS}/movielens/ml-latest-small.zip",
        "696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
        978_202,
        _COPIES,
        _MOVIELENS_PAPER,
        "ml-latest-small/ratings.csv",
        _CSV_COLUMNS,
    ),
    PublicDataset(
        "ml-100k",
        "MovieLens 100K of 1998: 100,000 ratings of 1,682 films by 943 users.",
        f"{_GROUPLENS}/movielens/ml-100k.zip",
        "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
        4_924_029,
        _NO_COPIES,
        _MOVIELENS_PAPER,
        "ml-100k/u.data",
        _OLD_COLUMNS,
        separator="\t",
        has_header=False,
    ),
    PublicDataset(
        "ml-1m",
        "MovieLens 1M of 2003: 1,000,209 ratings of 3,706 films by 6,040 users.",
        f"{_GROUPLENS}/movielens/ml-1m.zip",
        "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
        5_917_549,
        _NO_COPIES,
        _MOVIELENS_PAPER,
        "ml-1m/ratings.dat",
        _OLD_COLUMNS,
        separator="::",
        has_header=False,
    ),
    PublicDataset(
        "ml-10m",
        "MovieLens 10M of 2009: 10,000,054 ratings of 10,677 films by 69,878 users.",
        f"{_GROUPLENS}/movielens/ml-10m.zip",
        "813c411ccb6122564edfe752e7f80c4dcc5aa25fa94c93622f6877a7ba252862",
        65_566_137,
        _FULL_TERMS,
        _MOVIELENS_PAPER,
        "ml-10M100K/ratings.dat",
        _OLD_COLUMNS,
        separator="::",
        has_header=False,
    ),
    PublicDataset(
        "ml-20m",
        "MovieLens 20M of 2015: 20,000,263 ratings of 26,744 films by 138,493 users.",
        f"{_GROUPLENS}/movielens/ml-20m.zip",
        "96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3",
        198_702_078,
        _FULL_TERMS,
        _MOVIELENS_PAPER,
        "ml-20m/ratings.csv",
        _CSV_COLUMNS,
    ),
    PublicDataset(
        "ml-25m",
        "MovieLens 25M of 2019: 25,000,095 ratings of 59,047 films by 162,541 users.",
        f"{_GROUPLENS}/movielens/ml-25m.zip",
        "8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa",
        261_978_986,
        _NO_COPIES,
        _MOVIELENS_PAPER,
        "ml-25m/ratings.csv",
        _CSV_COLUMNS,
    ),
    PublicDataset(
        "ml-32m",
        "MovieLens 32M of 2023: 32,000,204 ratings of 84,432 films by 200,948 users.",
        f"{_GROUPLENS}/movielens/ml-32m.zip",
        "e4a68655d7386b8f95f2f2424b2ff975dfdd15ffd59e0d864a14dca43e99d6ee",
        238_950_008,
        _COPIES,
        _MOVIELENS_PAPER,
        "ml-32m/ratings.csv",
        _CSV_COLUMNS,
    ),
    PublicDataset(
        "lastfm-hetrec-2011",
        "Last.fm, HetRec 2011: how often 1,892 users played 17,632 artists, 92,834 pairs, no times.",
        f"{_GROUPLENS}/hetrec2011/hetrec2011-lastfm-2k.zip",
        "6738f48195667ff03caaab4d32ca9a3133d8cc026b7c3cdaf6ce1010e913c59c",
        2_589_075,
        "Non-commercial use; Last.fm and the workshop are to be acknowledged.",
        _HETREC_PAPER,
        "user_artists.dat",
        ("userID", "artistID", "weight"),
        separator="\t",
    ),
)


def public_datasets() -> list[PublicDataset]:
    """All the sets that `fetch` knows, MovieLens by size and then the others."""
    return list(_DATASETS)


def public_dataset(name: str) -> PublicDataset:
    """The set of that name. Raises `ParameterError` that names those there are and the closest."""
    for dataset in _DATASETS:
        if dataset.name == name:
            return dataset
    names = [dataset.name for dataset in _DATASETS]
    hint = closest_hint(name, names) if isinstance(name, str) else ""
    raise ParameterError(f"No public data set is known as {name!r}. There are {quote_some(names, len(names))}.{hint}")


def cache_directory(cache: str | os.PathLike[str] | None = None) -> Path:
    """Where archives are kept: `cache` itself when given, else `datasets` in $RECSYS_CACHE, in $XDG_CACHE_HOME/recsys or in
    ~/.cache/recsys, whichever is set first."""
    if cache is not None:
        return Path(cache)
    if own := os.environ.get("RECSYS_CACHE"):
        return Path(own) / "datasets"
    shared = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(shared) / "recsys" / "datasets"


def fetch(dataset: str | PublicDataset, *, cache: str | os.PathLike[str] | None = None, progress: bool = False) -> Path:
    """The path of the set's archive, downloaded if it is not in the cache yet, its size and SHA-256 verified.

    dataset : a name from `public_datasets`, or a PublicDataset.
    cache : the folder to keep archives in; see `cache_directory`.

    An interrupted download goes on where it stopped. Raises `ParameterError` for an unknown name and `StorageError` when
    the archive can not be had (see `recsys.datasets.download`).
    """
    known = dataset if isinstance(dataset, PublicDataset) else public_dataset(dataset)
    target = cache_directory(cache) / known.url.rsplit("/", 1)[-1]
    return download(known.url, target, sha256=known.sha256, size_bytes=known.bytes, progress=progress)


def read_public(
    dataset: str | PublicDataset, *, cache: str | os.PathLike[str] | None = None, progress: bool = False
) -> Interactions:
    """Fetches the set and reads its events: ids as in the set (integers), ratings or play counts as weights."""
    known = dataset if isinstance(dataset, PublicDataset) else public_dataset(dataset)
    events = _read_events(fetch(known, cache=cache, progress=progress), known)
    # The archives write Unix seconds; said outright, nothing has to be guessed from the numbers.
    if "timestamp" in events:
        events["timestamp"] = pd.to_datetime(events["timestamp"], unit="s")
    data = read_interactions(events, progress=progress)
    return replace(data, provenance={**data.provenance, "dataset": known.name, "source": known.url, "sha256": known.sha256})


def _read_events(archive: Path, known: PublicDataset) -> pd.DataFrame:
    names = _NAMES[: len(known.columns)]
    # "1::2::3" cut at each ":" has an empty field between two values; a separator of one character is read far faster.
    stride = len(known.separator)
    fields = list(range(0, stride * len(names), stride))
    header = 0 if known.has_header else None
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(known.member) as member:
            return pd.read_csv(member, sep=known.separator[0], header=header, usecols=fields).set_axis(names, axis=1)
    except (KeyError, zipfile.BadZipFile, ValueError) as error:
        raise FormatError(f"{archive} has no readable {known.member}, the events of {known.name}: {error}.") from error
