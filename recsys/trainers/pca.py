"""PCA: principal components of the user-item matrix with its columns centred, without making it dense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from recsys.interactions import Interactions
from recsys.trainers.base import Run
from recsys.trainers.search_space import Choice, Range, SearchSpace
from recsys.trainers.spectral import SpectralRun, SpectralTrainer

__all__ = ["PCA"]


@dataclass(frozen=True, kw_only=True)
class PCA(SpectralTrainer):
    """Principal component analysis of the users' rows: what `SVD` does, less the mean m of every item's column over all users,

        R - 1 mᵀ ≈ U Σ Vᵀ,     score(u, i) = m_i + (r_u - m) V v_i

    (Hotelling 1933; R itself stays sparse: products with Rᵀ R - n m mᵀ are made instead). Vectors have one column more than
    factors: users [x, 1] with x = r V Σ^(-p), items [V Σ^p, b] with b = m - V Vᵀ m, whose dot product is the score above. So
    the constant that centring takes off a user's components stands in b, which is the score of a user without events.

    It explains the variance of the weighed matrix; `weighting="none"` takes the weights as they are. Folding in, columns, signs
    and bytes are those of `SVD`. `model.provenance["training"]` has the singular values, the variance that each component
    explains, σ² / (n_users - 1), and its share of the whole.
    """

    name: ClassVar[str] = "pca"
    advice: ClassVar[str] = "SVD beside item means: components that explain variance, popularity where nothing is known"

    search_space: ClassVar[SearchSpace] = {
        "factors": Range(16, 512, log=True),
        "weighting": Choice(("none", "log", "tfidf", "bm25", "degree", "ppmi")),
    }

    def start(self, train: Interactions) -> Run:
        self._refuse_too_many_factors(train)
        return SpectralRun(self, train, centred=True)
