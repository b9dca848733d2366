"""`recsys demo`: the whole way on the bundled data, as a person would go it: ingest, split, train, evaluate, recommend, show.

The data: which Debian packages need which others. A package is a user, what it needs are its items.
"""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recsys.datasets import debian_log
from recsys.errors import ParameterError
from recsys.interactions import Interactions
from recsys.jobs.evaluate import Evaluation, evaluate
from recsys.jobs.ingest import ingest
from recsys.jobs.recommend import recommend
from recsys.jobs.report import Clock, bytes_in_words, seconds_in_words, size_of, write_json
from recsys.jobs.split import split
from recsys.jobs.terminal import print_table, say
from recsys.jobs.train import train
from recsys.model import Model
from recsys.storage import write_file

__all__ = ["Demo", "demo"]

METRICS = ("recall@20", "ndcg@20", "hit_rate@10")
# Packages whose neighbours and needs anybody who knows Debian can judge; those that the data do not have are passed over.
LIKE = ("libgtk-3-0", "python3-numpy", "texlive-latex-base", "libqt5core5a", "default-jre")
USERS = ("audacity", "rhythmbox", "gimp", "calibre")
LIST_LENGTH = 8

FILES = {
    "dataset": "the interactions",
    "train": "the part that was learnt from",
    "test": "the part that was held out",
    "model": "the ALS model",
    "popularity": "the most-popular baseline",
    "metrics.json": "the quality of ALS",
    "metrics-popularity.json": "the quality of the baseline",
    "recommendations.parquet": "what belongs to every package",
    "recommendations.csv": "the same as text",
}


@dataclass(frozen=True)
class Demo:
    """What the demo did: the result of each step's job by name, lists to judge by eye, and where the files are."""

    output: str
    steps: dict[str, dict[str, Any]]
    similar: dict[str, list[str]]
    belongs: dict[str, list[str]]
    files: dict[str, str]
    seconds: float

    def show(self) -> None:
        """Where the files are, on standard output."""
        rows = [(path, bytes_in_words(size_of(path)), FILES[name]) for name, path in self.files.items()]
        print_table(("file", "size", "what"), rows, title="Files")
        say(f"Done in {seconds_in_words(self.seconds)}. Next: recsys info {self.files['model']}")


class _Steps:
    """Runs jobs one after the other, says what they did and keeps what they returned."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.results: dict[str, dict[str, Any]] = {}

    def do(self, name: str, job: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        result = job(*arguments, **options)
        self.results[name] = asdict(result)
        if self.quiet:
            say(f"[{name}] done", on_stderr=True)
        elif not isinstance(result, Evaluation):  # two of them stand side by side in one table
            say(f"\n[{name}]")
            result.show()
        return result


def demo(*, output: str = "recsys-demo", progress: bool = False, quiet: bool = False) -> Demo:
    """Goes the whole way and writes everything into the folder `output`; what an earlier demo wrote there is replaced.

    quiet : nothing is said on standard output, as beside a JSON result.
    """
    clock = Clock()
    _prepare(output)
    if not quiet:
        say("Which Debian packages need which others: a package is a user, the packages it needs are its items.")
    place = {name: str(Path(output) / name) for name in FILES}
    steps = _Steps(quiet)
    again = {"overwrite": True, "progress": progress}
    with debian_log() as log:
        options = {"user": "package", "item": "dependency", "min_user_interactions": 5, "min_item_interactions": 5}
        steps.do("ingest", ingest, [str(log)], output=place["dataset"], **options, **again)
    parts = {"train": place["train"], "test": place["test"]}
    steps.do("split", split, place["dataset"], by="random", **parts, overwrite=True)
    steps.do("train", train, place["train"], output=place["model"], **again)
    steps.do("train the baseline", train, place["train"], output=place["popularity"], trainer="popularity", **again)
    _evaluate_both(steps, place, again)
    for name in ("recommendations.parquet", "recommendations.csv"):
        steps.do(f"recommend, {Path(name).suffix}", recommend, place["model"], output=place[name], **again)
    similar, belongs = _lists_to_judge(place["model"], place["test"], quiet)
    done = Demo(output, steps.results, similar, belongs, place, clock.seconds)
    _mark(output, asdict(done))
    return done


def _evaluate_both(steps: _Steps, place: dict[str, str], again: dict[str, Any]) -> None:
    options = {"test": place["test"], "metrics": METRICS, **again}
    als = steps.do("evaluate", evaluate, place["model"], output=place["metrics.json"], **options)
    name = "metrics-popularity.json"
    popularity = steps.do("evaluate the baseline", evaluate, place["popularity"], output=place[name], **options)
    if not steps.quiet:
        _show_quality(als, popularity)


def _prepare(output: str) -> None:
    folder = Path(output)
    if folder.exists() and not (folder.is_dir() and (_is_ours(folder) or not os.listdir(folder))):
        raise ParameterError(
            f"{output} already exists and was not written by this demo. Hint: name another place with --output."
        )
    _mark(output, {"state": "started"})


def _is_ours(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / "demo.json").read_text(encoding="utf-8"))["format"] == "recsys-demo")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _mark(output: str, content: dict[str, Any]) -> None:
    with write_file(Path(output) / "demo.json") as temporary:
        write_json(temporary, {"format": "recsys-demo", **content})


def _show_quality(als: Evaluation, popularity: Evaluation) -> None:
    rows = [
        (ours["metric"], _with_interval(ours), _with_interval(theirs), f"{ours['mean'] / theirs['mean']:.1f} ×")
        for ours, theirs in zip(als.metrics, popularity.metrics, strict=True)
    ]
    say("\n[evaluate]")
    print_table(("metric", "ALS [95 % interval]", "most popular [95 % interval]", "gain"), rows)
    say(f"Over {als.metrics[0]['n_users']:,} packages, in {seconds_in_words(als.seconds + popularity.seconds)}.")


def _with_interval(row: dict[str, Any]) -> str:
    return f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def _lists_to_judge(model: str, test: str, quiet: bool) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    loaded, held_out = Model.load(model), Interactions.load(test)
    items = [item for item in LIKE if item in loaded.items][:3]
    nearest = loaded.similar_items(items, LIST_LENGTH)
    similar = {item: nearest.loc[nearest["item_id"] == item, "similar_item_id"].tolist() for item in items}
    user = next(user for user in (*USERS, *held_out.users.to_numpy()) if user in held_out.users)
    uses = loaded.history.filter(users=[user]).items.to_numpy().tolist()
    hidden = held_out.filter(users=[user]).items.to_numpy().tolist()
    belongs = loaded.recommend([user], LIST_LENGTH)["item_id"].tolist()
    if not quiet:
        say("\n[show]")
        for item, like in similar.items():
            _say_list(f"More like {item}", like)
        _say_list(f"{user} uses these packages", uses)
        _say_list("and these, which were held out", hidden)
        _say_list("What else belongs with them? (* one of those held out)", _starred(belongs, hidden))
        say("")
    return similar, {user: belongs}


def _starred(found: Iterable[str], hidden: list[str]) -> list[str]:
    return [f"{item}*" if item in hidden else item for item in found]


def _say_list(title: str, names: list[str]) -> None:
    say(f"{title}:")
    say(textwrap.fill(", ".join(names), 110, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False))
