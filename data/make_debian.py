"""Makes the bundled data set from the package index of a Debian system. Standard library only.

    apt-get update
    python data/make_debian.py                          # runs `apt-cache dumpavail` itself
    apt-cache dumpavail | python data/make_debian.py -  # or reads what it prints from standard input

Writes two files beside this script:

    debian-dependencies.csv.gz  package, dependency, relation: one line for each package and each package it names in
                                Pre-Depends or Depends ("depends") or only in Recommends ("recommends")
    debian-packages.csv.gz      package, section, tags (debtags, separated by spaces) of each package that some line of
                                the other file names, and that is itself in the index

Of alternatives (`a | b`) the first is taken; versions, architectures and build profiles are left out. Descriptions,
maintainers and all other fields are not read. Lines are sorted and the gzip header holds no time and no name, so the
same index gives the same bytes with the same version of zlib.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

FIELDS = {"Package", "Section", "Tag", "Pre-Depends", "Depends", "Recommends"}
RELATIONS = {"Recommends": "recommends", "Depends": "depends", "Pre-Depends": "depends"}
NAME = re.compile(r"\s*([a-z0-9][a-z0-9+.-]*)")


def read_stanzas(lines: Iterable[str]) -> Iterator[dict[str, str]]:
    """The fields of each package; stanzas end at an empty line, a line that begins with a blank continues a field."""
    stanza: dict[str, str] = {}
    field = ""
    for line in lines:
        if not line.strip():
            if "Package" in stanza:
                yield stanza
            stanza, field = {}, ""
        elif line[0] in " \t":
            if field in FIELDS:
                stanza[field] += " " + line.strip()
        else:
            field, _, value = line.partition(":")
            if field in FIELDS:
                stanza[field] = value.strip()
    if "Package" in stanza:
        yield stanza


def named_packages(relation: str) -> list[str]:
    """The first alternative of each clause: "a (>= 1) | b, c:any" gives a and c."""
    matches = (NAME.match(clause) for clause in relation.split(","))
    return [match.group(1) for match in matches if match]


def gather(lines: Iterable[str]) -> tuple[dict[tuple[str, str], str], dict[str, tuple[str, str]]]:
    """(package, dependency) → relation, and package → (section, tags), over the whole index."""
    pairs: dict[tuple[str, str], str] = {}
    packages: dict[str, tuple[str, str]] = {}
    for stanza in read_stanzas(lines):
        package = stanza["Package"]
        tags = sorted(stanza.get("Tag", "").replace(",", " ").split())
        packages[package] = (stanza.get("Section", ""), " ".join(tags))
        # In this order a dependency takes the place of a recommendation of the same package.
        for field, relation in RELATIONS.items():
            for dependency in named_packages(stanza.get(field, "")):
                if dependency != package:
                    pairs[package, dependency] = relation
    return pairs, packages


def write_csv(path: Path, header: list[str], rows: Iterable[tuple[str, ...]]) -> None:
    """Writes a gzipped CSV whose bytes depend on the rows alone."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    with open(path, "wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=9, mtime=0) as packed:
        packed.write(text.getvalue().encode("utf-8"))


def index_lines(source: str | None) -> Iterator[str]:
    """Lines of standard input ("-"), of a file, or of `apt-cache dumpavail` when there is no source."""
    if source == "-":
        yield from io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8")
    elif source is not None:
        with open(source, encoding="utf-8") as handle:
            yield from handle
    else:
        with subprocess.Popen(["apt-cache", "dumpavail"], stdout=subprocess.PIPE, encoding="utf-8") as process:
            yield from process.stdout or ()
        if process.returncode:
            raise SystemExit(f"apt-cache dumpavail failed with exit code {process.returncode}.")


def main() -> None:
    """Reads the index, writes the two files and prints what they hold."""
    parser = argparse.ArgumentParser(description="Makes the bundled data set from a Debian package index.")
    parser.add_argument("source", nargs="?", help="what `apt-cache dumpavail` printed: a file, or - for standard input")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder to write to")
    arguments = parser.parse_args()
    pairs, packages = gather(index_lines(arguments.source))
    if not pairs:
        raise SystemExit("The index names no dependencies. Hint: run apt-get update first.")
    named = {name for pair in pairs for name in pair} & packages.keys()
    dependencies = arguments.output / "debian-dependencies.csv.gz"
    features = arguments.output / "debian-packages.csv.gz"
    write_csv(dependencies, ["package", "dependency", "relation"], ((*pair, pairs[pair]) for pair in sorted(pairs)))
    write_csv(features, ["package", "section", "tags"], ((name, *packages[name]) for name in sorted(named)))
    users, items = {user for user, _ in pairs}, {item for _, item in pairs}
    print(f"{len(packages):,} packages in the index; {len(users):,} × {len(items):,} with {len(pairs):,} pairs")
    for path in (dependencies, features):
        print(f"{path}  {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
