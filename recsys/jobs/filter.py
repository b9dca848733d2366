"""The `[filter]` step of a pipeline: which events of a dataset count."""

from __future__ import annotations

from typing import Any

from recsys.errors import DataError
from recsys.interactions import Interactions
from recsys.jobs.ingest import DatasetWritten, keep_core, write_dataset
from recsys.jobs.places import refuse_collisions
from recsys.jobs.report import Clock
from recsys.storage import refuse_existing

__all__ = ["filter_dataset"]


def filter_dataset(
    dataset: str,
    *,
    output: str,
    min_user_interactions: int = 0,
    min_item_interactions: int = 0,
    overwrite: bool = False,
    **conditions: Any,
) -> DatasetWritten:
    """Keeps the entries that fulfil `conditions` (min_weight, max_weight, since, until as `Interactions.filter` takes them),
    then users and items with enough of them."""
    clock = Clock()
    refuse_collisions([output], [dataset])
    refuse_existing(output, "dataset", overwrite=overwrite)
    data = Interactions.load(dataset)
    kept = data.filter(**conditions)
    if len(kept) == 0:
        raise DataError(
            f"No interaction of {dataset} fulfils {', '.join(f'{name} {value}' for name, value in conditions.items())}."
        )
    return write_dataset(keep_core(kept, min_user_interactions, min_item_interactions), output, clock, overwrite=overwrite)
