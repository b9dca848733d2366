"""`recsys datasets`: the well-known public sets, and fetching one of them."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from typing import Any

import click

from recsys.datasets import cache_directory, public_dataset, public_datasets, read_public
from recsys.datasets import fetch as fetch_archive
from recsys.errors import ParameterError
from recsys.jobs.ingest import DatasetWritten, write_dataset
from recsys.jobs.report import Clock, bytes_in_words, seconds_in_words, size_of
from recsys.jobs.terminal import print_table, say
from recsys.storage import refuse_existing

__all__ = ["Fetched", "PublicSets", "fetch", "list_datasets"]


@dataclass(frozen=True)
class PublicSets:
    """The public sets that can be fetched, as `recsys.datasets.PublicDataset` describes them."""

    datasets: list[dict[str, Any]]

    def show(self) -> None:
        """A table on standard output."""
        rows = [(each["name"], bytes_in_words(each["bytes"]), each["description"], each["licence"]) for each in self.datasets]
        print_table(("name", "size", "what", "licence"), rows, title="recsys datasets fetch NAME")


@dataclass(frozen=True)
class Fetched:
    """An archive in the cache whose SHA-256 was verified, and the dataset made of it where one was asked for."""

    name: str
    archive: str
    bytes: int
    sha256: str
    dataset: DatasetWritten | None
    seconds: float

    def show(self) -> None:
        """Where the archive is and what was made of it, on standard output."""
        say(f"{self.archive} ({bytes_in_words(self.bytes)}) is complete, in {seconds_in_words(self.seconds)}.")
        if self.dataset is None:
            say(f"Hint: recsys datasets fetch {self.name} --output DATASET makes a dataset of it.")
        else:
            self.dataset.show()


def list_datasets() -> PublicSets:
    """What there is to fetch."""
    return PublicSets([asdict(each) for each in public_datasets()])


def fetch(
    name: str, *, output: str | None = None, yes: bool = False, overwrite: bool = False, progress: bool = False
) -> Fetched:
    """Downloads a public set into the cache, unless it is there, and writes its events as a dataset if `output` is given.

    Where from, how large and under which terms is shown first, on standard error, and has to be agreed to unless `yes`.
    """
    clock = Clock()
    known = public_dataset(name)
    if output is not None:
        refuse_existing(output, "dataset", overwrite=overwrite)
    say(f"{known.name}: {known.description}", on_stderr=True)
    say(f"  from      {known.url}\n  size      {bytes_in_words(known.bytes)}\n  SHA-256   {known.sha256}", on_stderr=True)
    say(f"  into      {cache_directory()}\n  licence   {known.licence}\n  cite      {known.citation}", on_stderr=True)
    if not yes:
        _ask("Download it under these terms?")
    archive = fetch_archive(known, progress=progress)
    written = None
    if output is not None:
        written = write_dataset(read_public(known, progress=progress), output, Clock(), overwrite=overwrite)
    return Fetched(name, str(archive), size_of(archive), known.sha256, written, clock.seconds)


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise ParameterError("Nobody is there to agree to the download: standard input is not a terminal. Hint: pass --yes.")
    if not click.confirm(question, err=True):
        raise ParameterError("Nothing was downloaded.")
