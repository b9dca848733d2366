"""recsys: from an event log to embeddings and ranked recommendations.

Names are imported when they are first used, so that `import recsys` and the command line's help are quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recsys import datasets, embeddings, errors, evaluation, split, trainers, tuning
    from recsys.bridging import bridge
    from recsys.embeddings import Embeddings
    from recsys.evaluation import EarlyStopping, compare, cross_validate, evaluate, evaluate_new_users, evaluate_ratings
    from recsys.ids import IdMap
    from recsys.ingest import read_interactions
    from recsys.interactions import Interactions
    from recsys.loading import load
    from recsys.model import Model
    from recsys.trainers import ALS, ExplicitALS, Popularity
    from recsys.tuning import tune

__all__ = [
    "ALS",
    "EarlyStopping",
    "Embeddings",
    "ExplicitALS",
    "IdMap",
    "Interactions",
    "Model",
    "Popularity",
    "__version__",
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
    "trainers",
    "tune",
    "tuning",
]

__version__ = "0.1.0"

_HOME = {
    "ALS": "recsys.trainers",
    "EarlyStopping": "recsys.evaluation",
    "Embeddings": "recsys.embeddings",
    "ExplicitALS": "recsys.trainers",
    "IdMap": "recsys.ids",
    "Interactions": "recsys.interactions",
    "Model": "recsys.model",
    "Popularity": "recsys.trainers",
    "bridge": "recsys.bridging",
    "compare": "recsys.evaluation",
    "cross_validate": "recsys.evaluation",
    "evaluate": "recsys.evaluation",
    "evaluate_new_users": "recsys.evaluation",
    "evaluate_ratings": "recsys.evaluation",
    "load": "recsys.loading",
    "read_interactions": "recsys.ingest",
    "tune": "recsys.tuning",
}
_MODULES = ("datasets", "embeddings", "errors", "evaluation", "split", "trainers", "tuning")


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
