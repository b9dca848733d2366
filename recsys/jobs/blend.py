"""`recsys blend`: models of the same dataset become one whose scores are weighted sums, where that surely helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.blending import Blend
from recsys.errors import ParameterError
from recsys.interactions import Interactions
from recsys.jobs.places import refuse_collisions
from recsys.jobs.report import Clock, bytes_in_words, counted, seconds_in_words, size_of
from recsys.jobs.terminal import print_table, say
from recsys.model import BlendModel, RankingModel, load_model
from recsys.storage import refuse_existing

__all__ = ["Blended", "blend"]


@dataclass(frozen=True)
class Blended:
    """A blend that was written: the share and weight of each part, and what was measured when the shares were chosen.

    gain, low, high : how much better than `best_part` alone, with its interval, on users by whom shares were not chosen.
    shares_of : the blend whose shares were taken over, None where they were chosen here.
    """

    output: str
    shares: dict[str, float]
    weights: dict[str, float]
    metric: str
    best_part: str
    value: float
    gain: float
    low: float
    high: float
    n_users: int
    shares_of: str | None
    bytes: int
    seconds: float

    def show(self) -> None:
        """The parts and two sentences on standard output."""
        rows = [(name, f"{share:.3g}", f"{self.weights.get(name, 0):.4g}") for name, share in self.shares.items()]
        print_table(("part", "share", "weight"), rows, title="Blend")
        taken = "" if self.shares_of is None else f", when the shares of {self.shares_of} were chosen"
        gain = f"{self.gain:+.4f} [{self.low:+.4f}, {self.high:+.4f}] over {self.best_part} alone"
        say(f"{self.metric} {self.value:.4f}, {gain}, on {counted(self.n_users, 'validation user')}{taken}.")
        say(f"Wrote {self.output}, {bytes_in_words(self.bytes)}, in {seconds_in_words(self.seconds)}.")


def blend(
    models: Sequence[str],
    *,
    output: str,
    valid: str | None = None,
    shares_of: str | None = None,
    allow_no_gain: bool = False,
    overwrite: bool = False,
    progress: bool = False,
    **options: Any,
) -> Blended:
    """Blends the model directories `models`, which are called by the names of their folders, into the directory `output`.

    valid : a dataset by which shares are chosen, and by which the gain is measured.
    shares_of : instead, a blend of parts of the same names whose shares are taken over: as when these were chosen on held-out
        data, and the parts are trained again on all there are.
    options : metric, random_state and num_threads as `recsys.Blend` takes them, and its defaults.
    """
    clock = Clock()
    if (valid is None) == (shares_of is None):
        raise ParameterError("Give `valid`, a dataset to choose shares by, or `shares_of`, a blend to take them from.")
    refuse_collisions([output], [*models, valid, shares_of])
    refuse_existing(output, "model", overwrite=overwrite)
    parts = _parts(models)
    if valid is not None:
        settings = Blend(require_gain=not allow_no_gain, **options)
        made = settings.fit(parts, Interactions.load(valid), progress=progress)
    else:
        made = _with_shares_of(str(shares_of), parts, options)
    made.save(output, overwrite=overwrite)
    return _told(made, output, shares_of, clock)


def _parts(paths: Sequence[str]) -> dict[str, Any]:
    """The models by the names of their folders. Raises `ParameterError` for two of one name."""
    parts: dict[str, RankingModel] = {}
    for path in paths:
        name = Path(path).resolve().name
        if name in parts:
            raise ParameterError(f"The parts of a blend are named by their folders, and two are called {name!r}.")
        parts[name] = load_model(path)
    return parts


def _with_shares_of(path: str, parts: dict[str, Any], options: dict[str, Any]) -> BlendModel:
    if "metric" in options:
        raise ParameterError("`metric` is for choosing shares, and those of `shares_of` are chosen.")
    earlier = load_model(path)
    if not isinstance(earlier, BlendModel):
        raise ParameterError(f"{path} holds {earlier!r}, which has no shares: `shares_of` must be a blend.")
    return earlier.with_parts(parts, **options)


def _told(made: BlendModel, output: str, shares_of: str | None, clock: Clock) -> Blended:
    measured = made.provenance["training"]
    return Blended(
        output=output,
        shares=dict(measured["shares"]),
        weights=made.weights,
        **{name: measured[name] for name in ("metric", "best_part", "value", "gain", "low", "high", "n_users")},
        shares_of=shares_of,
        bytes=size_of(output),
        seconds=clock.seconds,
    )
