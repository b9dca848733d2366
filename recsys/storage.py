"""Files on disk: a directory of .npy arrays and Parquet tables with a manifest.json; single files written whole.

Imports `errors` and `ids` only. Everything is written to a temporary sibling and renamed, so that a crash leaves the old one or
the new one, never half of one. Nothing is ever unpickled.

manifest.json, format version 1:

    format            "recsys"
    format_version    1
    kind              "dataset", "model", "embeddings", …
    created           time of writing, UTC, ISO 8601
    attributes        small values that belong to the kind (names, counts, options)
    files             for each file its size in bytes, SHA-256, and dtype and shape (.npy) or rows and columns (.parquet)
    provenance        where the content comes from (trainer, hyperparameters, data fingerprint, versions, seed, …)
    manifest_sha256   SHA-256 of this manifest without this line, as JSON with sorted keys and no spaces
"""

from __future__ import annotations

import contextlib
import ctypes
import datetime
import errno
import glob
import hashlib
import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recsys.errors import FormatError, InputError, ParameterError, StorageError, quote_some
from recsys.ids import IdMap

__all__ = [
    "FORMAT_VERSION",
    "Stored",
    "failures_named",
    "id_table",
    "kind_in_words",
    "move_into_place",
    "open_stored",
    "read_ids",
    "refuse_existing",
    "sha256_of_file",
    "write_directory",
    "write_file",
    "write_stored",
]

