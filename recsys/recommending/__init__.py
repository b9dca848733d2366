"""Recommending: who is asked for → which items may appear → search → re-rank → a table, a batch of users at a time.

Works on embeddings, a history and a fold-in; a `Model` brings them. May import everything below `model`.
"""

from __future__ import annotations

from recsys.recommending.recommender import Recommender
from recsys.recommending.request import BasketRequest, Request, taking

__all__ = ["BasketRequest", "Recommender", "Request", "taking"]
