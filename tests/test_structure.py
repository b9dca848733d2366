"""The house rules that a test can hold: who may import whom, what is imported when, what the sources must not say."""

import ast
import configparser
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

import recsys

ROOT = Path(__file__).parents[1]

# Lowest layer first: a room may import rooms before it, never after it.
ROOMS = [
    ["errors"],
    ["pages", "parallel", "progress", "times", "weighting"],
    ["ids"],
    ["storage"],
    ["kernels"],
    ["features"],
    ["interactions"],
    ["split"],
    ["ingest"],
    ["datasets"],
    ["fold_in"],
    ["retrieval"],
    ["embeddings"],
    ["recommending"],
    ["model"],
    ["trainers"],
    ["adopting"],
    ["evaluation"],
    ["blending", "bridging", "sizing"],
    ["tuning"],
    ["loading"],
    ["testing"],
    ["jobs"],
    ["cli_options"],
    ["cli_store"],
    ["cli_datasets"],
    ["cli_embeddings"],
    ["cli"],
]
LAYER = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}


def modules():
    for path in sorted((ROOT / "recsys").rglob("*.py")):
        room = path.relative_to(ROOT / "recsys").parts[0].removesuffix(".py")
        if room != "__init__":
            yield room, path


def imported_rooms(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("recsys"):
            parts = node.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from [alias.name.split(".")[1] for alias in node.names if alias.name.startswith("recsys.")]


def test_every_room_is_on_the_plan():
    assert {room for room, _ in modules()} == set(LAYER)


@pytest.mark.parametrize(("room", "path"), list(modules()), ids=lambda value: str(value).removeprefix(str(ROOT)))
def test_imports_go_down_only(room, path):
    # Jobs and the command line read the public names of the package itself, which lead everywhere.
    above = [other for other in imported_rooms(path) if other in LAYER and other != room and LAYER[other] >= LAYER[room]]
    assert above == []


def test_every_file_says_in_its_first_lines_what_lives_there():
    silent = [
        path for _, path in modules() if not (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").strip()
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("statement", "never"),
    [
        ("import recsys", {"numpy", "pandas", "numba", "implicit", "lightfm", "polars"}),
        ("import recsys; recsys.ALS; recsys.read_interactions; recsys.evaluate", {"implicit", "lightfm", "polars", "sklearn"}),
        ("import recsys.cli", {"numpy", "pandas", "numba", "scipy", "pyarrow"}),
    ],
)
def test_what_is_not_used_is_not_imported(statement, never):
    program = f"import sys; {statement}; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not never & set(loaded)


def setup_options():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_every_package_is_installed():
    listed = setup_options()["options"]["packages"].split()
    found = [".".join(path.relative_to(ROOT).parent.parts) for path in (ROOT / "recsys").rglob("__init__.py")]
    assert sorted(listed) == sorted([*found, "recsys.data"])


def test_every_file_beside_the_code_is_installed():
    patterns = {name: words.split(", ") for name, words in setup_options()["options.package_data"].items()}
    others = [path for path in (ROOT / "recsys").rglob("*.*") if path.suffix not in (".py", ".pyc", ".nbi", ".nbc")]
    assert others
    for path in others:
        package = ".".join(path.relative_to(ROOT).parent.parts)
        assert any(fnmatch(path.name, pattern) for pattern in patterns.get(package, ())), path


def test_public_names_are_there_and_documented():
    for name in recsys.__all__:
        assert getattr(recsys, name).__doc__


def test_the_version_is_the_one_of_the_package():
    from importlib.metadata import version

    assert recsys.__version__ == version("recsys")
