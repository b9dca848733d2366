"""recsys: from an event log to embeddings and ranked recommendations.

Names are imported when they are first used, so that `import recsys` and the command line's help are quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recsys import datasets, embeddings, errors, evaluation, split, testing, trainers, tuning
    from recsys.adopting import adopt
    from recsys.blending import Blend
    from recsys.bridging import bridge
    from recsys.embeddings import Embeddings
    from recsys.evaluation import EarlyStopping, compare, cross_validate, evaluate, evaluate_new_users, evaluate_ratings
    from recsys.features import Features
    from recsys.ids import IdMap
    from recsys.ingest import read_interactions
    from recsys.interactions import Interactions
    from recsys.loading import load
    from recsys.model import Model
    from recsys.sizing import tradeoff
    from recsys.trainers import (
        ALS,
        BPR,
        EASE,
        PCA,
        SVD,
        ExplicitALS,
        GloVe,
        Item2Vec,
        ItemKNN,
        LightFM,
        LogisticMF,
        Popularity,
        RP3beta,
    )
    from recsys.tuning import tune

__all__ = [
    "ALS",
    "BPR",
    "EASE",
    "PCA",
    "SVD",
    "Blend",
    "EarlyStopping",
    "Embeddings",
    "ExplicitALS",
    "Features",
    "GloVe",
    "IdMap",
    "Interactions",
    "Item2Vec",
    "ItemKNN",
    "LightFM",
    "LogisticMF",
    "Model",
    "Popularity",
    "RP3beta",
    "__version__",
    "adopt",
    "bridge",
    "compare",
    "cross_validate",
    "datasets",
    "embeddings",
    "errors",
    "evaluate",
    "evaluate_new_users",
    "evaluate_ratings",
    "evaluation",
    "load",
    "read_interactions",
    "split",
    "testing",
    "tradeoff",
    "trainers",
    "tune",
    "tuning",
]

__version__ = "0.1.0"

_HOME = {
    "ALS": "recsys.trainers",
    "BPR": "recsys.trainers",
    "Blend": "recsys.blending",
    "EASE": "recsys.trainers",
    "EarlyStopping": "recsys.evaluation",
    "Embeddings": "recsys.embeddings",
    "ExplicitALS": "recsys.trainers",
    "Features": "recsys.features",
    "GloVe": "recsys.trainers",
    "IdMap": "recsys.ids",
    "Interactions": "recsys.interactions",
    "Item2Vec": "recsys.trainers",
    "ItemKNN": "recsys.trainers",
    "LightFM": "recsys.trainers",
    "LogisticMF": "recsys.trainers",
    "Model": "recsys.model",
    "PCA": "recsys.trainers",
    "Popularity": "recsys.trainers",
    "RP3beta": "recsys.trainers",
    "SVD": "recsys.trainers",
    "adopt": "recsys.adopting",
    "bridge": "recsys.bridging",
    "compare": "recsys.evaluation",
    "cross_validate": "recsys.evaluation",
    "evaluate": "recsys.evaluation",
    "evaluate_new_users": "recsys.evaluation",
    "evaluate_ratings": "recsys.evaluation",
    "load": "recsys.loading",
    "read_interactions": "recsys.ingest",
    "tradeoff": "recsys.sizing",
    "tune": "recsys.tuning",
}
_MODULES = ("datasets", "embeddings", "errors", "evaluation", "split", "testing", "trainers", "tuning")


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"recsys.{name}")
    else:
        raise AttributeError(f"module 'recsys' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
