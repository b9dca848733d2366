"""Writes the golden blend of format version 1 over the golden dataset: run once, never again while the version is read."""

from __future__ import annotations

import json
from pathlib import Path

import recsys
from recsys.model import BlendModel

if __name__ == "__main__":
    here = Path(__file__).parent / "v1"
    data = recsys.load(here / "dataset")
    parts = {"als": recsys.ALS(factors=3, iterations=3).fit(data), "rp3beta": recsys.RP3beta(neighbours=3).fit(data)}
    blend = BlendModel(parts, {"als": 0.6, "rp3beta": 0.4}, {"als": 0.3, "rp3beta": 0.05})
    blend.save(here / "blend")
    expected = {"weights": blend.weights, "item_ids": blend.recommend(k=2).item_id.tolist()}
    (here / "expected_blend.json").write_text(json.dumps(expected, indent=1) + "\n")
