"""A versioned store of embeddings: immutable versions, tags that move, lineage. On Lance (extra `store`).

Files: `store` what users have, `publishing` from embeddings to a plan and a commit, `contract` what is refused, `lineage` how a
version lies to its parent, `pairs` both sides of a model, `versions` what a version says of itself, `snapshots` opening one,
`rows` reading single rows, `tagging` where tags were, `lance_table` all that knows Lance.

One store holds one table: the items of a series of models, or the users. Two stores of one series keep together by the
fingerprint of the model that both versions name: see `publish_model`. May import everything below models.
"""

from __future__ import annotations

from recsys.embeddings.store.pairs import publish_model
from recsys.embeddings.store.store import EmbeddingStore, is_store, open_store
from recsys.embeddings.store.versions import StoreVersion

__all__ = ["EmbeddingStore", "StoreVersion", "is_store", "open_store", "publish_model"]
