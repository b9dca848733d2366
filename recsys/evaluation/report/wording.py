"""How the report says numbers, metrics and differences in words. May import the markup of pages and evaluation's metrics."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence

from recsys.evaluation.metrics import METRICS, OverLists, PerUser

__all__ = [
    "confident",
    "count",
    "counted",
    "cutoff",
    "definition",
    "enumerated",
    "finding",
    "interval",
    "number",
    "or_none",
    "percent",
    "signed",
]

_DASH, _MINUS = "–", "−"
_HARD_SPACE = "\u00a0"
# Made of two metrics, it has no function of its own whose words could be taken.
_POPULARITY_LIFT = (
    "How much more popular what is shown is than what the same users have: the mean popularity of the first k places over that "
    'of the profiles, less 1; 0 when lists are as popular as profiles. ΔGAP of Abdollahpouri et al. 2019, "The unfairness of '
    'popularity bias in recommendation".'
)
_FINDINGS = {
    "recall": ("Of what a user took, the first {k} suggestions hold ", " on average"),
    "precision": ("Of the first {k} suggestions, ", " are right on average"),
    "hit_rate": ("Among the first {k} suggestions, ", " of users find at least one that is right"),
}


def number(value: float | None) -> str:
    """Four decimals, as `summary()` prints; a dash for what is not defined."""
    return _DASH if value is None or math.isnan(value) else f"{value:.4f}".replace("-", _MINUS)


def signed(value: float | None) -> str:
    """As `number`, with the sign in any case, and a minus as long as the plus."""
    return _DASH if value is None or math.isnan(value) else f"{value:+.4f}".replace("-", _MINUS)


def interval(low: float | None, high: float | None) -> str:
    """`0.5427 to 0.5538`."""
    return _DASH if low is None or math.isnan(low) else f"{number(low)} to {number(high)}"


def count(value: int) -> str:
    """With commas between thousands."""
    return f"{value:,}"


def percent(share: float) -> str:
    """`73 %`, with a decimal where there would be one digit only."""
    points = 100 * share
    digits = 0 if points >= 9.95 or points == 0 else 1
    return f"{points:.{digits}f}{_HARD_SPACE}%"


def confident(confidence: float) -> str:
    """`95 % interval`."""
    return f"{100 * confidence:g}{_HARD_SPACE}% interval"


def counted(value: int, noun: str) -> str:
    """`1 metric`, `1,200 users`."""
    return f"{value:,} {noun}{'' if value == 1 else 's'}"


def enumerated(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def or_none(value: float) -> float | None:
    """A number as JSON knows it: None for what is not defined."""
    return None if math.isnan(value) else float(value)


def cutoff(metric: str) -> int | None:
    """20 of "recall@20"; None where the name has none."""
    _, _, text = metric.partition("@")
    return int(text) if text.isdigit() else None


def definition(metric: str) -> str:
    """What the metric is and where it comes from: the words of the function that computes it; empty for an unknown one."""
    known = METRICS.get(metric.partition("@")[0])
    if known is None:
        return ""
    if not isinstance(known, (PerUser, OverLists)):
        return _POPULARITY_LIFT
    text = (inspect.getdoc(known.compute) or "").partition("\n\nReturns")[0]
    return " ".join(text.replace("`", "").split())


def finding(metric: str, mean: float, low: float, high: float, confidence: float) -> str:
    """What a mean says, as a sentence with its interval."""
    name = metric.partition("@")[0]
    if name not in _FINDINGS:
        sure = "" if math.isnan(low) else f" ({confident(confidence)} {interval(low, high)})"
        return f"The mean of {metric} is {number(mean)}{sure}{_scale(name)}."
    before, after = _FINDINGS[name]
    sure = "" if math.isnan(low) else f" ({confident(confidence)} {100 * low:.1f} to {100 * high:.1f}{_HARD_SPACE}%)"
    return f"{before.format(k=cutoff(metric))}{percent(mean)}{after}{sure}."


def _scale(name: str) -> str:
    """How to read a metric that judges lists; nothing for one that describes them."""
    known = METRICS.get(name)
    return ", where 1 is a perfect list and 0 one with nothing right" if known is not None and known.of_relevant else ""
