"""Models: what training yields. Every one recommends, is evaluated and is saved alike; `Model` also has embeddings.

May import everything below trainers.
"""

from __future__ import annotations

from recsys.model.base import RankingModel
from recsys.model.blend import BlendModel
from recsys.model.item_item import ItemItemModel
from recsys.model.opening import AnyModel, load_model, model_from_stored
from recsys.model.vectors import Model

__all__ = ["AnyModel", "BlendModel", "ItemItemModel", "Model", "RankingModel", "load_model", "model_from_stored"]
