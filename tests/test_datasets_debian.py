"""The bundled set holds what data/README.md says, and its items are alike where a person would say so."""

from __future__ import annotations

import csv
import gzip
import hashlib
import importlib.resources
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import recsys.data
from recsys.datasets import debian_items, debian_log, load_debian
from recsys.errors import UnknownIdError

DATA = importlib.resources.files("recsys.data")
README = (DATA / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def everything():
    return load_debian()


@pytest.fixture(scope="module")
def core(everything):
    return everything.k_core(users=5, items=5)


def row_of(label: str) -> list[int]:
    cells = next(line for line in README.splitlines() if line.startswith(f"| {label}")).split("|")[2:5]
    return [int(cell.replace(",", "")) for cell in cells]


def test_the_counts_are_those_of_the_readme(everything, core):
    assert [*everything.shape, len(everything)] == row_of("all, as stored")
    assert [*core.shape, len(core)] == row_of("5-core")


def test_every_pair_stands_once_and_counts_one(everything):
    assert (everything.weights == 1).all()
    assert everything.timestamps is None


def test_ids_are_the_names_of_packages(everything):
    assert not everything.users.is_integer
    assert not everything.items.is_integer
    name = re.compile(r"[a-z0-9][a-z0-9+.-]+")
    assert all(name.fullmatch(text) for text in everything.items.to_arrow().to_pylist())


def test_the_data_say_where_they_come_from(everything):
    assert everything.provenance["dataset"] == "debian"
    assert "Debian 12" in everything.provenance["source"]


def test_a_known_package_has_its_known_dependencies(everything):
    needed = everything.filter(users=["python3-scipy"]).items.to_arrow().to_pylist()
    assert "python3-numpy" in needed
    assert "libc6" in needed


def test_packages_that_are_used_together_are_of_one_kind(core):
    """Of the ten items that share most users with python3-numpy (cosine), most are of scientific Python."""
    matrix = core.binarize().to_csr()
    together = np.asarray((matrix.T @ matrix[:, [core.items.position("python3-numpy")]]).todense()).ravel()
    cosine = together / np.sqrt(core.item_counts)
    nearest = core.items.ids_at(np.argsort(-cosine)[1:11]).to_pylist()
    assert "python3-scipy" in nearest
    assert "python3-matplotlib" in nearest
    assert sum(name.startswith("python3") for name in nearest) >= 8


def test_items_share_users_with_items_of_their_section_far_above_chance(core):
    sections = debian_items().set_index("item_id")["section"].reindex(core.items.to_numpy()).to_numpy(dtype=object)
    matrix = core.to_csr()
    together = (matrix.T @ matrix).tocoo()
    known = np.array([isinstance(section, str) for section in sections])
    rows, columns = together.coords
    keep = (rows != columns) & known[rows] & known[columns] & (together.data >= 3)
    observed = (sections[rows[keep]] == sections[columns[keep]]).mean()
    _, counts = np.unique(sections[known].astype(str), return_counts=True)
    by_chance = ((counts / counts.sum()) ** 2).sum()
    assert observed > 2 * by_chance


def test_the_features_have_one_row_a_package_and_nothing_missing(core):
    features = debian_items()
    assert list(features.columns) == ["item_id", "section", "tags"]
    assert [str(kind) for kind in features.dtypes] == ["str", "str", "str"]
    assert features["item_id"].is_unique
    assert features["item_id"].is_monotonic_increasing
    assert not features.isna().any(axis=None)
    assert (features["section"] != "").all()
    assert f"{len(features):,}" in README
    assert f"{(features['tags'] != '').sum():,} packages have some" in README
    without_features = set(core.items.to_arrow().to_pylist()) - set(features["item_id"])
    assert f"{len(without_features)} of the 5,222" in README
    game = features.set_index("item_id").loc["0ad"]
    assert game["section"] == "games"
    assert "game::strategy" in game["tags"].split()


def test_an_unknown_package_is_answered_with_the_closest_name(core):
    with pytest.raises(UnknownIdError, match="Did you mean 'libgtk-3-0'"):
        core.items.position("libgtk-3.0")


def test_the_log_is_a_file_with_the_columns_of_the_readme(everything):
    with debian_log() as path, gzip.open(path, "rt", encoding="utf-8", newline="") as handle:
        rows = list(csv.reader(handle))
    assert rows[0] == ["package", "dependency", "relation"]
    assert {relation for *_, relation in rows[1:]} == {"depends", "recommends"}
    assert rows[1:] == sorted(rows[1:])
    for relation in ("depends", "recommends"):
        assert f"`{relation}` ({sum(row[2] == relation for row in rows):,}" in README


@pytest.mark.parametrize("name", ["debian-dependencies.csv.gz", "debian-packages.csv.gz"])
def test_the_files_are_those_whose_sums_the_readme_gives(name):
    assert f"{hashlib.sha256((DATA / name).read_bytes()).hexdigest()}  {name}" in README


INDEX = """\
Package: zeta
Section: utils
Pre-Depends: init (>= 1)
Depends: alpha (>= 1.2) | other, beta:any, zeta, alpha,
 gamma [amd64]
Recommends: beta, delta
Description: not read
 Depends: nothing
Tag: role::program,
 use::testing

Package: alpha
Section: libs
Depends:
"""


def run_script(index: str, output: Path) -> subprocess.CompletedProcess[str]:
    script = Path(str(recsys.data.__file__)).with_name("make_debian.py")
    return subprocess.run(
        [sys.executable, str(script), "-", "--output", str(output)], input=index, capture_output=True, text=True, check=False
    )


def test_the_script_reads_an_index_as_the_readme_says(tmp_path):
    assert run_script(INDEX, tmp_path).returncode == 0
    log = gzip.decompress((tmp_path / "debian-dependencies.csv.gz").read_bytes()).decode()
    assert log.splitlines() == [
        "package,dependency,relation",
        "zeta,alpha,depends",
        "zeta,beta,depends",
        "zeta,delta,recommends",
        "zeta,gamma,depends",
        "zeta,init,depends",
    ]
    features = gzip.decompress((tmp_path / "debian-packages.csv.gz").read_bytes()).decode()
    assert features.splitlines() == ["package,section,tags", "alpha,libs,", "zeta,utils,role::program use::testing"]


def test_the_script_gives_the_same_bytes_twice(tmp_path):
    contents = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        folder.mkdir()
        run_script(INDEX, folder)
        contents.append([file.read_bytes() for file in sorted(folder.iterdir())])
    assert contents[0] == contents[1]
    assert contents[0][0][4:8] == b"\0\0\0\0"  # the gzip header's time


def test_the_script_refuses_an_empty_index(tmp_path):
    done = run_script("", tmp_path)
    assert done.returncode == 1
    assert "Hint: run apt-get update first" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_alternatives_versions_and_qualifiers_are_stripped():
    named_packages = runpy.run_path(str(Path(str(recsys.data.__file__)).with_name("make_debian.py")))["named_packages"]
    assert named_packages("a1 (>= 1:2~rc) | b2, libstdc++6:any (>> 3), g++ <!nocheck>, , python3.11") == [
        "a1",
        "libstdc++6",
        "g++",
        "python3.11",
    ]
