"""Embeddings in fewer bytes: fewer dimensions, and codes in the place of float32 numbers, searched as they are.

`codes` what every kind of codes looks like; the kinds: `plain` floating-point numbers, `scalar` 8 and 4 bits, `subspaces`
product quantisation, `signs` one bit · `turn` a rotation before coding · `axes` fewer dimensions · `coded` codes with the way
back to vectors · `search` over codes · `settings` what may be asked for · `compressed` the embeddings that users have ·
`scores` what a model with such items recommends by.

May import what embeddings may.
"""

from __future__ import annotations

from recsys.embeddings.compression.compressed import CompressedEmbeddings, compress_embeddings
from recsys.embeddings.compression.settings import Compression

__all__ = ["CompressedEmbeddings", "Compression", "compress_embeddings"]
