"""PaddleX's ``vector.index``: a FAISS index in an IndexIDMap2, made from templates and taken apart.

A file from elsewhere is read in a process of its own: FAISS ends the process for some damaged ones.
``python -m serve_app.index.gallery.paddlex FILE`` prints a line of JSON, then ids and vectors.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import faiss
import numpy as np
from numpy.typing import NDArray

from serve_app.index.gallery.kinds import (
    FAISS_METRICS,
    HNSW_EF_SEARCH,
    ONE_THREAD,
    ivf_probes,
    train_and_add,
)
from serve_app.types import IndexType, Metric, Vectors

METRICS = {number: metric for metric, number in FAISS_METRICS.items()}
HNSW_LINKS = 32
SPARE_MEMORY = 8 << 30
"""Bytes of address space beyond what a file needs: a damaged one may ask for any amount."""
BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class IdMapIndex:
    """What a ``vector.index`` holds: ids (N,) int64 in FAISS's order, vectors (N, D) float32."""

    ids: NDArray[np.int64]
    vectors: Vectors
    metric: Metric
    kind: IndexType


def write_idmap(
    file: IO[bytes],
    kind: IndexType,
    metric: Metric,
    ids: NDArray[np.int64],
    vectors: Vectors,
    threads: int = 1,
) -> None:
    """``write_index`` of a new index of vectors (N, D). Raises OSError.

    IVF of too few templates to train on is written as Flat.
    """
    write_index(file, train_and_add(kind, metric, vectors.shape[1], vectors, threads), ids)


def write_index(file: IO[bytes], inner: Any, ids: NDArray[np.int64]) -> None:
    """Write a FAISS index whose row i is ``ids[i]``, (N,), as an IndexIDMap2. Raises OSError.

    The effort of searches travels along: PaddleX itself would look into one of IVF's lists only.
    ``inner`` may be searched meanwhile.
    """
    if isinstance(inner, faiss.IndexIVF):
        inner.nprobe = ivf_probes(inner.nlist)
    elif isinstance(inner, faiss.IndexHNSW):
        inner.hnsw.efSearch = HNSW_EF_SEARCH
    # Its constructor takes empty indexes only, and adding through it would search the graph anew.
    empty = faiss.IndexFlat(inner.d, inner.metric_type)
    index = faiss.IndexIDMap2(empty)
    index.index, index.ntotal = inner, inner.ntotal
    faiss.copy_array_to_vector(np.ascontiguousarray(ids, dtype=np.int64), index.id_map)
    sink = _Sink(file)
    try:
        faiss.write_index(index, faiss.PyCallbackIOWriter(sink.write, BLOCK))
    except RuntimeError:
        raise sink.error or OSError("FAISS can't write it") from None
    file.flush()


