"""Models: what training yields. Every one recommends, is evaluated and is saved alike; `Model` also has embeddings.

May import everything below trainers.
"""

from __future__ import annotations

from recsys.model.base import RankingModel
from recsys.model.vectors import Model

__all__ = ["Model", "RankingModel"]
