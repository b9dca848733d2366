"""The report: what stands on the page, that its numbers are those of the result, and that no text can break out of it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import random_interactions
from hypothesis import given
from hypothesis import strategies as st

import recsys
from recsys import split
from recsys.cli import commands
from recsys.errors import DataError, MissingExtraError, ParameterError
from recsys.evaluation import METRICS
from recsys.evaluation.report import report_page
from recsys.evaluation.report.comparing import comparison_sentences, differences_from
from recsys.evaluation.report.cutoffs import metrics_by_cutoff
from recsys.evaluation.report.distributions import popularity_classes
from recsys.evaluation.report.evidence import gather_evidence
from recsys.evaluation.report.examples import choose_examples
from recsys.evaluation.report.wording import definition
from recsys.pages.markup import Safe, element, embedded_json, joined
from recsys.trainers import ALS, Popularity

ASKED = ["ndcg@10", "recall@5", "recall@10", "novelty@5", "coverage@10"]
HOSTILE = '</script><script>document.title="broken"</script><img src=x onerror="alert(1)">&amp;\u2028'


class Reader(HTMLParser):
    """The tags of a page with their attributes, the text of each script, and the cells of each table by its id."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.tables, self.text = [], [], {}, []
        self._table = self._cell = self._in_script = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._in_script = dict(attributes) if tag == "script" else None
        if tag == "table":
            self._table = self.tables.setdefault(dict(attributes).get("id"), [])
        elif tag == "tr" and self._table is not None:
            self._table.append([])
        elif tag in ("td", "th") and self._table is not None:
            self._table[-1].append("")
            self._cell = True

    def handle_endtag(self, tag):
        self._in_script = None
        self._table = None if tag == "table" else self._table
        self._cell = None if tag in ("td", "th") else self._cell

    def handle_data(self, data):
        if self._in_script is not None:
            self.scripts.append((self._in_script, data))
            return
        self.text.append(data)
        if self._cell:
            self._table[-1][-1] += data

    def data(self, name):
        return next(json.loads(text) for attributes, text in self.scripts if attributes.get("id") == name)

    def names(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def made(*, strings=True, seed=0, **options):
    """A model, its result with lists, another model's result, and the test they are about."""
    data = random_interactions(strings=strings, seed=seed, **options)
    train, test = split.random(data, test_fraction=0.3)
    model, other = ALS(factors=4, iterations=2).fit(train), Popularity().fit(train)
    results = [recsys.evaluate(each, test, ASKED, overlap="drop", keep_lists=True) for each in (model, other)]
    return SimpleNamespace(model=model, test=test, result=results[0], other=results[1], train=train)


@pytest.fixture(scope="module")
def small():
    return made()


@pytest.fixture(scope="module")
def whole(small):
    """A page with every section."""
    return Reader(report_page(small.result, compare_with={"popularity": small.other}))


# ---- what stands there ------------------------------------------------------------------------------------------


def test_the_summary_on_the_page_is_that_of_the_result(small, whole):
    expected = small.result.summary()
    rows = whole.tables["summary-table"][1:]
    assert [row[0] for row in rows] == expected["metric"].tolist()
    assert [row[1] for row in rows] == [f"{mean:.4f}" for mean in expected["mean"]]
    intervals = zip(expected["low"], expected["high"], strict=True)
    assert [row[2] for row in rows] == ["–" if np.isnan(low) else f"{low:.4f} to {high:.4f}" for low, high in intervals]


def test_the_page_holds_the_whole_result_for_machines(small, whole):
    kept = whole.data("result")
    assert kept["compared_with"]["popularity"]["metrics"] == small.other.to_dict()["metrics"]
    assert {name: kept[name] for name in ("metrics", "counts", "model")} == {
        name: json.loads(json.dumps(small.result.to_dict()[name])) for name in ("metrics", "counts", "model")
    }


def test_every_section_is_there_and_linked_in_order(whole):
    names = ["summary", "comparison", "cutoffs", "slices", "distributions", "examples", "cards"]
    assert [attributes["id"] for attributes in whole.names("section")] == names
    links = [attributes["href"].removeprefix("#") for attributes in whole.names("a")]
    assert links[0] == "content"
    assert links[1 : 1 + len(names)] == names
    there = {attributes.get("id") for _, attributes in whole.tags}
    assert set(links) <= there


def test_each_chart_has_a_description_and_a_table_of_its_numbers(whole):
    figures = [attributes["data-chart"] for attributes in whole.names("figure")]
    assert len(figures) == len(set(figures)) >= 7
    for name in figures:
        assert whole.data(f"spec-{name}")["description"]
    assert len([attributes for attributes in whole.names("details") if attributes.get("class") == "numbers"]) == len(figures)
    heads = whole.names("th")
    assert heads
    assert all(attributes.get("scope") in ("col", "row") for attributes in heads)


def test_the_page_loads_nothing_and_names_its_scripts_by_hash(whole):
    loading = [(tag, key) for tag, attributes in whole.tags for key in attributes if key in ("src", "srcset", "data", "action")]
    assert loading == []
    assert whole.names("link") == []
    assert all(attributes["href"].startswith("#") for attributes in whole.names("a"))
    policy = next(a["content"] for a in whole.names("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "eval" not in policy
    running = [text for attributes, text in whole.scripts if attributes.get("type") != "application/json"]
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in running]
    assert re.findall(r"'sha256-([^']+)'", policy) == hashes


def test_the_page_is_small_and_the_same_each_time(small):
    pages = [report_page(small.result, compare_with={"popularity": small.other}) for _ in range(2)]
    assert pages[0] == pages[1]
    assert len(pages[0].encode()) < 1_500_000


def test_curves_are_the_summary_where_it_names_the_cutoff(small):
    curves = metrics_by_cutoff(small.result, gather_evidence(small.result, None)).set_index(["metric", "k"])
    summary = small.result.summary().set_index("metric")
    for metric, k in (("ndcg", 10), ("recall", 5), ("recall", 10)):
        found = curves.loc[(metric, k), ["mean", "low", "high"]].to_numpy(float)
        np.testing.assert_allclose(found, summary.loc[f"{metric}@{k}", ["mean", "low", "high"]].to_numpy(float))
    assert set(curves.index.get_level_values("metric")) == {"ndcg", "recall"}
    assert curves.loc["recall", "mean"].is_monotonic_increasing


def test_every_metric_has_a_definition():
    assert [name for name in METRICS if len(definition(name)) < 40] == []
    assert definition("unheard_of@3") == ""


def test_integer_ids_are_shown_as_integers():
    ground = made(strings=False)
    titles = pd.DataFrame({"item_id": ground.model.items.to_numpy(), "title": "a title"})
    text = " ".join(Reader(report_page(ground.result, titles=titles)).text)
    assert re.search(r"user 10\d\d\b(?!\.)", text)
    assert not re.search(r"\b10\d\d\.0\b", text)


def test_columns_of_users_and_items_become_slices(small):
    items, users = small.model.items.to_numpy(), small.model.users.to_numpy()
    kinds = pd.DataFrame({"item_id": items, "kind": ["<b>odd", "even"] * (len(items) // 2)})
    names = pd.DataFrame({"user_id": [*users, *(f"x{n}" for n in range(20))]}).assign(name=lambda frame: "n" + frame["user_id"])
    features = {"item_features": kinds, "user_features": names}
    page = Reader(report_page(recsys.evaluate(small.model, small.test, ["recall@5"], overlap="drop", **features)))
    assert page.data("spec-slice-items-kind")["description"] == "Dots with intervals: recall@5 in 2 slices by kind."
    assert {"<b>odd", "even"} <= {row[0] for row in page.tables[None]}
    assert "b" not in {tag for tag, _ in page.tags}


# ---- lists ------------------------------------------------------------------------------------------------------


def test_lists_that_were_not_kept_are_ranked_again_by_the_model(small):
    bare = recsys.evaluate(small.model, small.test, ASKED, overlap="drop")
    assert report_page(bare, model=small.model) == report_page(small.result)


def test_without_lists_there_are_curves_but_no_examples(small):
    page = Reader(report_page(recsys.evaluate(small.model, small.test, ASKED, overlap="drop")))
    sections = [attributes["id"] for attributes in page.names("section")]
    assert "cutoffs" in sections
    assert "examples" not in sections


def test_another_model_than_the_one_evaluated_is_refused(small):
    bare = recsys.evaluate(small.model, small.test, ASKED, overlap="drop")
    with pytest.raises(DataError, match="`model` ranks otherwise than the one .* Hint: pass the very model"):
        report_page(bare, model=Popularity().fit(small.train))
    with pytest.raises(DataError, match="`model` knows other users or items"):
        report_page(bare, model=made(strings=False).model)


def test_examples_show_what_was_known_recommended_and_taken(small):
    titles = pd.DataFrame({"item_id": small.model.items.to_numpy()})
    titles["title"] = "title of " + titles["item_id"]
    text = report_page(small.result, titles=titles)
    cards = text[text.index('class="examples"') : text.index('id="cards"')]
    users = re.findall(r"user (u\d+)</h3>", cards)
    assert len(users) == len(set(users)) == 6
    lists = small.model.recommend([users[0]], 10)["item_id"].tolist()
    card = cards[: cards.index("</article>")]
    shown = re.findall(r'class="place">\d+</span><span class="item">title of (i\d+)', card)
    assert shown == lists
    hits = [item for item in lists if item in set(small.test.filter(users=[users[0]]).items.to_numpy())]
    assert len(re.findall("✓ taken", card)) == len(re.findall("✓ place", card)) == len(hits)


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0, np.nan]), max_size=60), st.integers(0, 3))
def test_examples_are_of_different_users_and_served_in_that_order(values, seed):
    chosen = choose_examples(np.array(values), np.random.default_rng(seed))
    rows = [row for kind in chosen.values() for row in kind]
    assert len(rows) == len(set(rows)) == min(6, int((~np.isnan(values)).sum()))
    well, _, badly = ([values[row] for row in kind] for kind in chosen.values())
    assert not well or not badly or min(well) >= max(badly)


@given(st.lists(st.integers(0, 3_000), min_size=1))
def test_popularity_classes_hold_the_counts_that_their_names_say(counts):
    classes, names = popularity_classes(np.array(counts))
    for count, number in zip(counts, classes, strict=True):
        low, _, high = names[number].replace(",", "").partition("–")
        assert int(low) <= count <= int(high or low)


# ---- against others ---------------------------------------------------------------------------------------------


def test_differences_are_this_model_less_the_other(small):
    table = differences_from(small.result, "ours", {"theirs": small.other})
    for row in table.to_dict(orient="records"):
        column = small.result.metrics.index(row["metric"])
        difference = (small.result.values - small.other.values)[:, column].mean()
        assert row["difference"] == pytest.approx(difference)
        assert row["low"] <= difference <= row["high"]
        if row["outcome"] in ("better", "worse"):
            assert row["outcome"] == ("better" if difference > 0 else "worse")
    turned = differences_from(small.other, "theirs", {"ours": small.result})
    np.testing.assert_allclose(turned["difference"], -table["difference"])
    assert comparison_sentences(table, "ours", 0.95)[0].startswith("ours ")


def test_a_model_against_itself_shows_no_difference(small):
    sentences = comparison_sentences(differences_from(small.result, "a", {"b": small.result}), "a", 0.95)
    assert sentences[0] == "a shows no difference from b."
    assert "no difference could be shown" in sentences[1]


def test_two_models_can_not_have_one_name(small):
    with pytest.raises(ParameterError, match="names another model 'als'"):
        report_page(small.result, compare_with={"als": small.other})


# ---- text that wants to be more ---------------------------------------------------------------------------------


def test_no_id_title_or_name_can_break_out_of_the_page():
    ground = made(seed=3)
    users = {old: f"{old}{HOSTILE}" for old in ground.train.users.to_numpy()}
    frames = [part.to_frame().assign(user_id=lambda frame: frame["user_id"].map(users)) for part in (ground.train, ground.test)]
    train, test = (recsys.read_interactions(frame) for frame in frames)
    model = ALS(factors=2, iterations=1).fit(train)
    result = recsys.evaluate(model, test, ["recall@5"], overlap="drop", keep_lists=True)
    titles = pd.DataFrame({"item_id": model.items.to_numpy(), "title": HOSTILE})
    page = Reader(report_page(result, name=HOSTILE, compare_with={f"other {HOSTILE}": result}, titles=titles))
    assert "img" not in {tag for tag, _ in page.tags}
    running = [text for attributes, text in page.scripts if attributes.get("type") != "application/json"]
    assert len(running) == 2
    assert not any("broken" in text for text in running)
    assert page.data("result")["name"] == HOSTILE
    assert sum(HOSTILE in text for text in page.text) > 6


@given(st.text())
def test_text_is_read_back_as_it_was(text):
    page = Reader(element("p", text, title=text))
    assert "".join(page.text) == text
    assert page.tags == [("p", {"title": text})]
    assert Reader(joined(embedded_json("x", {"text": text}))).data("x") == {"text": text}


def test_only_what_is_safe_is_not_escaped():
    assert element("p", "<b>", Safe("<i>"), None) == "<p>&lt;b&gt;<i></p>"
    assert element("input", disabled=True, hidden=False, value=None, aria_label='"') == '<input disabled aria-label="&quot;">'


# ---- few data, bad input ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_users", [1, 2, 7])
def test_a_handful_of_users_gets_a_page_with_a_warning(small, n_users):
    few = small.test.filter(users=small.result.users.to_numpy()[:n_users])
    result = recsys.evaluate(small.model, few, ["mrr@10"], overlap="drop", keep_lists=True)
    page = Reader(report_page(result))
    assert f"Only {n_users} users were evaluated" in " ".join(page.text).replace("1 user was", "1 users were")


def test_a_result_without_values_of_users_gets_a_page(small):
    result = recsys.evaluate(small.model, small.test, ["coverage@10"], overlap="drop", keep_lists=True)
    page = Reader(report_page(result))
    assert page.tables["summary-table"][1][0] == "coverage@10"


def test_a_page_is_written_whole_and_not_over_another(small, tmp_path):
    path = tmp_path / "report.html"
    assert small.result.report(path, name="first") == path
    before = path.read_text(encoding="utf-8")
    assert before.startswith("<!doctype html>")
    with pytest.raises(ParameterError, match=r"report\.html already exists"):
        small.result.report(path)
    with pytest.raises(ParameterError, match="names another model"):
        small.result.report(path, compare_with={"als": small.other}, overwrite=True)
    assert path.read_text(encoding="utf-8") == before
    small.result.report(path, overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize("module", ["altair", "vl_convert"])
def test_without_the_extra_it_says_which_one(small, tmp_path, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'recsys\[report\]'"):
        small.result.report(tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("titles", "error", "message"),
    [
        (pd.DataFrame({"item_id": ["i1"], "name": ["x"]}), ParameterError, "columns item_id and title. Got 'item_id', 'name'"),
        ({"i1": "x"}, ParameterError, "columns item_id and title. Got dict"),
        (pd.DataFrame({"item_id": ["i1", "i1"], "title": ["x", "y"]}), DataError, "Items named twice: 'i1'"),
        (pd.DataFrame({"item_id": [1], "title": ["x"]}), DataError, "names no item of the model. Its ids are such as 1, "),
    ],
)
def test_titles_that_can_not_be_used_are_named(small, titles, error, message):
    with pytest.raises(error, match=message):
        report_page(small.result, titles=titles)


def test_titles_without_lists_are_refused(small):
    bare = recsys.evaluate(small.model, small.test, ["recall@5"], overlap="drop")
    with pytest.raises(ParameterError, match="`titles` are for examples of lists. Hint: evaluate with keep_lists=True"):
        report_page(bare, titles=pd.DataFrame({"item_id": ["i1"], "title": ["x"]}))


# ---- the command ------------------------------------------------------------------------------------------------


def call(*arguments):
    return CliRunner().invoke(commands, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def places(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    small.model.save(folder / "als")
    Popularity().fit(small.train).save(folder / "popularity")
    small.test.save(folder / "test")
    items = small.model.items.to_numpy()
    pd.DataFrame({"item_id": items, "name": [f"Title {item}" for item in items]}).to_csv(folder / "titles.csv", index=False)
    pd.DataFrame({"item_id": items, "kind": "all"}).to_parquet(folder / "kinds.parquet")
    return folder


def test_the_command_writes_the_page_with_titles_slices_and_comparison(places, tmp_path):
    page = tmp_path / "page.html"
    arguments = ["--compare-with", places / "popularity", "--item-titles", places / "titles.csv"]
    arguments += ["--item-features", places / "kinds.parquet", "--metrics", "ndcg@5", "--html", page, "--json"]
    done = call("evaluate", places / "als", "--test", places / "test", *arguments)
    assert done.exit_code == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["html"] == str(page)
    read = Reader(page.read_text(encoding="utf-8"))
    assert read.data("result")["metrics"] == said["report"]["metrics"]
    assert list(read.data("result")["compared_with"]) == ["popularity"]
    assert any(text.startswith("Title i") for text in read.text)
    assert "slice-items-kind" in [attributes["data-chart"] for attributes in read.names("figure")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--item-titles", "titles.csv"], "Error: --compare-with and --item-titles need --html."),
        (["--html", "test/page.html"], "test/page.html can not be written"),
        (["--html", "page.html", "--compare-with", "als"], "als would be compared with itself. Hint: name each model once."),
        (["--html", "page.html", "--item-titles", "kinds.parquet"], "kinds.parquet has neither a column 'title' nor 'name'."),
        (["--html", "page.html", "--item-titles", "none.csv"], "none.csv can not be read as a table"),
        (["--html", "page.html", "--compare-with", "none"], "none does not exist."),
    ],
)
def test_the_command_says_what_is_wrong_and_writes_nothing(places, monkeypatch, options, message):
    monkeypatch.chdir(places)
    before = sorted(path.name for path in places.iterdir())
    done = call("evaluate", "als", "--test", "test", *options)
    assert done.exit_code == 2
    assert message in done.stderr
    assert sorted(path.name for path in places.iterdir()) == before
