"""The versioned store beside a Parquet file: publishing, reading all, reading few ids; seconds, bytes read and bytes on disk.

    python tests/benchmarks/bench_store.py [--rows 1000000] [--dim 128] [--wanted 1000] [--repeats 3] [--quick] [--json FILE]

publish: the first version; a second one with what goes with it: contract, alignment with its parent, drift by 1,000 ids, and
the writing. Beside it Embeddings.to_file of a Parquet file, pyarrow writing the same columns uncompressed, and as a floor numpy
writing the bare vectors. The store also takes a SHA-256 over all, whose seconds are shown.
get: the ids that were asked for, drawn anew each time, and one id alone. Beside it reading the whole Parquet file and choosing,
and Lance's own filter `id IN (…)` without and with a B-tree index over the ids. Bytes read are counted by Lance and, of the
Parquet file, its size. Each get finds the same vectors; nothing else is asserted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.embeddings import Embeddings, open_store
from recsys.embeddings.store.lance_table import LanceTable
from recsys.embeddings.store.snapshots import Versions
from recsys.jobs.report import size_of
from recsys.parallel import available_cpus


def main() -> None:
    """Measures all, printing each line when it is known."""
    options = parse()
    print(f"{available_cpus()} processors; load before the start {os.getloadavg()[0]:.1f}, which should be near 0")
    first, second = drawn(options.rows, options.dim)
    with tempfile.TemporaryDirectory() as folder:
        found = {
            "publish": measure_publishing(Path(folder), first, second),
            "get": measure_getting(Path(folder), first, options.wanted, options.repeats),
        }
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    """The options; --quick makes all small."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--wanted", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="50,000 rows, one repeat")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.repeats = 50_000, 1
    return options


def drawn(rows: int, dim: int) -> tuple[Embeddings, Embeddings]:
    """Vectors of a long-tailed spectrum with ids in no order, and the same turned, with noise."""
    generator = np.random.default_rng(0)
    spectrum = (1 / np.sqrt(1 + np.arange(dim))).astype(np.float32)
    vectors = generator.standard_normal((rows, dim), dtype=np.float32) * spectrum
    ids = generator.permutation(10 * rows)[:rows]
    rotation = np.linalg.qr(generator.standard_normal((dim, dim)))[0].astype(np.float32)
    first = Embeddings.from_arrays(ids, vectors, name="item_id")
    noise = generator.standard_normal((rows, dim), dtype=np.float32) * (0.2 * spectrum)
    return first, Embeddings(first.ids, (vectors + noise) @ rotation)


def seconds_of(work: Callable[[], Any]) -> tuple[float, Any]:
    """Wall-clock seconds, and what came of it."""
    start = time.perf_counter()
    done = work()
    return time.perf_counter() - start, done


def line(found: list[dict[str, Any]], what: str, seconds: float, bytes_: int, floor: float) -> None:
    """Prints a line and keeps it."""
    print(f"  {what:<62}{seconds:9.3f} s {seconds / floor:7.2f} × {bytes_ / 1e6:10.2f} MB", flush=True)
    found.append({"what": what, "seconds": seconds, "ratio": seconds / floor, "bytes": bytes_})


def measure_publishing(folder: Path, first: Embeddings, second: Embeddings) -> list[dict[str, Any]]:
    """Seconds and bytes on disk; ratios to numpy writing the bare vectors."""
    print(f"publish {len(first):,} × {first.dim}: seconds, over numpy's writing of the vectors; bytes on disk")
    found: list[dict[str, Any]] = []
    floor, _ = seconds_of(lambda: np.save(folder / "vectors.npy", first.vectors))
    line(found, "numpy.save of the vectors alone", floor, size_of(folder / "vectors.npy"), floor)
    (folder / "vectors.npy").unlink()
    bare = arrow_table(first)
    seconds, _ = seconds_of(lambda: pq.write_table(bare, folder / "bare.parquet", compression="none", use_dictionary=False))
    line(found, "pyarrow: Parquet, not compressed", seconds, size_of(folder / "bare.parquet"), floor)
    (folder / "bare.parquet").unlink()
    seconds, _ = seconds_of(lambda: first.to_file(folder / "items.parquet"))
    line(found, "Embeddings.to_file: Parquet, zstd", seconds, size_of(folder / "items.parquet"), floor)
    store = open_store(folder / "items.lance")
    seconds, _ = seconds_of(lambda: store.publish(first, tag="production"))
    size = size_of(folder / "items.lance")
    line(found, "store.publish: the first version", seconds, size, floor)
    seconds, _ = seconds_of(lambda: first.fingerprint)
    line(found, "  of which SHA-256", seconds, 0, floor)
    seconds, version = seconds_of(lambda: store.publish(second, align=True, drift_sample=0))
    line(found, "store.publish: a second, aligned", seconds, size_of(folder / "items.lance") - size, floor)
    size = size_of(folder / "items.lance")
    seconds, version = seconds_of(lambda: store.publish(second, parent=1, align=True))
    line(found, "store.publish: a third, aligned, drift by 1,000 ids", seconds, size_of(folder / "items.lance") - size, floor)
    print(f"    residual {version.alignment['residual']:.3f}, neighbours kept {version.drift['overlap']:.3f}")
    return found


