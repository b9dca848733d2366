"""Products of compressed rows with thin dense matrices, beside their slow twins."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.kernels import sparse
from recsys.parallel import Workers


def random_rows(n_rows: int, n_columns: int, density: float, seed: int) -> tuple[sparse.Compressed, list[dict[int, float]]]:
    """Compressed rows, some of them empty, and the same as dictionaries."""
    generator = np.random.default_rng(seed)
    present = generator.random((n_rows, n_columns)) < density
    present[::5] = False
    weights = np.where(present, generator.standard_normal((n_rows, n_columns)), 0).astype(np.float32)
    indptr = np.concatenate([[0], np.cumsum(present.sum(axis=1))])
    compressed = (indptr, np.nonzero(present)[1].astype(np.int32), weights[present])
    return compressed, [{int(c): float(weights[r, c]) for c in np.flatnonzero(present[r])} for r in range(n_rows)]


SIZES = {
    "n_rows": st.integers(1, 30), "n_columns": st.integers(1, 12), "width": st.integers(1, 19),
    "density": st.sampled_from([0.0, 0.2, 0.9]), "seed": st.integers(0, 9),
}  # fmt: skip


def dense_matrix(n_rows: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed + 100).standard_normal((n_rows, width), dtype=np.float32)


@given(**SIZES)
def test_products_are_those_of_plain_loops(n_rows, n_columns, width, density, seed):
    compressed, rows = random_rows(n_rows, n_columns, density, seed)
    dense = dense_matrix(n_columns, width, seed)
    with Workers(1) as workers:
        found = sparse.product(compressed, dense, workers)
        squared = sparse.gram_product(compressed, dense, workers)
    assert found.dtype == squared.dtype == np.float32
    np.testing.assert_allclose(found, np.reshape(naive.sparse_product(rows, dense), found.shape), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(squared, naive.sparse_gram_product(rows, dense), rtol=1e-4, atol=1e-4)


@given(**SIZES)
def test_a_sketch_adds_each_row_with_its_sign_to_one_bucket(n_rows, n_columns, width, density, seed):
    compressed, rows = random_rows(n_rows, n_columns, density, seed)
    generator = np.random.default_rng(seed)
    buckets = generator.integers(0, width, n_rows)
    signs = generator.choice(np.array([-1, 1], np.float32), n_rows)
    expected = naive.sketched_rows(rows, buckets, signs, (n_columns, width))
    found = sparse.sketch(compressed, n_columns, width, np.random.default_rng(seed))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_blocks_and_threads_do_not_change_the_bytes(monkeypatch):
    compressed, rows = random_rows(90, 12, 0.5, 3)
    dense = dense_matrix(12, 7, 3)
    monkeypatch.setattr(sparse, "_BLOCK_ENTRIES", 40)
    found = []
    for num_threads in (1, 2):
        with Workers(num_threads) as workers:
            found.append([f(compressed, dense, workers).tobytes() for f in (sparse.product, sparse.gram_product)])
    assert found[0] == found[1]
    with Workers(2) as workers:
        squared = sparse.gram_product(compressed, dense, workers)
    np.testing.assert_allclose(squared, naive.sparse_gram_product(rows, dense), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("megabytes", [0, 256])
def test_partial_sums_keep_to_their_memory(monkeypatch, megabytes):
    compressed, rows = random_rows(60, 12, 0.5, 1)
    dense = dense_matrix(12, 5, 1)
    monkeypatch.setattr(sparse, "_BLOCK_ENTRIES", 10)
    monkeypatch.setattr(sparse, "_PARTS_BYTES", megabytes * 2**20)
    calls = []
    with Workers(1) as workers:
        monkeypatch.setattr(workers, "map", lambda work, blocks: calls.append(len(blocks)) or [work(block) for block in blocks])
        squared = sparse.gram_product(compressed, dense, workers)
    assert calls[0] == (2 if megabytes == 0 else 16)
    np.testing.assert_allclose(squared, naive.sparse_gram_product(rows, dense), rtol=1e-4, atol=1e-4)
