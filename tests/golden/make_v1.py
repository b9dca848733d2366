"""Writes the golden files of format version 1: run once when the version began, never again while it is read."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import recsys

sys.path.insert(0, str(Path(__file__).parents[1]))
from conftest import random_interactions

if __name__ == "__main__":
    here = Path(__file__).parent / "v1"
    data = random_interactions(8, 6, 0.5, strings=True, timestamps=True)
    model = recsys.ALS(factors=3, iterations=3).fit(data)
    data.save(here / "dataset")
    model.save(here / "model")
    model.item_embeddings.save(here / "embeddings")
    expected = {
        "fingerprint": data.fingerprint,
        "item_ids": model.recommend(k=2).item_id.tolist(),
        "nearest_i1": model.item_embeddings.nearest("i1", k=3).item_id.tolist(),
    }
    (here / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
