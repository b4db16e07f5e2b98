"""Where a gallery's images were, as a table."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from serve_app.errors import GalleryNotFoundError, InvalidRequestError
from serve_app.index.records import Moment
from serve_app.index.store import GalleryStore
from serve_app.index.store.job_store import JobStore
from serve_app.jobs import sources
from serve_app.jobs.inputs.opening import open_input
from serve_app.jobs.inputs.rows import ImageInput
from serve_app.jobs.sources import write_sources
from tests.index.samples import build, embeddings

from .samples import HOLDER, JOB, begun, request, rows


@pytest.fixture
def kept(store: GalleryStore, jobs: JobStore) -> GalleryStore:
    """Six templates, two of which have been removed again: 1, 2, 4 and 5 are left."""
    begun(jobs, request(keep_sources=True))
    jobs.stage(JOB, HOLDER, rows(0, 7, {3}), keep_sources=True)
    jobs.publish(JOB, HOLDER, "done")
    store.remove("staff", [0, 3], with_labels=False)
    return store


@pytest.mark.parametrize("page", [1, 3, 10_000])
def test_ids_are_kept(
    page: int, kept: GalleryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "PAGE", page)
    file = tmp_path / "jobs" / "sources.csv"
    info = kept.entry("staff").info
    assert write_sources(kept, "staff", file) == (4, Moment(info.generation, info.seq))
    assert file.stat().st_mode & 0o777 == 0o600  # it names people
    with file.open(encoding="utf-8", newline="") as lines:
        assert list(csv.reader(lines)) == [
            ["id", "path", "label"],
            ["1", "/photos/1.jpg", "person 1"],
            ["2", "/photos/2.jpg", "person 2"],
            ["4", "/photos/5.jpg", "person 5"],
            ["5", "/photos/6.jpg", "person 6"],
        ]
    assert [path.name for path in file.parent.iterdir()] == ["sources.csv"]
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_refused_where_some_would_be_lost(kept: GalleryStore, tmp_path: Path) -> None:
    kept.add("staff", ["by HTTP"], embeddings(1, seed=3), with_labels=False)
    file = tmp_path / "sources.csv"
    file.write_bytes(b"of a job that goes on")
    with pytest.raises(InvalidRequestError) as refused:
        write_sources(kept, "staff", file)
    assert str(refused.value) == (
        "gallery staff has 5 templates, and where the image was is known of 4: only galleries that "
        "were built with --keep-sources can be embedded anew"
    )
    assert file.read_bytes() == b"of a job that goes on"
    assert not list(tmp_path.glob("*.unfinished"))


def test_refused_where_none_was_kept(store: GalleryStore, tmp_path: Path) -> None:
    build(store, "staff", 3)
    with pytest.raises(InvalidRequestError, match=r"has 3 templates, .* known of 0"):
        write_sources(store, "staff", tmp_path / "sources.csv")
    assert not list(tmp_path.glob("sources*"))


def test_no_such_gallery(store: GalleryStore, tmp_path: Path) -> None:
    with pytest.raises(GalleryNotFoundError):
        write_sources(store, "nobody", tmp_path / "sources.csv")
    assert not list(tmp_path.glob("sources*"))


ODD = ['a "quoted", name', "two\nlines", "'", "名前", " spaces ", "NULL", "1e5", "a\tb", "a;b"]


def test_a_job_reads_what_was_written(store: GalleryStore, jobs: JobStore, tmp_path: Path) -> None:
    begun(jobs, request(keep_sources=True))
    settled = rows(0, len(ODD))
    named = [replace(row, label=name) for row, name in zip(settled.rows, ODD, strict=True)]
    jobs.stage(JOB, HOLDER, replace(settled, rows=named), keep_sources=True)
    jobs.publish(JOB, HOLDER, "done")
    file = tmp_path / "sources.csv"
    write_sources(store, "staff", file)
    asked = request(input=str(file), kind="table", mode="replace")
    found = open_input(asked, None)
    assert isinstance(found, ImageInput)
    assert [row.label for row in found.rows(0, len(ODD))] == ODD
