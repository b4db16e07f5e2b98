"""The files of a sealed segment in a snapshot: written whole, and checked when they are read.

``vector.index`` is FAISS's own format, bare (no IDMap); ``templates.npz`` holds ``ids`` int64 (n,),
``label_offsets`` uint64 (n + 1,) and ``label_bytes`` uint8. Digests are the snapshot's affair. With
a ``FileSeal`` both are encrypted, and what they hold is on no disk: FAISS writes and reads through
it.
"""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import faiss
import numpy as np
from numpy.typing import NDArray

from serve_app.encryption import UnreadableError
from serve_app.encryption.files import CHUNK, FileSeal
from serve_app.index.gallery.device import FaissDevice, to_device
from serve_app.index.gallery.kinds import FAISS_METRICS
from serve_app.index.gallery.labels import LabelColumn
from serve_app.index.gallery.segment import Segment
from serve_app.types import Metric

VECTORS_FILE = "vector.index"
TEMPLATES_FILE = "templates.npz"


def write_sealed(
    directory: Path,
    index: Any,
    ids: NDArray[np.int64],
    labels: LabelColumn,
    seal: FileSeal | None = None,
) -> list[str]:
    """The names of the files, synced to disk. Raises OSError, without a path, if they can't be."""
    try:
        if seal is None:
            faiss.write_index(index, str(directory / VECTORS_FILE))
        else:
            _write_index(directory / VECTORS_FILE, index, seal)
    except (RuntimeError, OSError):
        raise OSError(f"{VECTORS_FILE} can't be written") from None
    offsets, blob = labels.arrays()
    try:
        with (directory / TEMPLATES_FILE).open("wb") as file:
            if seal is None:
                np.savez(file, ids=ids, label_offsets=offsets, label_bytes=blob)
            else:
                content = io.BytesIO()
                np.savez(content, ids=ids, label_offsets=offsets, label_bytes=blob)
                writer = seal.writer(file, TEMPLATES_FILE)
                writer.write(content.getbuffer())
                writer.close()
        for name in (VECTORS_FILE, TEMPLATES_FILE):
            _sync(directory / name)
    except OSError as error:
        raise OSError(error.errno, f"{TEMPLATES_FILE} can't be written: {error.strerror}") from None
    return [VECTORS_FILE, TEMPLATES_FILE]


def read_sealed(
    directory: Path,
    index_type: str,
    metric: Metric,
    dimension: int,
    count: int,
    device: FaissDevice | None = None,
    seal: FileSeal | None = None,
) -> Segment:
    """Raises ValueError, naming what is there and what was to be, for files of another gallery or
    files that are torn."""
    ids, labels = _read_templates(directory / TEMPLATES_FILE, seal)
    try:
        if seal is None:
            index = faiss.read_index(str(directory / VECTORS_FILE))
        else:
            index = _read_index(directory / VECTORS_FILE, seal)
    except (RuntimeError, MemoryError, OSError, UnreadableError):
        raise ValueError(f"{VECTORS_FILE} can't be read: it is missing or torn") from None
    _compare("dimension", index.d, dimension)
    _compare("metric", _name_of(index.metric_type), metric.value)
    _compare("number of vectors", index.ntotal, count)
    _compare("number of ids", len(ids), count)
    _compare("number of labels", len(labels), count)
    index = to_device(index, device or FaissDevice())
    return Segment.sealed(index_type, metric, index, ids, labels)


def _write_index(file: Path, index: Any, seal: FileSeal) -> None:
    with file.open("wb") as stream:
        writer = seal.writer(stream, VECTORS_FILE)
        faiss.write_index(index, faiss.PyCallbackIOWriter(writer.write, CHUNK))
        writer.close()


def _read_index(file: Path, seal: FileSeal) -> Any:
    with file.open("rb") as stream:
        reader = seal.reader(stream, VECTORS_FILE)
        index = faiss.read_index(faiss.PyCallbackIOReader(reader.read, CHUNK))
        reader.finish()
        return index


def _read_templates(file: Path, seal: FileSeal | None) -> tuple[NDArray[np.int64], LabelColumn]:
    try:
        with file.open("rb") as stream:
            content: BinaryIO = stream
            if seal is not None:
                content = io.BytesIO(seal.reader(stream, TEMPLATES_FILE).read_all())
            with np.load(content, allow_pickle=False) as arrays:
                ids, offsets, blob = (
                    arrays[name] for name in ("ids", "label_offsets", "label_bytes")
                )
    except (
        OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, UnreadableError
    ) as error:  # fmt: skip
        raise ValueError(f"{TEMPLATES_FILE} can't be read: {type(error).__name__}") from None
    if ids.ndim != 1 or ids.dtype != np.int64:
        raise ValueError(f"ids are {ids.dtype} {ids.shape}, not int64 (n,)")
    return ids, LabelColumn.from_arrays(offsets, blob)


def _compare(what: str, there: object, expected: object) -> None:
    if there != expected:
        raise ValueError(f"{what} is {there}, not {expected}")


def _name_of(metric_type: int) -> str:
    names = {number: metric.value for metric, number in FAISS_METRICS.items()}
    return names.get(metric_type, f"FAISS's {metric_type}")


def _sync(file: Path) -> None:
    handle = os.open(file, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
