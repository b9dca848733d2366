"""The published row of item-based neighbours, made again: split, masking and metrics are those of others. Needs real data."""

from __future__ import annotations

import pytest

import recsys


def test_the_published_row_of_item_neighbours_on_gowalla_is_made_again(real_data):
    def part(name):
        path = real_data / "gowalla" / f"{name}.parquet"
        return recsys.read_interactions(path, weight=False, timestamp=False, duplicates="max")

    if not (real_data / "gowalla" / "test.parquet").is_file():
        pytest.skip("needs the data set gowalla")
    # BARS, arXiv 2205.09626, "Item-CF": 100 neighbours by cosine. Which of equally near items are cut off is not said there.
    model = recsys.ItemKNN(neighbours=100, shrink=0, normalized=True, centred=True).fit(part("train"))
    result = recsys.evaluate(model, part("test"), ["recall@20", "ndcg@20"])
    assert result.values.mean(axis=0) == pytest.approx([0.1570, 0.1214], abs=0.001)
