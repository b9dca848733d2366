"""The arithmetic of a batch job: how many users at once, which part a user's list belongs to. Imports `errors` only.

All numbers are Python's, which know no overflow; what goes into arrays is one batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from recsys.errors import ParameterError

__all__ = ["BatchPlan"]

# What one batch may take in arrays: far below what a model takes, far above what a call costs.
_BATCH_BYTES = 2**26
_MOST_USERS = 10_000
# A place in a list: position, score, id, rank and score again in the table, and as much in the writer.
_PLACE_BYTES = 64
# A reason: position, contribution, id and contribution again in the table.
_REASON_BYTES = 48


@dataclass(frozen=True)
class BatchPlan:
    """n_users : how many are asked for.
    rows_a_user : the most rows one has.
    pool : how many items a user's list is chosen from.
    n_reasons : the most reasons a row has.
    partition_rows : the most rows of a part; None for one part whatever its size.
    """

    n_users: int
    rows_a_user: int
    pool: int
    n_reasons: int = 0
    partition_rows: int | None = None

    def __post_init__(self) -> None:
        if self.partition_rows is not None and self.partition_rows < self.rows_a_user:
            raise ParameterError(
                f"`partition_rows` must be at least {self.rows_a_user:,}, a whole list: lists are not cut. "
                f"Got {self.partition_rows:,}."
            )

    @property
    def bytes_a_user(self) -> int:
        """What a user takes while a batch is worked on, about."""
        return max(1, self.pool * _PLACE_BYTES + self.rows_a_user * self.n_reasons * _REASON_BYTES)

    @property
    def batch_users(self) -> int:
        """How many users are worked on at once."""
        return max(1, min(_MOST_USERS, _BATCH_BYTES // self.bytes_a_user))

    @property
    def most_rows(self) -> int:
        """The most rows the output can have."""
        return self.n_users * self.rows_a_user

    @property
    def users_a_part(self) -> int:
        """How many users a part holds: so many that it never has more than `partition_rows` rows."""
        if self.partition_rows is None:
            return max(1, self.n_users)
        return self.partition_rows // max(1, self.rows_a_user)

    @property
    def n_parts(self) -> int:
        """How many parts there are; one even for nobody."""
        return max(1, -(-self.n_users // self.users_a_part))

    def part_of(self, user: int) -> int:
        """The number of the part that the list of the user at this place of the order goes to."""
        return user // self.users_a_part

    def ends_part(self, stop: int) -> bool:
        """Whether a part ends before the user at place `stop`."""
        return stop >= self.n_users or stop % self.users_a_part == 0

    def batches(self, begin: int = 0) -> Iterator[tuple[int, int]]:
        """(start, stop) of each batch from the user at place `begin`, none across a border of parts; one, empty, for nobody."""
        start = begin
        while start < self.n_users or (begin == start == self.n_users == 0):
            border = (self.part_of(start) + 1) * self.users_a_part
            stop = min(start + self.batch_users, border, self.n_users)
            yield start, stop
            if stop == start:
                return
            start = stop
