"""``make bench-encryption``: what encryption at rest costs bulk enrolment, and loading a gallery.

In one process, without Ray: what encryption adds is all in the store and the snapshots. Each pair
of runs, without and with, is taken at one moment, in turns; ratios count, machines are shared.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from load_tests import pictures
from load_tests.bench import say
from load_tests.paired import paired_ratio
from serve_app import create_pipeline
from serve_app.encryption import MasterKeys, Vault
from serve_app.index.loading import Loader
from serve_app.index.snapshots import SnapshotStorage
from serve_app.index.staged import RowOutcome, SettledRow, SettledRows, StagedGallery
from serve_app.index.store import GalleryStore, sqlite_url
from serve_app.index.store.job_store import JobStore
from serve_app.index.upkeep.building import build_snapshot
from serve_app.jobs.settling import COMMIT_ROWS
from serve_app.types import JobMode, Metric, Shard, Vectors

BAR = 1.10
MODEL, KEY, HOLDER, HOLD_S = "bench", "gallery", "bench", 3600.0
MASTER = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of a run: on the clock, and of this process's processor."""

    wall_s: float
    cpu_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--commits", type=int, default=60, help="Pairs of ready embeddings.")
    parser.add_argument("--images", type=int, default=60, help="Images of a run.")
    parser.add_argument("--templates", type=int, default=100_000, help="Of the loaded gallery.")
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS))
    options = parser.parse_args()
    for part in options.parts:
        PARTS[part](options)


def embeddings(options: argparse.Namespace) -> None:
    """The worst case: rows that only have to be written. A run is one commit of a job; both jobs
    go on in turns, so that what else the machine does is in both."""
    vectors = chance_vectors(COMMIT_ROWS, options.dimension)
    with tempfile.TemporaryDirectory() as folder:
        stores = {}
        for sealed in (False, True):
            place = Path(folder) / str(sealed)
            place.mkdir()
            stores[sealed] = opened(str(place), sealed)
            begin(stores[sealed], vectors.shape[1])
        at = dict.fromkeys(stores, 0)

        def run(sealed: bool) -> Cost:
            start, at[sealed] = at[sealed], at[sealed] + COMMIT_ROWS
            return measured(lambda: stage(stores[sealed], start, vectors, digests=False))

        report(f"commits of {COMMIT_ROWS} ready embeddings", options.commits, run)
        for store in stores.values():
            store.close()


def images(options: argparse.Namespace) -> None:
    """Decoded, detected, embedded, then written as a job does."""
    pipeline = create_pipeline("face_recognition", workers=1)
    vectors = chance_vectors(options.images, options.dimension)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "face.jpg"
        file.write_bytes(pictures.small().content)
        files = [str(file)] * options.images
        labels = [f"person {number}" for number in range(options.images)]
        pipeline.build_index(gallery_imgs=files[:2], gallery_label=labels[:2])

        def run(sealed: bool) -> Cost:
            with tempfile.TemporaryDirectory() as place, closing(opened(place, sealed)) as store:

                def work() -> None:
                    pipeline.build_index(gallery_imgs=files, gallery_label=labels)
                    enrolled(store, vectors, digests=True)

                return measured(work)

        report(f"{options.images} images", options.pairs, run)


