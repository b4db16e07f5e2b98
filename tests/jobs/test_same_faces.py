"""Close faces under different labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from serve_app.errors import UnavailableError
from serve_app.index.loading import Loader
from serve_app.index.staged import RowOutcome, SettledRow, SettledRows
from serve_app.index.store import GalleryStore
from serve_app.index.store.job_store import JobStore
from serve_app.jobs.same_faces import NEIGHBOURS, SameFace, same_faces, write_same_faces
from serve_app.types import Embeddings, GalleryInfo, Metric, Shard, Vectors
from tests.index.samples import MODEL

from .samples import HOLDER, JOB, begun, request

metrics = pytest.mark.parametrize("metric", list(Metric))


def at(*degrees: float) -> Vectors:
    """Unit vectors of a plane, so that cosines are those of the differences."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def staged(jobs: JobStore, labels: Sequence[str], vectors: Vectors, metric: Metric) -> GalleryInfo:
    asked = request(mode="append", metric=metric)
    job = begun(jobs, asked, dimension=2, metric=metric)
    settled = [
        SettledRow(position, "t", label, RowOutcome.ACCEPTED)
        for position, label in enumerate(labels)
    ]
    job = jobs.stage(JOB, HOLDER, SettledRows(0, len(settled), settled, vectors))
    return replace(jobs.staged(job), key=job.key)


def serve(store: GalleryStore, labels: list[str], vectors: Vectors, metric: Metric) -> GalleryInfo:
    embeddings = Embeddings(MODEL, vectors)
    store.create("staff", "Flat", metric, labels, embeddings, with_labels=False)
    return store.entry("staff").info


def pairs(
    store: GalleryStore, info: GalleryInfo, cosine: float, *, beside: GalleryInfo | None = None
) -> list[SameFace]:
    loader = Loader(store, Shard(), None)
    among = [("job", loader.load(info))]
    if beside is not None:
        among.append(("gallery", loader.load(beside)))
    return list(same_faces(store, info, among, cosine))


@metrics
def test_each_pair_once_and_none_of_one_label(
    metric: Metric, store: GalleryStore, jobs: JobStore
) -> None:
    serve(store, ["Zoe"], at(1), metric)
    info = staged(jobs, ["Ann", "Ann", "Bo", "Cy"], at(0, 2, 10, 90), metric)
    found = pairs(store, info, np.cos(np.radians(15)))
    assert {(one.id, one.other_id) for one in found} == {(0, 2), (1, 2)}
    assert len(found) == 2
    first = next(one for one in found if one.id == 0)
    assert (first.label, first.other_label, first.other_in) == ("Ann", "Bo", "job")
    assert first.cosine == pytest.approx(np.cos(np.radians(10)), abs=1e-6)


@metrics
def test_the_threshold_is_a_cosine(metric: Metric, store: GalleryStore, jobs: JobStore) -> None:
    serve(store, ["Zoe"], at(1), metric)
    info = staged(jobs, ["Ann", "Bo"], at(0, 60), metric)
    assert len(pairs(store, info, 0.499)) == 1
    assert pairs(store, info, 0.501) == []


@metrics
def test_appended_faces_are_compared_with_the_gallery(
    metric: Metric, store: GalleryStore, jobs: JobStore
) -> None:
    served = serve(store, ["Ann", "Zoe", "Bo"], at(0, 45, 90), metric)
    info = staged(jobs, ["Ann", "Bo"], at(1, 44), metric)
    found = pairs(store, info, 0.99, beside=served)
    assert [(one.id, one.label, one.other_id, one.other_label, one.other_in) for one in found] == [
        (1, "Bo", 1, "Zoe", "gallery")
    ]


def test_a_face_is_found_behind_many_of_one_person(store: GalleryStore, jobs: JobStore) -> None:
    """The others of its label hide it from each of them, but not them from it."""
    serve(store, ["Zoe"], at(180), Metric.IP)
    many = NEIGHBOURS + 2
    labels, degrees = ["Ann"] * many + ["Bo"], [*np.linspace(0, 1, many), 3.0]
    info = staged(jobs, labels, at(*degrees), Metric.IP)
    found = pairs(store, info, 0.99)
    assert found
    assert {one.label for one in found} == {"Bo"}
    assert {one.other_label for one in found} == {"Ann"}


def test_what_is_written(tmp_path: Path) -> None:
    file = tmp_path / "new" / "same.parquet"
    rows = [SameFace(3, "Ann", 9, "Bo", 0.5, "gallery"), SameFace(4, "Bo", 7, "Cy", 0.25, "job")]
    assert write_same_faces(str(file), iter(rows)) == 2
    table = pq.read_table(file)
    assert [SameFace(**row) for row in table.to_pylist()] == rows
    assert [str(kind) for kind in table.schema.types] == [
        "int64", "string", "int64", "string", "float", "string",
    ]  # fmt: skip
    assert write_same_faces(str(file), []) == 0
    assert pq.read_table(file).num_rows == 0


def test_a_place_that_can_not_be_written(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"^the report can't be written: \w+$"):
        write_same_faces(str(tmp_path), [])
