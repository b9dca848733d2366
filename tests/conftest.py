"""What several test files share: small data, and where real data may lie."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import numba
import numpy as np
import pytest

from recsys.ids import IdMap
from recsys.interactions import Interactions

# The first example compiles kernels, so a deadline would only measure that; the same examples in every run.
hypothesis.settings.register_profile("recsys", deadline=None, derandomize=True)
hypothesis.settings.load_profile("recsys")

REAL_DATA = Path(__file__).parents[2] / "shared" / "datasets"


def pytest_collection_modifyitems(items):
    if numba.config.DISABLE_JIT:
        for item in items:
            if item.get_closest_marker("compiled"):
                item.add_marker(pytest.mark.skip(reason="too slow as plain Python"))


@pytest.fixture(scope="session")
def real_data():
    """The folder of real data sets; tests that ask for it are skipped where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"needs real data in {REAL_DATA.name}/ beside the project")
    return REAL_DATA


def random_interactions(n_users=60, n_items=40, density=0.15, seed=0, *, strings=False, timestamps=False):
    """Interactions with two taste groups; user and item ids differ from their positions."""
    generator = np.random.default_rng(seed)
    same_group = (np.arange(n_users) % 2)[:, None] == (np.arange(n_items) % 2)[None, :]
    users, items = np.nonzero(generator.random((n_users, n_items)) < density * np.where(same_group, 1.8, 0.2))
    user_ids = [f"u{n}" for n in range(n_users)] if strings else np.arange(n_users) + 1000
    item_ids = [f"i{n}" for n in range(n_items)] if strings else np.arange(n_items) * 7 + 5
    return Interactions.from_events(
        IdMap(user_ids, name="user_id"),
        IdMap(item_ids, name="item_id"),
        users.astype(np.int32),
        items.astype(np.int32),
        generator.integers(1, 6, len(users)).astype(np.float32),
        generator.integers(1_500_000_000, 1_600_000_000, len(users)) * 1_000_000 if timestamps else None,
    )


@pytest.fixture
def data():
    return random_interactions()
