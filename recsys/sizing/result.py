"""`Tradeoff`: what each size of a model costs, and which one to take. May import embeddings, errors, model, storage."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from recsys.embeddings.compression import Compression
from recsys.errors import ParameterError
from recsys.model import Model
from recsys.storage import write_file

__all__ = ["Measured", "Tradeoff"]

_DECIMALS = {"bytes_per_id": 1, "share": 4, "queries_per_second": 0}


@dataclass(frozen=True)
class Measured:
    """One size of a model.

    dimensions, storage : as `Model.compress` takes them.
    bytes_per_id : of users and items together, codebooks and scales among them;  share : of those of float32 vectors.
    recall : the share of the whole model's lists that these lists hold.
    value, low, high : the metric's mean over the test users, with its interval.
    loss, loss_low, loss_high : the share of the whole model's metric that is lost, with its interval: from the differences user
        by user, so it is narrow where lists are nearly the same. Below 0 is a gain.
    queries_per_second : users' lists, as measured on this machine.
    within : whether `loss_high` is at most the loss that was allowed.
    """

    dimensions: int
    storage: str
    bytes_per_id: float
    share: float
    recall: float
    value: float
    low: float
    high: float
    loss: float
    loss_low: float
    loss_high: float
    queries_per_second: float
    within: bool


@dataclass(frozen=True, eq=False, repr=False)
class Tradeoff:
    """What `recsys.tradeoff` found. Immutable.

    rows : one a size, by falling bytes;  the whole model is the first.
    picked : the smallest of those within the loss: the whole model, where no other is.
    sizes : bytes of what the vectors stand for, by name; then of the vectors, whole and picked.
    base : the settings that all rows share.
    """

    rows: tuple[Measured, ...]
    picked: Measured
    metric: str
    max_loss: float
    confidence: float
    n_users: int
    sizes: Mapping[str, int]
    base: Compression
    provenance: Mapping[str, Any]

    @property
    def whole(self) -> Measured:
        """The model as it was."""
        return self.rows[0]

    @property
    def settings(self) -> Compression:
        """Those of the size that was picked."""
        return self.settings_of(self.picked)

    def settings_of(self, row: Measured) -> Compression:
        """What makes a model of the size of `row`."""
        if row is self.whole:
            return Compression(row.dimensions, row.storage)
        return self.base.of_size(row.dimensions, row.storage)

    def apply(self, model: Model, *, num_threads: int | None = None) -> Model:
        """`model` in the size that was picked."""
        return model.compress(**asdict(self.settings), num_threads=num_threads)

    def table(self) -> pd.DataFrame:
        """One row a size, by falling bytes: the fields of `Measured`, and whether it was picked."""
        rows = pd.DataFrame([asdict(row) for row in self.rows])
        return rows.assign(picked=[row is self.picked for row in self.rows])

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "metric": self.metric,
            "max_loss": self.max_loss,
            "confidence": self.confidence,
            "n_users": self.n_users,
            "rows": [asdict(row) | {"picked": row is self.picked} for row in self.rows],
            "settings": self.settings.describe(),
            "sizes": dict(self.sizes),
            "provenance": dict(self.provenance),
        }

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Writes the table as .csv, or everything as .json, by the suffix of `path`, and returns its path."""
        import json

        suffix = Path(path).suffix
        if suffix not in (".csv", ".json"):
            raise ParameterError(f"`output` must end in .csv or .json. Got {str(path)!r}.")
        with write_file(path, overwrite=overwrite) as temporary:
            if suffix == ".csv":
                self.table().to_csv(temporary, index=False)
            else:
                text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
                temporary.write_text(text + "\n", encoding="utf-8")
        return Path(path)

    def plot(self, path: str | os.PathLike[str], *, title: str | None = None, overwrite: bool = False) -> Path:
        """Writes a picture of loss and recall by bytes, PNG, SVG or PDF by the suffix of `path`. Extra `map`."""
        from recsys.sizing.picture import draw_tradeoff

        with write_file(path, overwrite=overwrite) as temporary:
            draw_tradeoff(self, temporary, title)
        return Path(path)

    def sentence(self) -> str:
        """What was picked, in words."""
        sure = f"by the upper end of its {100 * self.confidence:g} % interval"
        allowed = f"at most {100 * self.max_loss:g} % of {self.metric} lost, {sure}"
        if self.picked is self.whole:
            return f"No size is within the loss ({allowed}) but the whole model's, {self.whole.bytes_per_id:,.0f} bytes an id."
        row = self.picked
        return (
            f"Picked {row.storage} of {row.dimensions} dimensions: {row.bytes_per_id:,.1f} bytes an id, "
            f"1/{1 / row.share:.1f} of float32, for a loss of {100 * row.loss:.2f} % "
            f"[{100 * row.loss_low:.2f}, {100 * row.loss_high:.2f}] ({allowed})."
        )

    def __repr__(self) -> str:
        return f"Tradeoff: {len(self.rows)} sizes, {self.n_users:,} users\n{self.sentence()}"

    def _repr_html_(self) -> str:
        table = self.table().round(_DECIMALS).to_html(index=False, float_format="{:.4f}".format, border=0)
        return f"<p>{escape(self.sentence())}</p>{table}"
