"""SVD: the truncated singular value decomposition of the user-item matrix, a missing pair being 0 (PureSVD)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from recsys.interactions import Interactions
from recsys.trainers.base import Run
from recsys.trainers.search_space import Choice, Range, SearchSpace
from recsys.trainers.spectral import SpectralRun, SpectralTrainer

__all__ = ["SVD"]


@dataclass(frozen=True, kw_only=True)
class SVD(SpectralTrainer):
    """PureSVD: the matrix of rank `factors` that is nearest to the weights R (n_users, n_items), with 0 for every other pair,

        min ‖R - X Yᵀ‖²  =  ‖R‖² - σ₁² - … - σ_k²,      X Yᵀ = U Σ Vᵀ,   X = U Σ^(1-p),   Y = V Σ^p

    (Cremonesi, Koren & Turrin, "Performance of Recommender Algorithms on Top-N Recommendation Tasks", RecSys 2010, section
    3.2.2, in which a user's scores are r V Vᵀ; the decomposition: Eckart & Young 1936). R is weighed first: by default so that
    busy users and popular items count less (`weighting="degree"`), which makes far better lists; "none" is PureSVD as
    published, "ppmi" the SVD of Levy & Goldberg (NIPS 2014), "tfidf" latent semantic analysis.

    Weigh by this parameter rather than by `Interactions.weighted` before: the model's history then keeps the weights of the
    log, new events and baskets are given as they come, and are weighed by what the training data say of items and of the whole.
    Weights below 0 need "none".

    Found by a randomised block Krylov method, whose error in σ² falls exponentially with `iterations`. The last step makes
    X = R Y (Yᵀ Y)⁻¹, so a trained user's vector equals the one that folding in the same events gives, and explanations sum to
    the score; an item that is folded in gets what one more iteration would give it. Columns fall in singular value, and the
    largest entry of each item column is positive. The same seed gives the same bytes, whatever the number of threads. The
    singular values, and the share of ‖R‖² that they capture, are in `model.provenance["training"]`: where they have stopped
    falling, more factors only add noise.

    Beside data and vectors, training holds min(n_users, n_items) × 3 · factors float32, and up to 256 MB of partial sums.
    """

    name: ClassVar[str] = "svd"
    advice: ClassVar[str] = (
        "the fastest: the nearest matrix of low rank in seconds, new users folded in exactly; try weightings"
    )

    search_space: ClassVar[SearchSpace] = {
        "factors": Range(16, 512, log=True),
        "weighting": Choice(("none", "log", "tfidf", "bm25", "degree", "ppmi")),
    }

    def start(self, train: Interactions) -> Run:
        self._refuse_too_many_factors(train)
        return SpectralRun(self, train, centred=False)
