"""One training in a process of its own: `python one_fit.py REQUEST` prints seconds and memory as one line of JSON.

REQUEST is the JSON of a `Request`. A process of its own gives every library the environment it asks for, and a peak of memory
that belongs to this training alone. Before the clock starts the library trains once on next to nothing, so
that imports, thread pools and compiled code are there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import warnings
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from memory import peak_bytes, resident_bytes

__all__ = ["Measurement", "Request", "measure"]

# What the rivals' own documentation asks for: they bring their own threads, and BLAS must not add more beneath them.
_ONE_BLAS_THREAD = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Request:
    """data : a saved dataset. library : a name in `LIBRARIES`. settings : hyperparameters by that library's own names.
    output : a folder for users.npy and items.npy, or None."""

    data: str
    library: str
    factors: int
    iterations: int
    settings: dict[str, Any] = field(default_factory=dict)
    output: str | None = None


@dataclass(frozen=True)
class Measurement:
    """seconds : of the whole fit. sweep_seconds : one iteration, median. peak_bytes : of the whole process.
    above_bytes : the peak less what the process held when the data were loaded and the fit began."""

    seconds: float
    sweep_seconds: float
    peak_bytes: int
    above_bytes: int


def measure(request: Request, environment: dict[str, str] | None = None) -> Measurement:
    """Runs `request` in a child process. A failure there is raised here with what it said."""
    blas = {} if request.library == "recsys" else _ONE_BLAS_THREAD
    child = subprocess.run(
        [sys.executable, __file__, json.dumps(asdict(request))],
        env=os.environ | blas | (environment or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode:
        raise RuntimeError(f"{request.library} ended with exit code {child.returncode}:\n{child.stderr}")
    return Measurement(**json.loads(child.stdout.splitlines()[-1]))


# ---- in the child -----------------------------------------------------------------------------------------------


def main() -> None:
    """Trains as the command line says."""
    import numpy as np

    import recsys

    warnings.simplefilter("ignore")
    request = Request(**json.loads(sys.argv[1]))
    stored = recsys.Interactions.load(request.data, verify=False)
    # In memory, not mapped: what is read from a file anew during the fit would count as the fit's memory.
    arrays = {name: np.array(array) for name, array in stored.arrays().items()}
    data = replace(stored, **arrays)
    prepare = LIBRARIES[request.library]
    tiny = data.select(data.row_positions() < 50)
    prepare(tiny, replace(request, iterations=1))[0]()
    fit, sweeps = prepare(data, request)
    before = resident_bytes()
    began = time.perf_counter()
    users, items = fit()
    seconds = time.perf_counter() - began
    peak = peak_bytes()
    if request.output:
        for name, vectors in (("users", users), ("items", items)):
            np.save(Path(request.output) / f"{name}.npy", np.asarray(vectors, dtype=np.float32))
    sweep = float(np.median(sweeps)) if sweeps else seconds / request.iterations
    print(json.dumps(asdict(Measurement(seconds, sweep, peak, peak - before))))


def fit_recsys(data: Any, request: Request) -> Any:
    """`recsys.ALS`. The clock holds all of `fit`, so also the transposition and the provenance."""
    import recsys

    trainer = recsys.ALS(factors=request.factors, iterations=request.iterations, **request.settings)
    sweeps: list[float] = []
    # A copy without what `data` may have computed and kept.
    fresh = replace(data)

    def fit() -> Any:
        last = time.perf_counter()

        def note(*_: Any) -> None:
            nonlocal last
            now = time.perf_counter()
            sweeps.append(now - last)
            last = now

        model = trainer.fit(fresh, callback=note)
        return model.user_embeddings.vectors, model.item_embeddings.vectors

    return fit, sweeps


def fit_implicit(data: Any, request: Request) -> Any:
    """implicit's AlternatingLeastSquares with its default solver, three plain conjugate gradient steps."""
    import scipy.sparse
    from implicit.als import AlternatingLeastSquares

    matrix = scipy.sparse.csr_matrix(data.to_csr())
    model = AlternatingLeastSquares(
        factors=request.factors, iterations=request.iterations, num_threads=n_cpus(), random_state=0, **request.settings
    )
    sweeps: list[float] = []

    def fit() -> Any:
        model.fit(matrix, show_progress=False, callback=lambda iteration, elapsed, loss: sweeps.append(elapsed))
        return model.user_factors, model.item_factors

    return fit, sweeps


def fit_irspack(data: Any, request: Request) -> Any:
    """irspack's IALSTrainer, the loop under its IALSRecommender; settings hold `solver`, "CG" or "IALSPP"."""
    import scipy.sparse
    from irspack.recommenders.ials import IALSTrainer, LossType, SolverType

    matrix = scipy.sparse.csr_matrix(data.to_csr())
    settings = dict(request.settings)
    solver = getattr(SolverType, settings.pop("solver"))
    sweeps: list[float] = []

    def fit() -> Any:
        trainer = IALSTrainer(
            matrix, request.factors, init_std=0.1, solver_type=solver, max_cg_steps=3, ialspp_subspace_dimension=64,
            loss_type=LossType.IALSPP, random_seed=0, n_threads=n_cpus(), prediction_time_max_cg_steps=5,
            prediction_time_ialspp_iteration=7, **settings,
        )  # fmt: skip
        for _ in range(request.iterations):
            began = time.perf_counter()
            trainer.run_epoch()
            sweeps.append(time.perf_counter() - began)
        return trainer.core_trainer.user, trainer.core_trainer.item

    return fit, sweeps


def fit_cmfrec(data: Any, request: Request) -> Any:
    """cmfrec's CMF_implicit with what its documentation names for speed."""
    import scipy.sparse
    from cmfrec import CMF_implicit

    matrix = scipy.sparse.coo_matrix(data.to_csr())
    model = CMF_implicit(
        k=request.factors, niter=request.iterations, use_cg=True, finalize_chol=False, use_float=True,
        precompute_for_predictions=False, produce_dicts=False, nthreads=n_cpus(), verbose=False, random_state=1,
        **request.settings,
    )  # fmt: skip

    def fit() -> Any:
        model.fit(matrix)
        return model.A_, model.B_

    return fit, []


LIBRARIES = {"recsys": fit_recsys, "implicit": fit_implicit, "irspack": fit_irspack, "cmfrec": fit_cmfrec}


def n_cpus() -> int:
    """Processors that this process may use; every library gets as many threads."""
    from recsys.parallel import available_cpus

    return available_cpus()


if __name__ == "__main__":
    main()