def loading(options: argparse.Namespace) -> None:
    """A replica's way to a gallery: the store's pages, or a snapshot."""
    vectors = chance_vectors(options.templates, options.dimension)
    with tempfile.TemporaryDirectory() as folder:
        stores, storages = {}, {}
        for sealed in (False, True):
            place = Path(folder) / str(sealed)
            place.mkdir()
            stores[sealed] = opened(str(place), sealed)
            storages[sealed] = SnapshotStorage(str(place / "snapshots"))
            enrolled(stores[sealed], vectors, digests=False)
            info = stores[sealed].describe([KEY])[KEY]
            build_snapshot(stores[sealed], storages[sealed], info, Shard(), threads=1)

        def load(sealed: bool, *, snapshot: bool) -> Cost:
            store = stores[sealed]
            loader = Loader(store, Shard(), storages[sealed] if snapshot else None)
            info = store.describe([KEY])[KEY]
            return measured(lambda: loader.load(info))

        for name, snapshot in (("the store's pages", False), ("a snapshot", True)):
            report(
                f"{options.templates} templates from {name}",
                options.pairs,
                lambda sealed, snapshot=snapshot: load(sealed, snapshot=snapshot),  # type: ignore[misc]
            )
        for store in stores.values():
            store.close()


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "embeddings": embeddings,
    "images": images,
    "loading": loading,
}


def report(what: str, pairs: int, run: Callable[[bool], Cost]) -> None:
    """Runs ``pairs`` pairs, the first of each in turns, and says the ratios."""
    for sealed in (False, True):
        run(sealed)
    found: dict[bool, list[Cost]] = {False: [], True: []}
    for number in range(pairs):
        for sealed in (False, True) if number % 2 else (True, False):
            found[sealed].append(run(sealed))
    say(f"{what}, {pairs} pairs")
    for name in ("wall_s", "cpu_s"):
        plain, sealed_s = (
            [float(getattr(cost, name)) for cost in found[sealed]] for sealed in (False, True)
        )
        ratio = paired_ratio(plain, sealed_s)
        verdict = "under" if ratio.high <= BAR else "not surely under"
        say(
            f"  {name}: {statistics.median(plain):.3f} plain, {statistics.median(sealed_s):.3f} "
            f"sealed; ratio {ratio.ratio:.3f} [{ratio.low:.3f}, {ratio.high:.3f}], {verdict} {BAR}"
        )


def opened(folder: str, sealed: bool) -> GalleryStore:
    environ = {"MASTER": MASTER}
    vault = Vault(MasterKeys.read(["env:MASTER"], environ)) if sealed else None
    return GalleryStore(sqlite_url(Path(folder) / "galleries.db"), vault=vault)


def enrolled(store: GalleryStore, vectors: Vectors, *, digests: bool) -> None:
    """As a job does: staged in commits of its size, published."""
    begin(store, vectors.shape[1])
    for start in range(0, len(vectors), COMMIT_ROWS):
        stage(store, start, vectors[start : start + COMMIT_ROWS], digests=digests)
    JobStore(store).publish("job", HOLDER, "done")


def begin(store: GalleryStore, dimension: int) -> None:
    jobs = JobStore(store)
    jobs.submit("job", KEY, JobMode.CREATE, "{}", "digest")
    jobs.take("job", HOLDER, HOLD_S)
    jobs.begin("job", HOLDER, StagedGallery("Flat", Metric.IP, dimension, MODEL), None, "")


def stage(store: GalleryStore, start: int, vectors: Vectors, *, digests: bool) -> None:
    stop = start + len(vectors)
    rows = [_row(number, digests=digests) for number in range(start, stop)]
    settled = SettledRows(start, stop, rows, vectors)
    JobStore(store).stage("job", HOLDER, settled, keep_sources=digests)


def _row(number: int, *, digests: bool) -> SettledRow:
    name = str(number).encode()
    return SettledRow(
        position=number,
        source=f"people/{number // 5}/{number}.jpg",
        label=f"person {number // 5}",
        outcome=RowOutcome.ACCEPTED,
        reason="",
        digest=hashlib.blake2b(name, digest_size=16).digest() if digests else None,
        id=None,
    )


def chance_vectors(count: int, dimension: int) -> Vectors:
    vectors = np.random.default_rng(0).normal(size=(count, dimension)).astype(np.float32)
    normalised: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return normalised


def measured(work: Callable[[], object]) -> Cost:
    os.sync()  # what the run before wrote is not this one's to wait for
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


if __name__ == "__main__":
    main()
