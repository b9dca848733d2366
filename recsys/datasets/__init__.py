"""Data to begin with: the bundled set, synthetic logs of any size, and well-known public sets fetched with their terms.

May import errors, kernels, interactions and ingest.
"""

from recsys.datasets.debian import debian_items, debian_log, load_debian
from recsys.datasets.public import PublicDataset, cache_directory, fetch, public_dataset, public_datasets, read_public
from recsys.datasets.synthetic import make_events

__all__ = [
    "PublicDataset",
    "cache_directory",
    "debian_items",
    "debian_log",
    "fetch",
    "load_debian",
    "make_events",
    "public_dataset",
    "public_datasets",
    "read_public",
]
