"""The kernels around an approximate search against their naive twins."""

import naive
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys.kernels.found import keep_allowed, promises


@given(st.data())
def test_what_is_kept_of_the_finds_is_what_the_naive_loop_keeps(data):
    found = np.array(data.draw(st.lists(st.lists(st.integers(-1, 11), min_size=5, max_size=5), min_size=1, max_size=4)))
    seen = [sorted(data.draw(st.sets(st.integers(0, 11)))) for _ in found]
    allowed = data.draw(st.none() | st.lists(st.booleans(), min_size=12, max_size=12))
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in seen])]).astype(np.int64)
    indices = np.array([position for row in seen for position in row], np.int32)
    positions, counts = np.zeros(found.shape, np.int32), np.zeros(len(found), np.int32)
    keep_allowed(found, indptr, indices, np.array(allowed or [], np.bool_), positions, counts)
    for row, line in enumerate(found.tolist()):
        assert positions[row, : counts[row]].tolist() == naive.kept_finds(line, seen[row], allowed)


def test_promises_are_those_of_the_formula():
    generator = np.random.default_rng(0)
    queries, middles = (
        generator.standard_normal((3, 5)).astype(np.float32),
        generator.standard_normal((4, 6)).astype(np.float32),
    )
    out = np.empty((3, 4), np.float32)
    promises(queries, middles, out)
    np.testing.assert_allclose(out, [[naive.promise(query, middle) for middle in middles] for query in queries], rtol=1e-5)