def arrow_table(embeddings: Embeddings) -> pa.Table:
    """The two columns."""
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(embeddings.vectors.reshape(-1)), embeddings.dim)
    return pa.table({"item_id": embeddings.ids.to_arrow(), "vector": vectors})


def measure_getting(folder: Path, first: Embeddings, wanted: int, repeats: int) -> list[dict[str, Any]]:
    """Seconds and bytes read; ratios to reading the whole Parquet file."""
    print("get: seconds, over reading the whole Parquet file; bytes read")
    found: list[dict[str, Any]] = []
    floor, whole = seconds_of(lambda: Embeddings.from_file(folder / "items.parquet"))
    line(found, "Embeddings.from_file: the whole Parquet file", floor, size_of(folder / "items.parquet"), floor)
    del whole
    snapshot = Versions(LanceTable(folder / "items.lance")).of("production")
    seconds, all_of_it = seconds_of(snapshot.embeddings)
    line(found, "store.get: the whole version", seconds, read_bytes(snapshot.dataset), floor)
    del all_of_it
    lance.write_dataset(arrow_table(first), folder / "indexed.lance").create_scalar_index("item_id", "BTREE")
    places = {
        "store.get(ids=…)": lambda ids: store_answer(folder, ids),
        "Lance: filter over the store's table, no index": lambda ids: filtered(folder / "items.lance", ids, 1),
        "Lance: filter, B-tree over ids in no order": lambda ids: filtered(folder / "indexed.lance", ids, None),
    }
    for count in (wanted, 1):
        for what, answer in places.items():
            seconds, bytes_ = answered(first, answer, count, repeats)
            line(found, f"{what}: {count:,} of {len(first):,}", seconds, bytes_, floor)
    return found


def answered(first: Embeddings, answer: Callable[[list[int]], Any], count: int, repeats: int) -> tuple[float, int]:
    """Median seconds and bytes of ids drawn anew, each checked."""
    generator, measured = np.random.default_rng(1), []
    for _ in range(repeats):
        positions = generator.choice(len(first), count, replace=False)
        ids = first.ids.ids_at(positions).to_pylist()
        seconds, (vectors, bytes_) = seconds_of(lambda: answer(ids))  # noqa: B023  # called before the next turn
        if not np.array_equal(vectors, first.vectors[positions]):
            raise SystemExit("Other vectors were found than those that were published.")
        measured.append((seconds, bytes_))
    return statistics.median(seconds for seconds, _ in measured), measured[-1][1]


def store_answer(folder: Path, ids: list[int]) -> tuple[np.ndarray, int]:
    """As `EmbeddingStore.get` does it, opening the store anew."""
    snapshot = Versions(LanceTable(folder / "items.lance")).of("production")
    return snapshot.take(ids, "raise").vectors, read_bytes(snapshot.dataset)


def filtered(place: Path, ids: list[int], version: int | None) -> tuple[np.ndarray, int]:
    """As Lance's users do it."""
    dataset = lance.dataset(place, version=version)
    condition = f"item_id IN ({','.join(map(str, ids))})"
    table = dataset.to_table(filter=condition, disable_scoring_autoprojection=True)
    places = {id_: place for place, id_ in enumerate(table["item_id"].to_pylist())}
    vectors = table["vector"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
    return vectors[[places[id_] for id_ in ids]], read_bytes(dataset)


def read_bytes(dataset: Any) -> int:
    """Since the last call, or since it was opened."""
    return int(dataset.io_stats_incremental().read_bytes)


if __name__ == "__main__":
    main()
