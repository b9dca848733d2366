"""`Interactions`: who touched what, how much and when, as an immutable sparse user-item matrix with its ids.

`interactions` the class · `merging` two sets of events · `weighing` new weights from old ones · `side_features` what is known
about users and items. May import errors, times, weighting, ids, storage, features, parallel, kernels. Reading logs is the work
of `recsys.ingest`, cutting into train and test that of `recsys.split`.
"""

from __future__ import annotations

from recsys.interactions.interactions import (
    DUPLICATE_RULES,
    EventBlock,
    Interactions,
    require_interactions,
    same_timing,
)

__all__ = ["DUPLICATE_RULES", "EventBlock", "Interactions", "require_interactions", "same_timing"]
