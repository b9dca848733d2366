"""Maps: embeddings in two dimensions to be looked at, as a table, an interactive page or a picture.

`layout` from vectors to coordinates: `principal` by principal axes, `manifold` by UMAP · `embedding_map` the result ·
`joined` columns that users bring along · `packing`, `page` the page, whose program is `scene.js`, `paint.js`, `views.js`,
`panel.js` · `picture` PNG and SVG.
"""

from __future__ import annotations

from recsys.embeddings.mapping.embedding_map import EmbeddingMap
from recsys.embeddings.mapping.layout import METHODS, map_embeddings

__all__ = ["METHODS", "EmbeddingMap", "map_embeddings"]
