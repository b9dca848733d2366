"""What every trainer promises, as checks that a trainer passes or not: ours, and your own.

A trainer of your own is a frozen dataclass whose fields are its hyperparameters; a run trains an epoch at a time. It inherits
the loop, checkpoints and provenance, its model recommends, is evaluated and saved like any other, and this says whether it
keeps what users may rely on:

    from dataclasses import dataclass

    import numpy as np
    import recsys
    from recsys.trainers.base import Factors, Run, Trainer

    @dataclass(frozen=True, kw_only=True)
    class MeanWeight(Trainer):
        \"\"\"Scores an item by its mean weight, shrunk towards 0.\"\"\"

        name = "mean-weight"
        advice = "a second baseline: what those who have it like best"

        shrinkage: float = 5.0
        \"\"\"How many events of weight 0 each item gets on top.\"\"\"

        def start(self, train):
            return MeanWeightRun(self, train)

    class MeanWeightRun(Run):
        epochs = 1

        def __init__(self, trainer, train):
            sums = np.bincount(train.indices, train.weights, minlength=train.n_items)
            self.means = sums / (train.item_counts + trainer.shrinkage)
            self.n_users = train.n_users

        def train_epoch(self):
            return {}

        def factors(self):
            return Factors(np.ones((self.n_users, 1), np.float32), self.means.astype(np.float32)[:, None])

    recsys.testing.check_trainer(MeanWeight())

In a test suite of pytest each check is a test of its own:

    @pytest.mark.parametrize("check", recsys.testing.CHECKS, ids=str)
    def test_mean_weight(check):
        check(MeanWeight())

Checks train on a few small logs of their own, so pass small settings (a few factors and epochs). They need no pytest.
May import everything below jobs.
"""

from __future__ import annotations

from recsys.testing import configuration, epochs, files, inputs, lists, models  # noqa: F401  (each enters its checks)
from recsys.testing.promises import BrokenPromiseError, Check, all_checks, check_trainer

__all__ = ["CHECKS", "BrokenPromiseError", "Check", "check_trainer"]

CHECKS: tuple[Check, ...] = all_checks()
