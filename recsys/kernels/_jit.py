"""The only place that names compile flags.

Kernels take arrays and numbers and return or fill arrays; they know no ids, no pandas and no files. Each releases the
interpreter lock, so `recsys.parallel.Workers` runs it on a block of rows a thread.

* `kernel`: exact IEEE arithmetic.
* `fast_kernel`: sums may be reordered and fused (that is what lets them use vector units). Infinities and NaN keep
  their meaning: `nnan` and `ninf` are never set.

* `part`: exact as well, for a function that only kernels of its file call. It has no entry for Python, so it compiles sooner.
* `fast_part`: the same for a function that kernels of its file call, always compiled into them. Without that, a call could
  reach a copy compiled on its own, with another order of sums, or not, depending on what the cache held: two runs would
  differ in the last bit.

Compiled code is cached beside the source (or where NUMBA_CACHE_DIR points), keyed by source file, processor and numba
version. This is sound because no kernel calls a kernel of another file. NUMBA_DISABLE_JIT=1 runs them all as plain Python.
"""

from __future__ import annotations

from typing import Any

import numba

__all__ = ["fast_kernel", "fast_part", "kernel", "part"]

_SAFE_FAST_MATH = {"nsz", "arcp", "contract", "afn", "reassoc"}

# Python calls kernels and nobody calls parts: each entry is code that takes time to compile.
_NO_ENTRIES: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

# numba's own types leave these two options out.
_njit: Any = numba.njit

kernel = _njit(nogil=True, cache=True, error_model="numpy", no_cfunc_wrapper=True)
fast_kernel = _njit(nogil=True, cache=True, error_model="numpy", fastmath=_SAFE_FAST_MATH, no_cfunc_wrapper=True)
part = _njit(nogil=True, error_model="numpy", **_NO_ENTRIES)
fast_part = _njit(nogil=True, error_model="numpy", fastmath=_SAFE_FAST_MATH, forceinline=True, **_NO_ENTRIES)
