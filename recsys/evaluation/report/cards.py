"""Where the numbers come from: the data card and the model card, from provenance. May import this folder."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from recsys.evaluation.report import wording
from recsys.evaluation.report.figure import Section
from recsys.evaluation.result import EvaluationResult
from recsys.pages.markup import Content, Safe, element

__all__ = ["about_data", "cards_section", "moment"]

Facts = Iterable[tuple[str, Content]]

_SPLIT_WORDS = {"by": "", "test_fraction": "share held out", "random_state": "seed", "n": "events a user", "cutoff": "from"}
_COUNT_WORDS = {
    "users_in_test": "Users in the test data",
    "users_evaluated": "Users evaluated",
    "users_unknown": "Users left out: unknown to the model",
    "users_without_relevant_items": "Users left out: nothing relevant",
    "users_with_short_lists": "Users with lists shorter than asked for",
    "pairs_in_test": "Pairs in the test data",
    "pairs_relevant": "Pairs that are relevant",
    "pairs_of_unknown_users": "Pairs left out: of unknown users",
    "pairs_dropped": "Pairs left out: in the model's history",
    "pairs_in_history": "Pairs that stand in the model's history",
    "pairs_with_unknown_items": "Pairs counted as misses: unknown items",
}


def cards_section(result: EvaluationResult) -> Section:
    """Both cards and what was counted."""
    model, test = result.provenance.get("model", {}), result.provenance.get("test", {})
    cards = [
        _card("Data", _data_facts(model.get("data", {}), test)),
        _card("Model", _model_facts(model)),
        _card("Counts", _counted(result.counts)),
        _card("Evaluation", _evaluation_facts(result)),
    ]
    return Section("cards", "Data and model", (element("div", *cards, class_="cards"),))


def about_data(provenance: Mapping[str, Any]) -> str:
    """What the data are called: their name, else the files they were read from; empty where nothing is recorded."""
    if name := provenance.get("dataset"):
        return str(name)
    return ", ".join(name for name in _file_names(provenance) if "." in name)


def moment(text: str) -> str:
    """`2026-03-01 14:05 UTC`; text that is no time as it is."""
    try:
        when = datetime.datetime.fromisoformat(text)
    except ValueError:
        return text
    return when.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def _card(title: str, facts: Facts) -> Safe:
    pairs = [part for name, value in facts if value for part in (element("dt", name), element("dd", value))]
    content = element("dl", *pairs) if pairs else element("p", "Nothing is recorded.", class_="small")
    return element("div", element("h3", title), content, class_="card")


def _file_names(provenance: Mapping[str, Any]) -> list[str]:
    """Names without folders: a report is shown to people who have other machines."""
    sources = provenance.get("sources", [])
    names = [source.get("path", "") if isinstance(source, Mapping) else source for source in sources]
    return [PurePath(str(name)).name for name in names if name]


def _data_facts(train: Mapping[str, Any], test: Mapping[str, Any]) -> Facts:
    origin = {**train.get("provenance", {}), **test}
    yield "Name", str(origin["dataset"]) if origin.get("dataset") else None
    yield "Source", str(origin["source"]) if origin.get("source") else None
    yield "Files", ", ".join(_file_names(origin))
    yield "Events read", wording.count(origin["rows_read"]) if isinstance(origin.get("rows_read"), int) else None
    rejected = origin.get("rejected") or {}
    yield "Rows rejected", _listed({reason: wording.count(int(n)) for reason, n in rejected.items()}) if rejected else None
    yield "Repeated events", str(origin["duplicates"]) if origin.get("duplicates") else None
    yield "Held out", _split(origin.get("split", {}))
    if "n_users" in train:
        size = f"{wording.count(train['n_users'])} users × {wording.count(train['n_items'])} items"
        yield "Trained on", f"{size}, {wording.count(train['n_interactions'])} interactions"
    yield "Fingerprint, train", _fingerprint(train)
    yield "Fingerprint, test", _fingerprint(test)


def _split(split: Mapping[str, Any]) -> str:
    known = [f"{_SPLIT_WORDS[key]} {split[key]}".strip() for key in _SPLIT_WORDS if split.get(key) is not None]
    return ", ".join(known)


def _fingerprint(data: Mapping[str, Any]) -> Safe | None:
    """The first digits, which tell data apart; the whole is in the data block of the page."""
    text = str(data.get("fingerprint") or "")
    return element("code", text[:16], title=text) if text else None


def _model_facts(model: Mapping[str, Any]) -> Facts:
    yield "Trainer", str(model.get("trainer", "")) or None
    for name, value in model.get("hyperparameters", {}).items():
        yield name, _value(value)
    training = model.get("training", {})
    yield "Epochs", _value(training.get("epochs"))
    yield "Time to train", f"{training['seconds']:,.1f} s" if "seconds" in training else None
    yield "Trained", moment(str(model["time"])) if "time" in model else None
    if folded := model.get("folded_in"):
        yield "Folded in", f"{wording.count(int(folded.get('n', 0)))} {folded.get('of', 'rows')}"
    yield "Versions", _listed(model.get("versions", {}))


def _evaluation_facts(result: EvaluationResult) -> Facts:
    settings = dict(result.provenance.get("evaluation", {}))
    yield "Items seen before", "left out of the lists" if settings.pop("exclude_seen", True) else "may be recommended again"
    words = {"raise": "refused", "drop": "taken from the relevant items", "keep": "counted as misses"}
    overlap = settings.pop("overlap", None)
    yield "Test pairs in the history", words.get(str(overlap), _value(overlap))
    yield "Intervals", f"{100 * result.confidence:g} %, BCa bootstrap over users, seed {result.random_state}"
    for name, value in settings.items():
        if name not in ("confidence", "random_state"):
            yield name, _value(value)


def _counted(counts: Mapping[str, int]) -> Facts:
    for name, value in counts.items():
        yield _COUNT_WORDS.get(name, name), wording.count(value)


def _value(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return _listed(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _listed(values: Mapping[str, Any]) -> str | None:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or None
