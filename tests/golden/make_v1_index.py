"""Writes the golden index of format version 1: run once when indexes began, never again while it is read."""

from __future__ import annotations

import sys
from pathlib import Path

from recsys.retrieval.approximate import ItemIndex
from recsys.retrieval.approximate.index import build_engine

sys.path.insert(0, str(Path(__file__).parents[1]))
from test_index import golden_items

if __name__ == "__main__":
    items = golden_items()
    engine = build_engine("ivf", "partitioned", items, 0)
    record = {"k": 2, "recall": 1.0}
    index = ItemIndex(engine, *items.shape, engine.breadths[-1], 2.0, 4, "a fingerprint", record)
    index.save(Path(__file__).parent / "v1" / "index")
