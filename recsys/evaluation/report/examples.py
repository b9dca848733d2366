"""Lists of single users: some who were served well, some as most are, some badly. May import the rest of evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recsys.evaluation.report import wording
from recsys.evaluation.report.evidence import Evidence, Shown
from recsys.evaluation.report.figure import Section
from recsys.evaluation.report.titles import Titles, shortened
from recsys.evaluation.result import EvaluationResult
from recsys.pages.markup import Content, Safe, element

__all__ = ["choose_examples", "examples_section"]

KINDS = ("Served well", "Typical", "Served badly")
_EACH = 2
_LONGEST_LIST = 10
_LONGEST_HISTORY = 8
_LONGEST_TAKEN = 10


def choose_examples(values: np.ndarray, rng: np.random.Generator, each: int = _EACH) -> dict[str, list[int]]:
    """Rows of up to `each` users of each kind, nobody twice: drawn from the best tenth, the tenth around the median, the worst.

    Drawn, not picked: the best list of all would say little. Where many have the same value, chance breaks the tie.
    """
    shuffled = rng.permutation(np.flatnonzero(~np.isnan(values)))
    order = shuffled[np.argsort(-values[shuffled], kind="stable")]
    size = max(each, len(order) // 10)
    middle = max(0, len(order) // 2 - size // 2)
    groups = dict(zip(KINDS, (order[:size], order[middle : middle + size], order[::-1][:size]), strict=True))
    taken: set[int] = set()
    chosen = {}
    # Of few users the extremes say more than the middle.
    for kind in (KINDS[0], KINDS[2], KINDS[1]):
        free = [int(row) for row in groups[kind] if int(row) not in taken]
        drawn = rng.permutation(len(free))[:each]
        chosen[kind] = sorted((free[place] for place in drawn), key=lambda row: -values[row])
        taken |= set(chosen[kind])
    return {kind: chosen[kind] for kind in KINDS}


def examples_section(result: EvaluationResult, evidence: Evidence, shown: Shown, titles: Titles) -> Section:
    """For each chosen user: what the model was shown, what it recommended, what the user took."""
    users = _Users(result, evidence, shown, titles)
    chosen = choose_examples(result.values[:, 0], np.random.default_rng(result.random_state))
    cards = [_card(kind, row, users) for kind, rows in chosen.items() for row in rows]
    text = (
        f"Drawn at random from the tenth of users with the highest {result.metrics[0]}, the tenth around the median, and the "
        "tenth with the lowest."
    )
    return Section("examples", "Examples", (element("p", text), element("div", *cards, class_="examples")))


@dataclass(frozen=True)
class _Users:
    """What the columns of a card look at."""

    result: EvaluationResult
    evidence: Evidence
    shown: Shown
    titles: Titles

    def places(self, row: int) -> dict[int, int]:
        """The items recommended to a user, by position, and the place of each in the list, from 1."""
        listed = self.shown.lists.positions[row, : int(self.shown.lists.counts[row])]
        return {int(item): place for place, item in enumerate(listed, start=1)}

    @property
    def depth(self) -> int:
        """How many places the metric looks at: what stands further down is not counted as right."""
        return min(wording.cutoff(self.result.metrics[0]) or self.evidence.depth, self.evidence.depth)


def _card(kind: str, row: int, users: _Users) -> Safe:
    user = str(users.result.users.ids_at([row])[0].as_py())
    value = f"{users.result.metrics[0]} {wording.number(users.result.values[row, 0])}"
    head = element("header", element("h3", f"{kind}: user {shortened(user)}"), element("p", value, class_="small"))
    lists = element("div", _history(row, users), _recommended(row, users), _taken(row, users), class_="lists")
    return element("article", head, lists, class_="example")


def _history(row: int, users: _Users) -> Safe:
    """The latest events where there are times, else the weightiest, then the rarest, which say most about a user."""
    history, position = users.shown.history, users.evidence.relevance.user_positions[row]
    entries = slice(int(history.indptr[position]), int(history.indptr[position + 1]))
    items, weights = history.indices[entries], history.weights[entries]
    if history.timestamps is not None:
        order, which = np.argsort(-history.timestamps[entries], kind="stable"), "latest first"
    else:
        order = np.lexsort((history.item_counts[items], -weights))
        which = "most weight first" if len(weights) and weights.min() < weights.max() else "rarest first"
    shown = [element("li", _named(item, users)) for item in items[order][:_LONGEST_HISTORY]]
    heading = f"Known to the model: {wording.count(len(items))}{f', {which}' if len(items) > 1 else ''}"
    return _column(heading, "ul", shown, len(items))


def _recommended(row: int, users: _Users) -> Safe:
    relevant = set(map(int, users.evidence.relevant_to(row)))
    listed = list(users.places(row))[: users.depth]
    shown = [
        element(
            "li",
            element("span", str(place), class_="place"),
            _named(item, users),
            element("span", "✓ taken", class_="mark") if item in relevant else None,
            class_="hit" if item in relevant else None,
        )
        for place, item in enumerate(listed[:_LONGEST_LIST], start=1)
    ]
    heading = f"Recommended: {len(relevant.intersection(listed))} of {len(listed)} were right"
    return _column(heading, "ol", shown, len(listed))


def _taken(row: int, users: _Users) -> Safe:
    """What was held out: what was found in the order of the list, then the rest."""
    places = users.places(row)
    taken = sorted(map(int, users.evidence.relevant_to(row)), key=lambda item: places.get(item, len(places) + 1))
    shown = []
    for item in taken[:_LONGEST_TAKEN]:
        place = places.get(item)
        is_hit = place is not None and place <= users.depth
        shown.append(element("li", _named(item, users), _fate(item, place, users), class_="hit" if is_hit else None))
    return _column(f"Taken in the test: {wording.count(len(taken))}", "ul", shown, len(taken))


def _fate(item: int, place: int | None, users: _Users) -> Safe:
    """Where the item was found, if it was."""
    if place is not None:
        hit = place <= users.depth
        return element("span", f"✓ place {place}" if hit else f"place {place}", class_="mark" if hit else "miss")
    known = item < users.evidence.relevance.n_known_items
    return element("span", "not found" if known else "unknown", class_="miss")


def _named(item: int, users: _Users) -> Safe:
    return element("span", users.titles.to_html(int(item)), class_="item")


def _column(heading: str, kind: str, shown: Sequence[Content], total: int) -> Safe:
    more = total - len(shown)
    rest = element("p", f"and {wording.count(more)} more", class_="more small") if more > 0 else None
    return element("div", element("h4", heading), element(kind, *shown) if shown else None, rest)
