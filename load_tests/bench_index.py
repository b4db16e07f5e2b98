"""``make bench-index``: a million templates in the index stage beside bare FAISS, in one run.

Each part is a process of its own, so that its memory is its own. Ratios count: machines differ and
are shared. Nothing here talks to a network.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import psutil

from serve_app.index.batch import Answer
from serve_app.index.cache import GalleryCache
from serve_app.index.loading import Loader
from serve_app.index.mutations import Optimize
from serve_app.index.records import SearchRequest
from serve_app.index.snapshots import SnapshotStorage
from serve_app.index.store import GalleryStore
from serve_app.index.upkeep.building import build_snapshot
from serve_app.index.upkeep.keeper import Housekeeping, Keeper
from serve_app.index.upkeep.rules import UpkeepRules
from serve_app.types import Embeddings, Metric, SearchResult, Shard, Vectors

MODEL = "bench"
KEY = "gallery"
BATCH, TOP_K = 64, 5
IDENTITIES_SHARE = 5
"""Templates of one identity: embeddings of faces lie in clusters."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--types", nargs="+", default=["Flat", "IVF"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--directory", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(PARTS[options.part](options)))
        return
    with tempfile.TemporaryDirectory(prefix="face-serve-bench-") as directory:
        for index_type in options.types:
            folder = Path(directory) / index_type
            folder.mkdir()
            figures: dict[str, Any] = {}
            for part in PARTS:
                figures[part] = run_part(part, index_type, folder, options)
            report(index_type, figures, options)


def run_part(part: str, index_type: str, folder: Path, options: argparse.Namespace) -> Any:
    command = [
        sys.executable, "-m", "load_tests.bench_index", "--part", part, "--directory", str(folder),
        "--types", index_type, "--count", str(options.count), "--dimension",
        str(options.dimension), "--threads", str(options.threads),
    ]  # fmt: skip
    started = time.perf_counter()
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    print(f"({index_type}, {part}: {time.perf_counter() - started:.0f} s)", file=sys.stderr)
    return json.loads(run.stdout.splitlines()[-1])


def fill(options: argparse.Namespace) -> Any:
    """The gallery into the store, then its index and its snapshot."""
    store = opened(options.directory)
    first = True
    started = time.perf_counter()
    for start, vectors in templates(options):
        labels = [f"person {number}" for number in range(start, start + len(vectors))]
        enrolled = Embeddings(MODEL, vectors)
        if first:
            store.create(KEY, options.types[0], Metric.IP, labels, enrolled, with_labels=False)
            first = False
        else:
            store.add(KEY, labels, enrolled, with_labels=False)
    stored_s = time.perf_counter() - started
    started = time.perf_counter()
    info = store.describe([KEY])[KEY]
    built = build_snapshot(
        store, storage(options.directory), info, Shard(), threads=options.threads
    )
    assert built is not None
    return {
        "stored_s": stored_s,
        "built_s": time.perf_counter() - started,
        "peak_mb": peak_mb(),
    }


def bare(options: argparse.Namespace) -> Any:
    """FAISS alone on the snapshot's index file."""
    faiss.omp_set_num_threads(options.threads)
    (file,) = options.directory.glob("snapshots/*/*/*/vector.index")
    warm(file)
    before = resident_mb()
    started = time.perf_counter()
    index = faiss.read_index(str(file))
    read_s = time.perf_counter() - started
    grown_mb = resident_mb() - before
    if isinstance(index, faiss.IndexIVF):
        index.nprobe = max(8, index.nlist // 4)  # as many as ours looks at
    if isinstance(index, faiss.IndexHNSW):
        index.hnsw.efSearch = 256
    asked = probes(options)
    searched_s = timed(lambda: index.search(asked, TOP_K))
    return {"read_s": read_s, "mb": grown_mb, "search_ms": 1e3 * searched_s}


def replica(options: argparse.Namespace) -> Any:
    """A replica: start from the snapshot, search, add, rebuild beside searches."""
    store = opened(options.directory)
    snapshots = storage(options.directory)
    (file,) = options.directory.glob("snapshots/*/*/*/vector.index")
    warm(file)
    loader = Loader(store, Shard(), snapshots)
    small = GalleryCache(store, Shard(), loader, threads=options.threads)  # imports are done
    before = resident_mb()
    started = time.perf_counter()
    cache = GalleryCache(store, Shard(), loader, threads=options.threads)
    asked = probes(options)
    search(cache, asked[:1])
    start_s = time.perf_counter() - started
    grown_mb = resident_mb() - before
    searched_s = timed(lambda: search(cache, asked))
    add_ms = []
    for number in range(50):
        one = Embeddings(MODEL, probes(options)[number : number + 1])
        started = time.perf_counter()
        receipt = store.add(KEY, [f"new {number}"], one, with_labels=False)
        found = search(cache, one.vectors)
        add_ms.append(1e3 * (time.perf_counter() - started))
        assert found.candidates[0][0].template_id == receipt.ids[0]
    store_ms = []
    for number in range(50):
        one = Embeddings(MODEL, probes(options)[number : number + 1])
        started = time.perf_counter()
        store.add(KEY, ["again"], one, with_labels=False)
        store_ms.append(1e3 * (time.perf_counter() - started))
    one_ms = 1e3 * timed(lambda: search(cache, asked[:1]))
    idle, busy, rebuilt_s = beside_a_rebuild(options, store, snapshots, cache)
    small.close()
    cache.close()
    return {
        "start_s": start_s,
        "mb": grown_mb,
        "search_ms": 1e3 * searched_s,
        "one_ms": one_ms,
        "store_add_ms": statistics.median(store_ms),
        "add_and_search_ms": statistics.median(add_ms),
        "idle_p99_ms": percentile(idle, 99),
        "busy_p99_ms": percentile(busy, 99),
        "idle_p50_ms": percentile(idle, 50),
        "busy_p50_ms": percentile(busy, 50),
        "rebuilt_s": rebuilt_s,
        "searches_beside": len(busy),
    }


def beside_a_rebuild(
    options: argparse.Namespace, store: GalleryStore, snapshots: SnapshotStorage, cache: Any
) -> tuple[list[float], list[float], float]:
    """Milliseconds of searches of one probe: alone, and while a new index is built and swapped
    to. Open loop, one each 50 ms."""
    asked = probes(options)

    def one(number: int) -> float:
        started = time.perf_counter()
        search(cache, asked[number % BATCH : number % BATCH + 1])
        return 1e3 * (time.perf_counter() - started)

    def paced(until: Callable[[int], bool]) -> list[float]:
        taken: list[float] = []
        due = time.perf_counter()
        while until(len(taken)):
            due += 0.05
            time.sleep(max(0.0, due - time.perf_counter()))
            taken.append(one(len(taken)))
        return taken

    idle = paced(lambda count: count < 400)
    store.do(Optimize(KEY))
    keeper = Keeper(
        store,
        snapshots,
        (database(options.directory), str(options.directory / "snapshots")),
        Shard(),
        UpkeepRules(),
        Housekeeping(),
        threads=options.threads,
    )
    done = threading.Event()
    started = time.perf_counter()

    def build() -> None:
        keeper.look()
        done.set()

    threading.Thread(target=build, daemon=True).start()
    name = store.describe([KEY])[KEY].snapshot
    busy = paced(lambda _: not done.is_set())
    rebuilt_s = time.perf_counter() - started
    assert store.describe([KEY])[KEY].snapshot != name
    busy += paced(lambda count: count < 100)  # the swap
    cache.wait_for_swaps()
    return idle, busy, rebuilt_s


PARTS = {"fill": fill, "bare": bare, "replica": replica}


def report(index_type: str, figures: dict[str, Any], options: argparse.Namespace) -> None:
    fill_, bare_, ours = figures["fill"], figures["bare"], figures["replica"]
    start_bar = 2 * bare_["read_s"] + 5
    rows = [
        ("search, batch 64", f"{bare_['search_ms']:.0f} ms", f"{ours['search_ms']:.0f} ms",
         f"{ours['search_ms'] / bare_['search_ms']:.2f} x", "1.15 x"),
        ("resident memory", f"{bare_['mb']:.0f} MB", f"{ours['mb']:.0f} MB",
         f"{ours['mb'] / bare_['mb']:.2f} x", "1.35 x"),
        ("start from a snapshot", f"{bare_['read_s']:.2f} s", f"{ours['start_s']:.2f} s",
         "", f"{start_bar:.2f} s"),
        ("add of one, at the store", "", f"{ours['store_add_ms']:.1f} ms", "", ""),
        ("add of one, less than with a search", "",
         f"{ours['add_and_search_ms'] - ours['one_ms']:.1f} ms", "", "10 ms"),
        ("p99 of a search beside a rebuild", f"{ours['idle_p99_ms']:.0f} ms alone",
         f"{ours['busy_p99_ms']:.0f} ms", f"{ours['busy_p99_ms'] / ours['idle_p99_ms']:.2f} x",
         "3 x"),
    ]  # fmt: skip
    print(f"\n{index_type}, {options.count:,} x {options.dimension}, {os.cpu_count()} cores, "
          f"{options.threads} thread of FAISS\n")  # fmt: skip
    print("| | bare FAISS | here | ratio | bar |\n|---|---|---|---|---|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(f"\nstored in {fill_['stored_s']:.0f} s; index and snapshot built in "
          f"{fill_['built_s']:.0f} s, peak {fill_['peak_mb']:.0f} MB in a process of its own; "
          f"rebuilt beside {ours['searches_beside']} searches in {ours['rebuilt_s']:.0f} s",
          flush=True)  # fmt: skip


def templates(options: argparse.Namespace) -> Any:
    """Pages of (first id, vectors (n, D)): clusters of templates about identities."""
    chance = np.random.default_rng(1)
    page = 10_000
    for start in range(0, options.count, page):
        size = min(page, options.count - start)
        centres = unit(chance.normal(size=(size // IDENTITIES_SHARE + 1, options.dimension)))
        chosen = centres[chance.integers(0, len(centres), size)]
        noise = chance.normal(size=(size, options.dimension)) * 0.5 / np.sqrt(options.dimension)
        yield start, unit(chosen + noise)


def probes(options: argparse.Namespace) -> Vectors:
    return unit(np.random.default_rng(2).normal(size=(BATCH, options.dimension)))


def unit(rows: Any) -> Vectors:
    normalised: Vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return normalised


def search(cache: GalleryCache, vectors: Vectors) -> SearchResult:
    (answer,) = cache.search([SearchRequest(KEY, Embeddings(MODEL, vectors), TOP_K)])
    result: Answer = answer.result() if isinstance(answer, Future) else answer
    assert isinstance(result, SearchResult), result
    return result


def timed(work: Callable[[], object], times: int = 9) -> float:
    """Median seconds."""
    work()
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def percentile(values: list[float], percent: int) -> float:
    return float(np.percentile(values, percent))


def warm(file: Path) -> None:
    """Into the page cache, for both alike."""
    with file.open("rb") as content:
        while content.read(1 << 24):
            pass


def resident_mb() -> float:
    return float(psutil.Process().memory_info().rss / 1e6)


def peak_mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def database(directory: Path) -> str:
    return f"sqlite:///{directory / 'galleries.db'}"


def opened(directory: Path) -> GalleryStore:
    return GalleryStore(database(directory))


def storage(directory: Path) -> SnapshotStorage:
    return SnapshotStorage(str(directory / "snapshots"))


if __name__ == "__main__":
    main()
