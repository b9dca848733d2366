"""What the searches for settings share: the data they choose by, settings of `recsys.ALS`, the table of what was tried."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_data import real

import recsys

__all__ = ["METRICS", "Log", "Settings", "Tried", "described", "held_out", "sample"]

METRICS = {"gowalla": ("recall@20", "ndcg@20"), "lastfm-hetrec": ("recall@10", "ndcg@10")}


def held_out(name: str) -> tuple[recsys.Interactions, recsys.Interactions]:
    """What is trained on and what is judged by while choosing: Last.fm's own parts, of gowalla a cut of the training pairs."""
    train, valid = real(name, "train"), real(name, "valid")
    if train is None:
        raise SystemExit(f"{name}: skipped, its train.parquet is not there")
    if valid is not None:
        return train, valid
    cut = recsys.split.random(train, test_fraction=0.1, random_state=0)
    return cut.train, cut.test


def sample(data: recsys.Interactions, n_users: int) -> recsys.Interactions:
    """The rows of `n_users` users, or of all where there are not as many."""
    chosen = np.zeros(data.n_users, dtype=bool)
    chosen[np.random.default_rng(0).permutation(data.n_users)[:n_users]] = True
    return data.select(chosen[data.row_positions()])


@dataclass(frozen=True)
class Settings:
    """Of the trainer, and of the degree weighting before it."""

    factors: int
    regularization: float = 0.003
    unobserved_weight: float = 0.015
    regularization_exponent: float = 1.0
    user_exponent: float = 0.0
    item_exponent: float = 0.0

    def trainer(self, sweeps: int) -> recsys.ALS:
        """The trainer with these settings."""
        own = {name: value for name, value in asdict(self).items() if name not in ("user_exponent", "item_exponent")}
        return recsys.ALS(iterations=sweeps, **own)

    def weighted(self, data: recsys.Interactions) -> recsys.Interactions:
        """`data` with the weights that these settings ask for."""
        if self.user_exponent == self.item_exponent == 0:
            return data
        return data.weighted("degree", user_exponent=self.user_exponent, item_exponent=self.item_exponent)


@dataclass(frozen=True)
class Tried:
    """One training. curve : the metric on validation after each sweep that was judged;  users : how many it is about."""

    stage: str
    settings: Settings
    sweep: int
    value: float
    users: int
    curve: tuple[float, ...]

    def row(self) -> dict[str, Any]:
        """As a line of the table."""
        found = {"sweep": self.sweep, "value": round(self.value, 5), "users": self.users}
        return {"stage": self.stage} | asdict(self.settings) | found | {"curve": " ".join(f"{v:.5f}" for v in self.curve)}

    @classmethod
    def of_row(cls, row: dict[str, str]) -> Tried:
        """The inverse of `row`."""
        types = {field.name: int if field.name == "factors" else float for field in fields(Settings)}
        settings = Settings(**{name: kind(row[name]) for name, kind in types.items()})
        curve = tuple(float(value) for value in row["curve"].split())
        return cls(row["stage"], settings, int(row["sweep"]), float(row["value"]), int(row["users"]), curve)


class Log:
    """What was tried: a table on disk that grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.tried = [Tried.of_row(row) for row in csv.DictReader(path.open(encoding="utf-8"))] if path.is_file() else []

    def add(self, tried: Tried) -> None:
        """Keeps and prints it."""
        is_new = not self._path.is_file()
        self.tried.append(tried)
        with self._path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(tried.row()))
            if is_new:
                writer.writeheader()
            writer.writerow(tried.row())
        print(f"  {tried.stage:8}{described(tried.settings)}  sweep {tried.sweep}  {tried.value:.4f}", flush=True)

    def best(self, stages: tuple[str, ...] = ("search", "lines", "factors"), **having: Any) -> Tried | None:
        """The best of some stages whose settings are `having`; validation samples of different sizes are not mixed."""
        rows = [t for t in self.tried if t.stage in stages]
        rows = [t for t in rows if all(getattr(t.settings, name) == value for name, value in having.items())]
        return max(rows, key=lambda t: t.value, default=None)


def described(settings: Settings) -> str:
    """In one line."""
    return (
        f"{settings.factors:5} factors  λ {settings.regularization:<8g} α₀ {settings.unobserved_weight:<7g} "
        f"ν {settings.regularization_exponent:<5g} degree ({settings.user_exponent:g}, {settings.item_exponent:g})"
    )