def read_idmap(file: Path) -> IdMapIndex:
    """Raises ValueError that says what is wrong, without the path."""
    if not file.is_file():
        raise ValueError(f"{file.name} is missing")
    with subprocess.Popen(  # nosec B603 # this Python, this module, a file's name as data
        [sys.executable, "-P", "-m", "serve_app.index.gallery.paddlex", str(file)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as reader:
        assert reader.stdout is not None
        try:
            facts = json.loads(reader.stdout.readline() or b"{}")
        except ValueError:
            facts = {}
        if "error" in facts:
            raise ValueError(f"{file.name} {facts['error']}")
        if facts:
            ids = np.empty(facts["count"], dtype=np.int64)
            vectors = np.empty((facts["count"], facts["dimension"]), dtype=np.float32)
            if _filled(reader.stdout, ids) and _filled(reader.stdout, vectors):
                return IdMapIndex(ids, vectors, Metric(facts["metric"]), IndexType(facts["kind"]))
    raise ValueError(f"{file.name} is damaged: FAISS crashed while reading it")


def read_inner(file: Path) -> Any:
    """The bare FAISS index of a file that ``read_idmap`` found whole; its rows are in the order of
    that one's ids. Raises ValueError."""
    try:
        outer = faiss.read_index(str(file))
    except (RuntimeError, MemoryError):
        raise ValueError(f"{file.name} can't be read: there is too little memory") from None
    inner = faiss.downcast_index(outer.index)
    outer.own_fields = False
    inner.this.acquire()
    return inner


def take_apart(file: Path) -> IdMapIndex:
    """``read_idmap`` in this process. Raises ValueError, or ends the process."""
    try:
        outer = faiss.read_index(str(file))
    except (RuntimeError, MemoryError):
        raise ValueError("is damaged or is no FAISS index") from None
    if not isinstance(outer, (faiss.IndexIDMap, faiss.IndexIDMap2)):
        raise ValueError(f"is FAISS's {type(outer).__name__}, not an IndexIDMap2: it has no ids")
    metric = METRICS.get(outer.metric_type)
    if metric is None:
        raise ValueError(f"is of FAISS's metric {outer.metric_type}, known are IP and L2")
    inner = faiss.downcast_index(outer.index)  # owns nothing: outer must live as long
    ids = faiss.vector_to_array(outer.id_map).astype(np.int64)
    if not len(ids) == outer.ntotal == inner.ntotal:
        raise ValueError(f"holds {len(ids)} ids for {inner.ntotal} vectors")
    kind = _kind(inner)
    if kind is IndexType.IVF:
        _check_lists(inner)
    vectors = inner.reconstruct_n(0, len(ids)) if len(ids) else np.empty((0, inner.d))
    return IdMapIndex(ids, np.ascontiguousarray(vectors, dtype=np.float32), metric, kind)


def main(file: Path, out: IO[bytes]) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    memory = SPARE_MEMORY + 4 * file.stat().st_size
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    try:
        found = take_apart(file)
    except ValueError as error:
        out.write(json.dumps({"error": str(error)}).encode() + b"\n")
        return
    facts = {
        "count": len(found.ids),
        "dimension": found.vectors.shape[1],
        "metric": found.metric.value,
        "kind": found.kind.value,
    }
    out.write(json.dumps(facts).encode() + b"\n")
    out.write(found.ids.data)
    out.write(found.vectors.data)
    out.flush()


def _check_lists(inner: Any) -> None:
    """Raises ValueError unless each row is in one of an IVF index's lists: FAISS would give
    whatever is in memory for one that is not."""
    lists = inner.invlists
    sizes = [lists.list_size(number) for number in range(inner.nlist)]
    if sum(sizes) != inner.ntotal:
        # PaddleX makes no list for fewer than 8 images, and FAISS drops what is added then.
        raise ValueError("is of IVF and lacks vectors, as PaddleX's of few images: build it anew")
    rows = [
        faiss.rev_swig_ptr(lists.get_ids(number), size).copy()
        for number, size in enumerate(sizes)
        if size
    ]
    if rows and not np.array_equal(np.sort(np.concatenate(rows)), np.arange(inner.ntotal)):
        # FAISS's removal of ids from an IVF index within an IDMap mixes up those that remain.
        raise ValueError("lost track of its ids, as IVF does at a removal: build it anew")


class _Sink:
    """FAISS's way out; remembers the error that FAISS tells as one of its own."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, block: bytes) -> None:
        try:
            self._file.write(block)
        except OSError as error:
            self.error = error
            raise


def _kind(inner: Any) -> IndexType:
    if isinstance(inner, faiss.IndexFlat):
        return IndexType.FLAT
    if isinstance(inner, faiss.IndexIVFFlat):
        return IndexType.IVF
    if isinstance(inner, faiss.IndexHNSWFlat) and inner.hnsw.nb_neighbors(1) == HNSW_LINKS:
        return IndexType.HNSW32
    raise ValueError(f"holds FAISS's {type(inner).__name__}: known are Flat, IVF and HNSW32")


def _filled(stream: IO[bytes], array: NDArray[Any]) -> bool:
    """Whether the stream had all of the array's bytes."""
    rest = array.data.cast("B") if array.size else memoryview(b"")
    while rest:
        count = stream.readinto(rest)  # type: ignore[attr-defined]
        if not count:
            return False
        rest = rest[count:]
    return True


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.stdout.buffer)
