"""The page of a map in a browser: it opens in silence, draws every point, and answers to mouse, fingers, keys and search."""

import re

import numpy as np
import pandas as pd
import pytest
from chromium import BROWSER, Chromium

from recsys import Embeddings
from recsys.embeddings.mapping import EmbeddingMap

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs chromium, chromium-browser or google-chrome on the PATH")

HOSTILE = "</script><script>document.documentElement.dataset.broken='yes'</script><img src=x onerror=\"this.id='broken'\">"
COLOURED = """(() => {
  const canvas = document.querySelectorAll("canvas")[%d], { width, height } = canvas;
  const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const pixels = copy.getImageData(0, 0, width, height).data;
  let count = 0;
  for (let at = 0; at < pixels.length; at += 4) {
    const [red, green, blue] = pixels.slice(at, at + 3);
    if (Math.max(red, green, blue) - Math.min(red, green, blue) > 60) count++;
  }
  return count;
})()"""


def grid_map(n=400, *, first=0, like=None):
    """A map of n ids on a square grid, row by row from the top, each with its neighbours by number."""
    side = int(np.sqrt(n))
    ids = Embeddings.from_arrays([f"id{number}" for number in range(first, first + n)], np.zeros((n, 1)), name="item_id").ids
    places = np.stack([np.arange(n) % side, side - np.arange(n) // side], axis=1).astype(np.float32)
    near = (np.arange(n)[:, None] + np.arange(1, 9)) % n
    return EmbeddingMap(ids, places, "pca", {"embeddings": "e", "like": like}, near)


def table(n=450):
    numbers = np.arange(n)
    return pd.DataFrame(
        {
            "item_id": [f"id{number}" for number in numbers],
            "title": [HOSTILE if number == 7 else f"Thing {number}" for number in numbers],
            "kind": [HOSTILE if number % 3 == 0 else "plain" for number in numbers],
            "size": np.where(numbers == 3, np.nan, 1.5 * numbers),
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="module")
def browser(folder):
    with Chromium(folder / "profile") as opened:
        yield opened


@pytest.fixture(scope="module")
def one(folder):
    return grid_map().save_html(folder / "one.html", table=table(), title=HOSTILE)


@pytest.fixture(scope="module")
def two(folder):
    other = grid_map(400, first=50, like="e")
    return grid_map().save_html(folder / "two.html", table=table(), beside=other, names=("old", "new"))


def place_of(browser, number, view=0):
    """Where the point of grid_map with that number is on the screen, when everything is seen."""
    box = browser.ask(f"""(() => {{ const box = document.querySelectorAll("canvas")[{view}].getBoundingClientRect();
        return [box.left, box.top, box.width, box.height]; }})()""")
    step = 0.92 * min(box[2:]) / 19
    return box[0] + box[2] / 2 + (number % 20 - 9.5) * step, box[1] + box[3] / 2 + (number // 20 - 9.5) * step


def points_in_view(browser, view=0):
    return int(browser.ask(f'document.querySelectorAll("canvas")[{view}].dataset.points'))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_in_silence_and_every_point_is_drawn(browser, one, scheme):
    browser.open(one, scheme=scheme)
    assert browser.said == []
    assert points_in_view(browser) == 400
    # 400 discs of two colours; each has tens of pixels.
    assert browser.ask(COLOURED % 0) > 400 * 20
    background = browser.ask('[...document.querySelector("canvas").getContext("2d").getImageData(1, 1, 1, 1).data]')
    assert background == ([251, 252, 253, 255] if scheme == "light" else [13, 18, 24, 255])


def test_text_that_wants_to_be_a_script_stays_text(browser, one):
    browser.open(one)
    browser.mouse("moved", *place_of(browser, 7))
    browser.wait('!document.getElementById("hover").hidden')
    browser.click(*place_of(browser, 7))
    browser.wait('document.documentElement.dataset.selected === "id7"')
    assert browser.ask('document.querySelector("#hover strong").textContent') == HOSTILE
    assert browser.ask('document.querySelector("#point h2").textContent') == HOSTILE
    assert browser.ask('document.querySelector("h1").textContent') == HOSTILE
    assert browser.ask('document.documentElement.dataset.broken === undefined && !document.getElementById("broken")')
    assert browser.ask("document.images.length") == 0
    assert browser.said == []


def test_hovering_tells_a_point_and_its_columns(browser, one):
    browser.open(one)
    browser.mouse("moved", *place_of(browser, 205))
    browser.wait('!document.getElementById("hover").hidden')
    assert browser.ask('document.querySelector("#hover strong").textContent') == "Thing 205"
    assert browser.ask('[...document.querySelectorAll("#hover dl > *")].map((node) => node.textContent)') == [
        "item_id", "id205", "kind", "plain", "size", "307.5"
    ]  # fmt: skip
    browser.mouse("moved", 5, 5)
    browser.wait('document.getElementById("hover").hidden')


def test_a_click_lists_the_nearest_and_they_lead_on(browser, one):
    browser.open(one)
    browser.click(*place_of(browser, 100))
    browser.wait('document.documentElement.dataset.selected === "id100"')
    near = '[...document.querySelectorAll(".near button")].map((button) => button.textContent)'
    assert browser.ask(near) == [f"Thing {number}" for number in range(101, 109)]
    browser.ask('document.querySelector(".near button").click()')
    browser.wait('document.documentElement.dataset.selected === "id101"')
    assert points_in_view(browser) < 400
    browser.press("Escape")
    browser.wait('document.getElementById("point").hidden')


def test_search_finds_marks_and_centres(browser, one):
    browser.open(one)
    before = browser.ask(COLOURED % 0)
    browser.press("/")
    browser.type("THING 39")
    browser.wait('document.documentElement.dataset.found === "11"')
    found = '[...document.querySelectorAll("#found [role=option]")].map((option) => option.firstChild.textContent)'
    assert browser.ask(found) == ["Thing 39", *(f"Thing {number}" for number in range(390, 400))]
    assert browser.ask(COLOURED % 0) < before / 10
    browser.press("ArrowDown")
    browser.press("ArrowDown")
    browser.press("Enter")
    browser.wait('document.documentElement.dataset.selected === "id390"')
    assert browser.ask('document.getElementById("found").hidden')
    assert points_in_view(browser) < 400
    assert browser.said == []


def test_it_zooms_and_moves_by_wheel_keys_buttons_and_dragging(browser, one):
    browser.open(one)
    browser.mouse("wheel", *place_of(browser, 0), deltaX=0, deltaY=-800)
    browser.wait('Number(document.querySelector("canvas").dataset.points) < 200')
    browser.ask('document.querySelector("[data-zoom=all]").click()')
    browser.wait('document.querySelector("canvas").dataset.points === "400"')
    browser.ask('document.querySelector("canvas").focus()')
    for key in ("+", "+", "+"):
        browser.press(key)
    browser.wait('Number(document.querySelector("canvas").dataset.points) < 300')
    browser.press("0")
    browser.wait('document.querySelector("canvas").dataset.points === "400"')
    start, end = place_of(browser, 210), place_of(browser, 219)
    browser.mouse("pressed", *start)
    browser.mouse("moved", *end, buttons=1)
    browser.mouse("released", *end)
    browser.wait('Number(document.querySelector("canvas").dataset.points) < 400')
    assert browser.ask('document.documentElement.dataset.selected ?? ""') == ""


def test_colours_go_by_any_column_and_a_legend_says_which(browser, one):
    browser.open(one)
    legend = '[...document.querySelectorAll("#legend li")].map((line) => line.textContent)'
    assert browser.ask(legend) == ["plain266", f"{HOSTILE}134"]
    before = browser.ask(COLOURED % 0)
    browser.ask('document.querySelector("#legend button").click()')
    browser.wait("true")
    assert browser.ask(COLOURED % 0) < 0.8 * before
    browser.ask('(() => { const box = document.getElementById("colour"); box.value = 1;'
                ' box.dispatchEvent(new Event("change")); })()')  # fmt: skip
    browser.wait("true")
    assert browser.ask('[...document.querySelectorAll("#legend .ends span")].map((end) => end.textContent)') == [
        "0", "299", "599"
    ]  # fmt: skip
    assert "no value" in browser.ask('document.getElementById("legend").textContent')


def test_two_maps_hover_search_and_move_together(browser, two):
    browser.open(two, width=1400)
    assert [points_in_view(browser, view) for view in (0, 1)] == [400, 400]
    browser.click(*place_of(browser, 100))
    browser.wait('document.documentElement.dataset.selected === "id100"')
    heads = '[...document.querySelectorAll(".near h3")].map((head) => head.textContent)'
    assert browser.ask(heads) == ["Nearest, old", "Nearest, new"]
    before = browser.ask(COLOURED % 1)
    browser.mouse("wheel", *place_of(browser, 210), deltaX=0, deltaY=-600)
    browser.wait('Number(document.querySelectorAll("canvas")[1].dataset.points) < 300')
    assert points_in_view(browser, 0) == points_in_view(browser, 1)
    assert browser.ask(COLOURED % 1) != before
    browser.ask('document.getElementById("search").focus()')
    browser.type("id449")
    browser.press("Enter")
    browser.wait('document.documentElement.dataset.selected === "id449"')
    assert "Not on this map." in browser.ask('document.getElementById("point").textContent')
    assert "only new" in browser.ask('document.getElementById("point").textContent')
    assert browser.said == []


@pytest.mark.parametrize("name", ["one", "two"])
def test_it_fits_a_phone(browser, request, name):
    browser.open(request.getfixturevalue(name), width=360, height=740, phone=True)
    assert browser.ask("document.documentElement.scrollWidth") <= 360
    assert points_in_view(browser) == 400
    assert browser.ask(COLOURED % 0) > 400 * 5
    assert browser.said == []


def test_beyond_100_000_points_density_is_shown_until_one_zooms_in(browser, folder):
    n = 120_000
    rng = np.random.default_rng(0)
    ids = Embeddings.from_arrays(np.arange(n), np.zeros((n, 1)), name="item_id").ids
    path = EmbeddingMap(ids, rng.normal(size=(n, 2)).astype(np.float32), "pca").save_html(folder / "many.html")
    browser.open(path)
    assert browser.ask('document.querySelector("canvas").dataset.mode') == "density"
    assert "120,000 points" in browser.ask('document.querySelector(".mode").textContent')
    assert browser.ask(COLOURED % 0) > 20_000
    browser.mouse("wheel", 300, 350, deltaX=0, deltaY=-1500)
    browser.wait('document.querySelector("canvas").dataset.mode === "points"')
    assert browser.ask('document.querySelector(".mode").hidden')
    assert browser.said == []


def test_what_was_written_is_what_stands_in_the_page(browser, one):
    browser.open(one)
    note = browser.ask('document.querySelector("figcaption").textContent')
    assert re.match(r"PCA", note.strip())
    assert browser.ask('document.getElementById("summary").textContent') == "400 items"
