"""From logs of events to `Interactions`: files, frames and tables. May import `interactions` and what lies below it.

The modules stand in the way of the data: `sources` (which files, in which form) → `columns` (which column is what) →
`delimited`, `jsonlines`, `tables` (blocks of parsed columns, bad rows marked; `values` reads numbers and times) →
`encode` (ids to positions) → `rejects` (bad rows named, counted, written) → `read` (the whole way).
"""

from __future__ import annotations

from recsys.ingest.read import read_interactions
from recsys.ingest.rejects import BadRowsWarning

__all__ = ["BadRowsWarning", "read_interactions"]
