"""`map_embeddings`: from vectors to places in the plane. May import errors, the other files of this room and of embeddings.

Both methods go by distances alone, so rotating all vectors changes nothing: two versions need no alignment before, only
their maps after, which `like=` sees to.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from recsys.embeddings.alignment import find_alignment, shared_positions
from recsys.embeddings.mapping.embedding_map import EmbeddingMap
from recsys.embeddings.mapping.manifold import require_umap, umap_coordinates
from recsys.embeddings.mapping.principal import principal_coordinates
from recsys.errors import DataError, ParameterError, closest_hint, quote_some

if TYPE_CHECKING:
    from recsys.embeddings.embeddings import Embeddings

__all__ = ["METHODS", "map_embeddings"]

METHODS = ("umap", "pca")
_METRICS = ("cosine", "euclidean")
# Up to here each vector is held against every other one: exact, and quicker than an approximate search built for it.
_EXACT_UP_TO = 100_000
_LISTED = 8
_SAMPLE = 2_000


def map_embeddings(
    embeddings: Embeddings,
    method: str = "umap",
    *,
    metric: str = "cosine",
    ids: Any = None,
    like: EmbeddingMap | None = None,
    n_neighbors: int = 15,
    min_dist: float = 0.1,
    random_state: int | None = 0,
    num_threads: int | None = None,
) -> EmbeddingMap:
    """The map of `embeddings`; see `Embeddings.map`."""
    _check(method, metric, n_neighbors, min_dist, like)
    if method == "umap":
        require_umap()
    wanted = embeddings if ids is None else embeddings.take(ids)
    chosen = _mappable(wanted, method, metric)
    vectors = chosen.units if metric == "cosine" else chosen.vectors
    # Each counts as its own nearest, and umap wants fewer than there are.
    k = min(n_neighbors, len(chosen) - (method == "umap"))
    known = _neighbours(chosen, min(max(k, _LISTED + 1), len(chosen)), metric, num_threads)
    positions = None if known is None else known[0]
    flat, shares = principal_coordinates(vectors, num_threads)
    facts: dict[str, Any] = {"metric": metric, "dim": chosen.dim, "n_left_out": len(wanted) - len(chosen)}
    if method == "pca":
        coordinates, facts["variance_shares"] = flat, [round(share, 6) for share in shares]
    else:
        first = flat if like is None else _places_in(like, chosen, flat, positions)
        nearest = None if known is None else (known[0][:, :k].copy(), known[1][:, :k].copy())
        coordinates = umap_coordinates(vectors, nearest, first, n_neighbors=k, min_dist=min_dist, random_state=random_state)
        facts |= {"n_neighbors": k, "min_dist": min_dist, "random_state": random_state}
    if like is not None:
        coordinates = _turned_like(coordinates, chosen, like)
        facts["like"] = like.provenance.get("embeddings")
    facts |= _kept(coordinates, chosen, positions, k, metric, num_threads)
    listed = None if positions is None else np.ascontiguousarray(positions[:, 1 : _LISTED + 1])
    provenance = {**facts, "embeddings": chosen.fingerprint, "source": dict(embeddings.provenance)}
    return EmbeddingMap(chosen.ids, coordinates, method, provenance, listed)


def _check(method: str, metric: str, n_neighbors: int, min_dist: float, like: Any) -> None:
    for argument, value, options in (("method", method, METHODS), ("metric", metric, _METRICS)):
        if value not in options:
            hint = closest_hint(str(value), options)
            raise ParameterError(f"`{argument}` must be one of {quote_some(options)}. Got {value!r}.{hint}")
    if not isinstance(n_neighbors, int) or isinstance(n_neighbors, bool) or n_neighbors < 2:
        raise ParameterError(f"`n_neighbors` must be an int >= 2. Got {n_neighbors!r}.")
    if not isinstance(min_dist, (int, float)) or not 0 <= min_dist <= 1:
        raise ParameterError(f"`min_dist` must be a number from 0 to 1. Got {min_dist!r}.")
    if like is not None and not isinstance(like, EmbeddingMap):
        raise ParameterError(f"`like` must be an EmbeddingMap. Got {type(like).__name__}.")


def _mappable(embeddings: Embeddings, method: str, metric: str) -> Embeddings:
    """What can be on the map: under cosine a zero vector has no direction, so it has no place."""
    name, least = embeddings.ids.name, 1 if method == "pca" else 4
    has_place = embeddings.vectors.any(axis=1) if metric == "cosine" else np.ones(len(embeddings), bool)
    n_placed = int(has_place.sum())
    if n_placed < least:
        what = f"vector{'s' if least > 1 else ''}{' other than zero' if metric == 'cosine' else ''}"
        hint = " Hint: method='pca' needs one." if n_placed else ""
        raise DataError(f"A map by {method} needs at least {least} {what}. Got {n_placed}.{hint}")
    if n_placed == len(embeddings):
        return embeddings
    lost = embeddings.ids.ids_at(np.flatnonzero(~has_place)).to_pylist()
    warnings.warn(
        f"Not on the map: {len(lost):,} of {len(embeddings):,} {name}s, whose vectors are zero and so have no direction: "
        f"{quote_some(lost)}.",
        stacklevel=5,
    )
    return embeddings.take(embeddings.ids.ids_at(np.flatnonzero(has_place)))


def _neighbours(embeddings: Embeddings, k: int, metric: str, num_threads: int | None) -> tuple[np.ndarray, np.ndarray] | None:
    """Positions (int32) and distances (float32) of the k nearest of each, itself first; None where they are too many."""
    n = len(embeddings)
    if n > _EXACT_UP_TO or k < 2:
        return None
    lists = embeddings.neighbour_lists(np.arange(n), k - 1, metric=metric, num_threads=num_threads)
    positions = np.hstack([np.arange(n, dtype=np.int32)[:, None], lists.positions.astype(np.int32)])
    # Between unit vectors ‖x - y‖² = 2 - 2 x · y.
    others = np.sqrt(np.maximum(2 - 2 * lists.scores, 0)) if metric == "cosine" else -lists.scores
    return positions, np.hstack([np.zeros((n, 1)), others]).astype(np.float32)


def _places_in(like: EmbeddingMap, embeddings: Embeddings, flat: np.ndarray, positions: np.ndarray | None) -> np.ndarray:
    """(n, 2) where each id stands in `like`; one that it lacks goes where its neighbours stand, or else to the middle."""
    ours, theirs = shared_positions(embeddings.ids, like.ids)
    places = np.full((len(embeddings), 2), np.nan)
    places[ours] = like.coordinates[theirs]
    missing = np.flatnonzero(np.isnan(places[:, 0]))
    if len(missing) and positions is not None:
        around = places[positions[missing, 1:]]
        known = ~np.isnan(around[:, :, :1])
        counts = known.sum(axis=1)
        places[missing] = np.where(counts > 0, np.where(known, around, 0).sum(axis=1) / np.maximum(counts, 1), np.nan)
    return np.where(np.isnan(places), np.nanmean(places, axis=0), places)


def _turned_like(coordinates: np.ndarray, embeddings: Embeddings, like: EmbeddingMap) -> np.ndarray:
    """The coordinates turned, mirrored and moved to where the shared ids stand in `like`; no distance changes."""
    positions = shared_positions(embeddings.ids, like.ids)
    here, there = coordinates.astype(np.float64), like.coordinates.astype(np.float64)
    middle, other_middle = here[positions[0]].mean(axis=0), there[positions[1]].mean(axis=0)
    alignment = find_alignment(here - middle, there - other_middle, positions)
    turned = (here - middle) @ alignment.rotation.astype(np.float64) + other_middle
    return np.asarray(turned, dtype=np.float32)


def _kept(
    coordinates: np.ndarray,
    embeddings: Embeddings,
    positions: np.ndarray | None,
    k: int,
    metric: str,
    num_threads: int | None,
) -> dict[str, Any]:
    """How true the map is: the share of the nearest of an id that are also its nearest on the map, over up to 2,000 ids."""
    from scipy.spatial import cKDTree  # takes as long to import as all of this room

    n, nearest = len(embeddings), k - 1
    if nearest < 1:
        return {}
    rows = np.arange(n) if n <= _SAMPLE else np.sort(np.random.default_rng(0).choice(n, _SAMPLE, replace=False))
    if positions is None:
        true = embeddings.neighbour_lists(rows, nearest, metric=metric, num_threads=num_threads).positions
    else:
        true = positions[rows, 1:k]
    found = np.asarray(cKDTree(coordinates).query(coordinates[rows], k=nearest + 1)[1])
    share = (true[:, :, None] == found[:, None, :]).any(axis=2).mean()
    return {"neighbours_kept": round(float(share), 4), "neighbours_counted": nearest}