FORMAT_VERSION = 1
_MANIFEST = "manifest.json"
# Process numbers mean something on one machine only; a folder may be shared by several.
_WRITER = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Stored:
    """A directory that was opened: its manifest, and its arrays (memory-mapped) and tables on request.

    verified : whether the SHA-256 of each file was checked; what opens a part of it goes by that too.
    """

    path: Path
    kind: str
    attributes: dict[str, Any]
    provenance: dict[str, Any]
    files: dict[str, dict[str, Any]]
    created: str
    verified: bool = True

    def attribute(self, name: str) -> Any:
        """The attribute `name`; raises `FormatError` where there is none."""
        if name not in self.attributes:
            raise FormatError(f"{self.path / _MANIFEST} has no attribute {name!r}; a {self.kind} needs it.")
        return self.attributes[name]

    def has(self, name: str) -> bool:
        """Whether there is an array or table of that name."""
        return f"{name}.npy" in self.files or f"{name}.parquet" in self.files

    def array(self, name: str) -> np.ndarray:
        """The array `name`, memory-mapped and read-only."""
        path = self._member(f"{name}.npy")
        entry = self.files[path.name]
        try:
            array = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        except (ValueError, OSError) as error:
            raise FormatError(f"{path} is not a readable .npy file: {error}.") from error
        if list(array.shape) != entry["shape"] or array.dtype.str != entry["dtype"]:
            raise FormatError(
                f"{path} holds {array.dtype.str} of shape {array.shape}; "
                f"the manifest says {entry['dtype']} of shape {tuple(entry['shape'])}."
            )
        return array

    def table(self, name: str) -> pa.Table:
        """The table `name`."""
        path = self._member(f"{name}.parquet")
        try:
            table = pq.read_table(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise FormatError(f"{path} is not a readable Parquet file: {error}.") from error
        if table.num_rows != self.files[path.name]["rows"]:
            raise FormatError(f"{path} has {table.num_rows} rows; the manifest says {self.files[path.name]['rows']}.")
        return table

    def _member(self, file_name: str) -> Path:
        if file_name not in self.files:
            raise FormatError(f"{self.path} ({self.kind}) has no {file_name}; it holds {quote_some(self.files, 12)}.")
        return self.path / file_name

    @property
    def total_bytes(self) -> int:
        """Size of all files but the manifest."""
        return sum(entry["bytes"] for entry in self.files.values())


def write_stored(
    path: str | os.PathLike[str],
    kind: str,
    *,
    arrays: Mapping[str, np.ndarray],
    tables: Mapping[str, pa.Table],
    attributes: Mapping[str, Any],
    provenance: Mapping[str, Any],
    parts: Mapping[str, Callable[[Path], None]] | None = None,
    overwrite: bool = False,
) -> Path:
    """Writes a directory of the given kind and returns its path.

    parts : what else lies in it, by relative path: each is a directory of its own kind, with a manifest of its own, that the
        function writes at the path it is given.

    An existing path is refused unless `overwrite`; even then only a directory of the same kind written by this package
    (or an empty one) is replaced. Raises `ParameterError`, or `StorageError` when the disk is full or the place can not be
    written.
    """
    target = refuse_existing(path, kind, overwrite=overwrite)
    with write_directory(target) as temporary:
        files: dict[str, dict[str, Any]] = {}
        for name, array in arrays.items():
            files[f"{name}.npy"] = _write_array(temporary / f"{name}.npy", array)
        for name, table in tables.items():
            files[f"{name}.parquet"] = _write_table(temporary / f"{name}.parquet", table)
        for name, write_part in (parts or {}).items():
            write_part(temporary / name)
        manifest = {
            "format": "recsys",
            "format_version": FORMAT_VERSION,
            "kind": kind,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "attributes": dict(attributes),
            "files": files,
            "provenance": dict(provenance),
        }
        manifest["manifest_sha256"] = _manifest_sum(manifest)
        with open(temporary / _MANIFEST, "w", encoding="utf-8") as handle:
            json.dump(manifest, handle, indent=2, ensure_ascii=False)
            handle.write("\n")
            _sync(handle)
    return target


@contextlib.contextmanager
def write_directory(target: Path) -> Iterator[Path]:
    """Yields a new directory beside `target`, whose place it takes when the block ends well; it goes otherwise.

    Whether something there may be replaced is for the caller to ask before.
    """
    with failures_named(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(target)
        temporary = _temporary_name(target)
        try:
            temporary.mkdir()
            yield temporary
            move_into_place(temporary, target)
        finally:
            _remove(temporary)


def open_stored(path: str | os.PathLike[str], kind: str | None = None, *, verify: bool = True) -> Stored:
    """Opens a directory written by `write_stored` and checks it: format, version, kind, that each file is there with its
    size, and its SHA-256 unless `verify=False`. Raises `FormatError` that names what is wrong."""
    if not isinstance(path, (str, os.PathLike)):
        raise ParameterError(f"Expected the path of a directory written by recsys. Got {path!r}.")
    directory = Path(path)
    if not directory.exists():
        raise FormatError(f"{directory} does not exist.")
    if not (directory / _MANIFEST).is_file():
        what = "a directory without a manifest.json" if directory.is_dir() else "a file"
        wanted = "a dataset, model or other directory" if kind is None else kind_in_words(kind)
        raise FormatError(f"{directory} is {what}, not {wanted} written by recsys.")
    manifest = _read_manifest(directory)
    if kind is not None and manifest["kind"] != kind:
        raise FormatError(f"{directory} holds {kind_in_words(manifest['kind'])}; {kind_in_words(kind)} was expected.")
    for name, entry in manifest["files"].items():
        _check_file(directory / name, entry, verify)
    return Stored(
        directory,
        manifest["kind"],
        manifest["attributes"],
        manifest["provenance"],
        manifest["files"],
        manifest["created"],
        verified=verify,
    )


def refuse_existing(path: str | os.PathLike[str], kind: str, *, overwrite: bool) -> Path:
    """`path` as a Path when a directory of that kind may be written there; call it before long work to refuse early.

    Only an empty directory, or with `overwrite` one of the same kind, is ever replaced.
    """
    target = Path(path)
    if not target.name:
        raise ParameterError(f"{str(path)!r} is not a path to write to.")
    if not target.exists():
        return target
    if _is_empty_directory(target):
        return target
    if not overwrite:
        raise ParameterError(f"{target} already exists. Hint: ask to overwrite it, or choose another path.")
    if not (target / _MANIFEST).is_file():
        raise ParameterError(f"{target} is not a directory written by recsys, so it is not overwritten.")
    with contextlib.suppress(FormatError):  # a damaged one may be replaced
        there = _read_manifest(target)["kind"]
        if there != kind:
            raise ParameterError(f"{target} holds {kind_in_words(there)}, so it is not overwritten by {kind_in_words(kind)}.")
    return target


@contextlib.contextmanager
def write_file(path: str | os.PathLike[str], *, overwrite: bool = True) -> Iterator[Path]:
    """Yields a temporary path beside `path`; it takes the place of `path` when the block ends well, and goes otherwise."""
    target = Path(path)
    if target.is_dir() or (target.exists() and not overwrite):
        what = " and is a directory." if target.is_dir() else ". Hint: ask to overwrite it, or choose another path."
        raise ParameterError(f"{target} already exists{what}")
    with failures_named(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(target)
        temporary = _temporary_name(target)
        try:
            temporary.touch()
            yield temporary
            with open(temporary, "rb+") as written:
                os.fsync(written.fileno())
            os.replace(temporary, target)
            _sync_directory(target.parent)
        finally:
            _remove(temporary)


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file's content, as hexadecimal digits."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _write_array(path: Path, array: np.ndarray) -> dict[str, Any]:
    contiguous = np.ascontiguousarray(array)
    with open(path, "wb") as handle:
        np.lib.format.write_array_header_1_0(handle, np.lib.format.header_data_from_array_1_0(contiguous))
        # Not numpy's write_array: when the disk is full it raises an OSError without the system's reason.
        handle.write(contiguous.reshape(-1).view(np.uint8).data)
        _sync(handle)
    return _entry(path) | {"dtype": contiguous.dtype.str, "shape": list(contiguous.shape)}


def _write_table(path: Path, table: pa.Table) -> dict[str, Any]:
    with open(path, "wb") as handle:
        pq.write_table(table, handle, compression="zstd")
        _sync(handle)
    return _entry(path) | {"rows": table.num_rows, "columns": table.column_names}


def _entry(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256_of_file(path)}


def _read_manifest(directory: Path) -> dict[str, Any]:
    path = directory / _MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise FormatError(f"{path} can not be read as JSON: {error}.") from error
    if not isinstance(manifest, dict) or manifest.get("format") != "recsys":
        raise FormatError(f"{path} is not a manifest written by recsys.")
    version = manifest.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise FormatError(f"{path} has no valid format_version. Got {version!r}.")
    if version > FORMAT_VERSION:
        raise FormatError(
            f"{directory} has format version {version}; this recsys reads up to {FORMAT_VERSION}. "
            "Hint: a newer version of recsys may be able to read it."
        )
    if manifest.get("manifest_sha256") != _manifest_sum(manifest):
        raise FormatError(f"{path} was changed after it was written: its SHA-256 does not match.")
    parts = {"kind": str, "created": str, "attributes": dict, "provenance": dict, "files": dict}
    wrong = [name for name, kind in parts.items() if not isinstance(manifest.get(name), kind)]
    if wrong:
        raise FormatError(f"{path} lacks {quote_some(wrong)}, or holds something else there.")
    return manifest


def _check_file(path: Path, entry: dict[str, Any], verify: bool) -> None:
    if not path.is_file():
        raise FormatError(f"{path} is missing.")
    size = path.stat().st_size
    if not isinstance(entry, dict) or not {"bytes", "sha256"} <= entry.keys():
        raise FormatError(f"The manifest beside {path} does not say its size and SHA-256.")
    if size != entry["bytes"]:
        kind = "cut short" if size < entry["bytes"] else "longer than it was written"
        raise FormatError(f"{path} is {kind}: {size:,} bytes, the manifest says {entry['bytes']:,}.")
    if verify and sha256_of_file(path) != entry["sha256"]:
        raise FormatError(f"{path} was changed after it was written: its SHA-256 does not match the manifest.")


def _manifest_sum(manifest: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _temporary_name(target: Path) -> Path:
    """A hidden sibling that says by whom it is written. The suffix stays at the end: writers choose the format by it."""
    return target.with_name(f".{target.name}.{_WRITER}.{os.getpid()}.{os.urandom(4).hex()}.tmp{target.suffix}")


def _remove_abandoned(target: Path) -> None:
    """Removes temporary siblings of `target` that processes of this machine left when they were killed."""
    for path in target.parent.glob(f".{glob.escape(target.name)}.{_WRITER}.*.tmp*"):
        writer = path.name.removeprefix(f".{target.name}.{_WRITER}.").partition(".")[0]
        if writer.isdigit() and not _is_alive(int(writer)):
            _remove(path)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's
        return True
    return True


def _remove(path: Path) -> None:
    """Removes a file or directory if it is there; an interrupt waits until it is gone."""
    try:
        _remove_now(path)
    except KeyboardInterrupt:
        _remove_now(path)
        raise


def _remove_now(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_empty_directory(path: Path) -> bool:
    if not path.is_dir():
        return False
    with os.scandir(path) as entries:
        return next(entries, None) is None


def move_into_place(temporary: Path, target: Path) -> None:
    """Renames `temporary` to `target`. Where the system can swap two names at once, an old target is never absent."""
    if not target.exists():
        os.rename(temporary, target)
    elif _is_empty_directory(target):
        target.rmdir()
        os.rename(temporary, target)
    elif not _exchange(temporary, target):
        old = target.with_name(f".{target.name}.old-{os.getpid()}")
        os.rename(target, old)
        os.rename(temporary, target)
        _remove(old)
    _sync_directory(target.parent)


def _exchange(first: Path, second: Path) -> bool:
    """Swaps two names in one step (Linux renameat2); False where that is not to be had."""
    if not sys.platform.startswith("linux"):
        return False
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    at_working_directory, exchange = -100, 2
    result = renameat2(at_working_directory, os.fsencode(first), at_working_directory, os.fsencode(second), exchange)
    return bool(result == 0)


@contextlib.contextmanager
def failures_named(target: Path) -> Iterator[None]:
    """Failures of the disk inside become a `StorageError` which says that `target` was not written, and why."""
    try:
        yield
    except InputError:
        raise
    except (OSError, pa.ArrowInvalid) as error:
        number = getattr(error, "errno", None)
        if number in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
            raise StorageError(
                f"The disk is full: {target} was not written, and what was there before is unchanged."
            ) from error
        if not isinstance(error, OSError):
            raise
        reason = os.strerror(number) if number else str(error)
        raise StorageError(f"{target} could not be written: {reason}. What was there before is unchanged.") from error


def _sync(handle: Any) -> None:
    handle.flush()
    os.fsync(handle.fileno())


def _sync_directory(path: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def kind_in_words(kind: str) -> str:
    """A kind of directory with its article: "a model", "an index", "embeddings"."""
    if kind.endswith("s"):
        return kind
    return f"{'an' if kind[:1] in 'aeiou' else 'a'} {kind}"


def id_table(ids: IdMap) -> pa.Table:
    """The ids as a table of one column, named after what they name."""
    return pa.table({ids.name: ids.to_arrow()})


def read_ids(stored: Stored, table: str) -> IdMap:
    """The ids that `id_table` wrote."""
    column = stored.table(table)
    return IdMap(column.column(0), name=column.column_names[0])
