"""Which results may be held against each other: same test, same way of ranking, same users, same metrics; or a sentence
that says what differs. May import errors, ids and this folder's result and ratings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recsys.errors import DataError, ParameterError, closest_hint, quote_some
from recsys.evaluation.ratings import RatingErrors
from recsys.evaluation.result import EvaluationResult
from recsys.ids import IdMap

__all__ = ["PairedResults", "paired_results"]

USER_RULES = ("same", "common")

# Settings of an evaluation that change no user's value, or say again what another says, or are a choice of the model's: how its
# lists are searched. Where there are sampled negatives, the seed is theirs too.
_FREE_SETTINGS = frozenset({"confidence", "random_state", "bias", "index"})
_SAMPLED = "negatives"


@dataclass(frozen=True, eq=False)
class PairedResults:
    """Values of several models for the same users.

    models, metrics : their names.
    users : in order of the first model's result.
    values : for each model (n_users, n_metrics) float64.
    left_out : for each model how many of its users are not compared.
    """

    models: tuple[str, ...]
    metrics: tuple[str, ...]
    users: IdMap
    values: tuple[np.ndarray, ...]
    left_out: Mapping[str, int]


def paired_results(results: Mapping[str, EvaluationResult], metrics: str | Iterable[str] | None, users: str) -> PairedResults:
    """The values of all results for the users that are compared; see `recsys.compare` for the arguments and errors."""
    if users not in USER_RULES:
        raise ParameterError(f"`on` must be 'same' or 'common'. Got {users!r}.{closest_hint(str(users), USER_RULES)}")
    models = _checked_models(results)
    for name in models[1:]:
        _refuse_another_test(models[0], results[models[0]], name, results[name])
        _refuse_other_settings(models[0], results[models[0]], name, results[name])
    chosen = _same_metrics(results) if metrics is None else _named_metrics(results, metrics)
    kept, rows = _common_users(results) if users == "common" else _same_users(results)
    if len(kept) < 2:
        raise DataError(f"A comparison needs at least 2 users, since it is about their spread. Got {len(kept)}.")
    values = tuple(_columns(result, chosen)[positions] for result, positions in zip(results.values(), rows, strict=True))
    left_out = {name: len(result.users) - len(kept) for name, result in results.items()}
    return PairedResults(models, chosen, kept, values, left_out)


def _checked_models(results: Mapping[str, EvaluationResult]) -> tuple[str, ...]:
    if not isinstance(results, Mapping):
        raise ParameterError(
            f"`results` must map names of models to their results, such as {{'als': a, 'bpr': b}}. "
            f"Got {type(results).__name__}."
        )
    if len(results) < 2:
        raise ParameterError(f"A comparison needs at least 2 models. Got {len(results)}: {quote_some(results) or 'none'}.")
    for name, result in results.items():
        if not isinstance(name, str) or not name.strip():
            raise ParameterError(f"The name of a model must be a text that is not empty. Got {name!r}.")
        if isinstance(result, RatingErrors):
            raise ParameterError(
                f"A comparison is about means over users, those of {name!r} are over pairs: RatingErrors can not be compared."
            )
        if not isinstance(result, EvaluationResult):
            raise ParameterError(
                f"The result of {name!r} must be an EvaluationResult, as recsys.evaluate returns. Got {type(result).__name__}."
            )
    stripped = [name.strip() for name in results]
    if twice := [name for place, name in enumerate(stripped) if name in stripped[:place]]:
        raise ParameterError(f"Each model needs a name of its own. Got twice, up to blanks: {quote_some(twice)}.")
    return tuple(results)


def _refuse_another_test(first: str, one: EvaluationResult, second: str, other: EvaluationResult) -> None:
    fingerprints = [result.provenance.get("test", {}).get("fingerprint") for result in (one, other)]
    if fingerprints[0] == fingerprints[1]:
        return
    shown = [str(fingerprint)[:12] if fingerprint else "unknown" for fingerprint in fingerprints]
    raise DataError(
        f"{first!r} and {second!r} were evaluated on different test data (fingerprints {shown[0]} and {shown[1]}), so their "
        "users' values are not about the same relevant items. Hint: evaluate both on the same test."
    )


def _refuse_other_settings(first: str, one: EvaluationResult, second: str, other: EvaluationResult) -> None:
    settings, others = (dict(result.provenance.get("evaluation", {})) for result in (one, other))
    names = settings.keys() | others.keys()
    free = _FREE_SETTINGS - {"random_state"} if _SAMPLED in names else _FREE_SETTINGS
    for name in sorted(names - free):
        if settings.get(name) != others.get(name):
            raise DataError(
                f"{first!r} was evaluated with {_setting(name, settings)}, {second!r} with {_setting(name, others)}, so their "
                "values do not measure the same. Hint: evaluate both in the same way."
            )
    # overlap='drop' takes from the relevant items what a model was trained on, and that may differ from model to model.
    pairs, other_pairs = (result.counts.get("pairs_relevant") for result in (one, other))
    if pairs != other_pairs and len(one.users) == len(other.users):
        raise DataError(
            f"{first!r} was evaluated on {pairs:,} relevant pairs and {second!r} on {other_pairs:,}, of the same test and as "
            "many users: a user's relevant items differ. Hint: evaluate both with overlap='keep'."
        )


def _setting(name: str, settings: Mapping[str, Any]) -> str:
    return f"{name}={settings[name]!r}" if name in settings else f"no {name!r}"


def _same_metrics(results: Mapping[str, EvaluationResult]) -> tuple[str, ...]:
    """The metrics of the first result; raises `DataError` when another has other ones."""
    (first, one), *others = results.items()
    for name, other in others:
        for has, lacks, missing in (
            (first, name, set(one.metrics) - set(other.metrics)),
            (name, first, set(other.metrics) - set(one.metrics)),
        ):
            if missing:
                raise DataError(
                    f"{has!r} was evaluated by {quote_some(sorted(missing))}, {lacks!r} was not. Hint: evaluate both by the "
                    "same metrics at the same cut-offs, or name those to compare: metrics=…"
                )
    if not one.metrics:
        raise DataError(f"The results of {quote_some(results)} have no metric with a value for each user.")
    return one.metrics


def _named_metrics(results: Mapping[str, EvaluationResult], metrics: str | Iterable[str]) -> tuple[str, ...]:
    parts = metrics.split(",") if isinstance(metrics, str) else list(metrics)
    names = [part.strip().lower().replace("-", "_") if isinstance(part, str) else part for part in parts]
    names = list(dict.fromkeys(name for name in names if name != ""))
    if not names:
        raise ParameterError("`metrics` must name at least one metric to compare, such as 'ndcg@20', or be None for all.")
    for model, result in results.items():
        if missing := [name for name in names if name not in result.metrics]:
            of_all = " It is one number over all users." if missing[0] in result.overall else ""
            raise ParameterError(
                f"The result of {model!r} has no values of users for {quote_some(missing)}.{of_all} "
                f"It has them for: {', '.join(result.metrics)}.{closest_hint(str(missing[0]), result.metrics)}"
            )
    return tuple(names)


def _columns(result: EvaluationResult, metrics: Sequence[str]) -> np.ndarray:
    if tuple(metrics) == result.metrics:
        return result.values
    return result.values[:, [result.metrics.index(metric) for metric in metrics]]


def _same_users(results: Mapping[str, EvaluationResult]) -> tuple[IdMap, list[Any]]:
    """The users, and for each result their rows; raises `DataError` when two results are about different users."""
    (first, one), *others = results.items()
    rows: list[Any] = [slice(None)]
    for name, other in others:
        if one.users == other.users:
            rows.append(slice(None))
            continue
        positions = other.users.positions(one.users, unknown="ignore")
        if (positions < 0).any() or len(one.users) != len(other.users):
            raise DataError(_other_users(first, one.users, name, other.users, positions))
        rows.append(positions)
    return one.users, rows


def _other_users(first: str, users: IdMap, second: str, others: IdMap, positions: np.ndarray) -> str:
    shared = int((positions >= 0).sum())
    only_first = len(users) - shared
    only_second = len(others) - shared
    if only_first:
        example = users.ids_at([int(np.flatnonzero(positions < 0)[0])])[0].as_py()
    else:
        example = others.ids_at([int(np.flatnonzero(users.positions(others, unknown="ignore") < 0)[0])])[0].as_py()
    return (
        f"{first!r} and {second!r} were evaluated on different users: {only_first:,} only in {first!r}, {only_second:,} only "
        f"in {second!r}, such as {example!r}. Hint: on='common' compares them on the {shared:,} that they share."
    )


def _common_users(results: Mapping[str, EvaluationResult]) -> tuple[IdMap, list[Any]]:
    """The users that all results have, in order of the first, and their rows in each. Raises `DataError` if there is none."""
    first, *others = results.values()
    rows = np.stack([np.arange(len(first.users)), *(other.users.positions(first.users, unknown="ignore") for other in others)])
    rows = rows[:, (rows >= 0).all(axis=0)]
    if not rows.shape[1]:
        raise DataError(f"The results of {quote_some(results)} share no user.")
    return first.users.subset(rows[0]), list(rows)
