"""`Features`: what is known about users or items, as sparse columns. May import errors, ids and storage.

`features` the container · `reading` from a table to it · `columns` how one column becomes features · `tables` tables as users
have them.
"""

from __future__ import annotations

from recsys.features.columns import Column
from recsys.features.features import Features

__all__ = ["Column", "Features"]
