"""Threads: how many there are, and how work is cut over them. Imports `errors` only.

Work is cut into blocks that do not depend on the number of threads, each block runs compiled code that releases the
interpreter lock, and results come back in order of the blocks: that is why one thread and many give the same bytes.
A plain thread pool is used instead of numba's own parallel loops: those need OpenMP, after which a process can not fork.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from types import TracebackType
from typing import TypeVar

from threadpoolctl import ThreadpoolController

from recsys.errors import ParameterError

__all__ = ["Workers", "available_cpus"]

Block = TypeVar("Block")
Result = TypeVar("Result")


def available_cpus() -> int:
    """The number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _thread_pools() -> ThreadpoolController:
    """The process's libraries with threads of their own. Looking for them takes longer than a small search, so it is done
    again only when modules were imported since, which may have brought some."""
    global _known_pools
    if _known_pools is None or _known_pools[0] != len(sys.modules):
        _known_pools = len(sys.modules), ThreadpoolController()
    return _known_pools[1]


_known_pools: tuple[int, ThreadpoolController] | None = None


class Workers:
    """A pool of threads, used as a context manager; inside it BLAS runs on one thread per worker and is put back after.

    `num_threads`: how many; None for as many as there are processors.
    """

    def __init__(self, num_threads: int | None = None) -> None:
        if num_threads is not None and (not isinstance(num_threads, int) or num_threads < 1):
            raise ParameterError(f"`num_threads` must be an int >= 1, or None for all processors. Got {num_threads!r}.")
        self.num_threads = num_threads or available_cpus()

    def __enter__(self) -> Workers:
        self._blas = _thread_pools().limit(limits=1, user_api="blas")
        self._pool = ThreadPoolExecutor(self.num_threads) if self.num_threads > 1 else None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._blas.restore_original_limits()

    def map(self, function: Callable[[Block], Result], blocks: Iterable[Block]) -> list[Result]:
        """`[function(block) for block in blocks]`, over the threads. The first error stops what has not begun and is raised."""
        if self._pool is None:
            return [function(block) for block in blocks]
        futures = [self._pool.submit(function, block) for block in blocks]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()
