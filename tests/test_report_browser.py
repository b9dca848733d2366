"""The report in a browser: it opens without a word on the console, its charts are drawn, and it fits a phone."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
from types import SimpleNamespace

import pandas as pd
import pytest
from conftest import random_interactions

import recsys
from recsys import split
from recsys.trainers import ALS, Popularity

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs chromium, chromium-browser or google-chrome on the PATH")

HOSTILE = "</script><script>document.documentElement.dataset.broken='yes'</script><img src=x onerror=\"this.id='broken'\">"


def opened(path, profile, *options):
    """The document as it stands after its scripts have run, and what was said on the console."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0", "--virtual-time-budget=10000"]
    command = [BROWSER, *flags, f"--user-data-dir={profile}", *options, "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def dots(figure):
    """How many dots a chart has."""
    groups = re.findall(r'<g class="mark-symbol role-mark.*?</g>', figure, flags=re.DOTALL)
    return sum(group.count("<path") for group in groups)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A result, its page with every section and with titles that want to be scripts, and what the browser made of it."""
    folder = tmp_path_factory.mktemp("browser")
    train, test = split.random(random_interactions(strings=True), test_fraction=0.3)
    asked = {"metrics": ["ndcg@10", "recall@10", "coverage@10"], "overlap": "drop"}
    model = ALS(factors=4, iterations=2).fit(train)
    titles = pd.DataFrame({"item_id": model.items.to_numpy(), "title": HOSTILE})
    result = recsys.evaluate(model, test, keep_lists=True, item_features=titles.assign(kind=HOSTILE), **asked)
    other = recsys.evaluate(Popularity().fit(train), test, **asked)
    path = result.report(folder / "report.html", compare_with={HOSTILE: other}, titles=titles)
    return SimpleNamespace(result=result, path=path, folder=folder, opened=opened(path, folder / "profile"))


def test_it_opens_in_silence_with_every_chart_drawn_and_the_numbers_of_the_result(page):
    document, said = page.opened
    assert said == []
    assert 'data-ready="yes"' in document
    figures = re.findall(r"<figure.*?</figure>", document, flags=re.DOTALL)
    assert len(figures) >= 7
    for figure in figures:
        assert 'data-drawn="yes"' in figure
        assert len(re.findall("<path", figure)) > 3
    curves = next(figure for figure in figures if 'data-chart="cutoffs"' in figure)
    n_rows = len(re.findall('<th scope="row"', curves))
    assert dots(curves) == 2 * n_rows
    assert sum(dots(figure) for figure in figures if 'data-chart="difference-0"' in figure) == 2
    table = document[document.index('id="summary-table"') :]
    for row in page.result.summary().to_dict(orient="records"):
        assert f">{row['mean']:.4f}<" in table[table.index(">" + row["metric"].replace("@", "<wbr>@") + "<") :][:200]


def test_titles_that_want_to_be_scripts_stay_text(page):
    document, _ = page.opened
    assert "data-broken" not in document
    assert 'id="broken"' not in document
    assert "&lt;/script&gt;&lt;script&gt;document.documentElement" in document


def test_nothing_is_wider_than_a_phone(page):
    path, folder = page.path, page.folder
    # A window can not be that narrow, a frame in it can.
    text = html.escape(path.read_text(encoding="utf-8"))
    script = """
      onload = () => setTimeout(() => {
        const page = document.querySelector("iframe").contentDocument.documentElement;
        document.documentElement.dataset.ready = page.dataset.ready;
        document.documentElement.dataset.widest = page.scrollWidth;
      }, 3000);
    """
    frame = folder / "frame.html"
    frame.write_text(f'<!doctype html><iframe width="360" height="800" srcdoc="{text}"></iframe><script>{script}</script>')
    document, said = opened(frame, folder / "profile")
    assert said == []
    assert 'data-ready="yes"' in document[:500]
    assert int(re.search(r'data-widest="(\d+)"', document).group(1)) <= 360
