"""Galleries of the store to index directories, and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from serve_app.errors import (
    GalleryExistsError,
    GalleryMismatchError,
    GalleryNotFoundError,
    InvalidRequestError,
)
from serve_app.index.copies.directory import read_directory
from serve_app.index.copies.transfer import export_gallery, import_gallery
from serve_app.index.store import GalleryStore
from serve_app.types import GalleryInfo, IndexType, Metric
from tests.index.brute_force import every_metric, every_type
from tests.index.busy import embeddings_of, vector_of, written_to
from tests.index.databases import both, new_url
from tests.index.paddlex import FIXTURES, PaddleX
from tests.index.samples import MODEL, build, embeddings


def contents(store: GalleryStore, key: str) -> tuple[GalleryInfo, dict[int, str], Any]:
    info = store.describe([key])[key]
    page = store.page(info, -1, 100_000)
    return info, dict(zip(page.ids, page.labels, strict=True)), page.vectors


@every_type
@every_metric
@pytest.mark.parametrize("count", [0, 5, 500])
def test_paddlex_loads_what_is_exported(
    index_type: IndexType, metric: Metric, count: int, store: GalleryStore, tmp_path: Path
) -> None:
    labels = [f"Ann: {number}" for number in range(count)]
    store.create("staff", index_type, metric, labels, embeddings_of(labels), with_labels=False)
    store.remove("staff", [0], with_labels=False)
    export_gallery(store, "staff", tmp_path / "index")
    assert sorted(path.name for path in (tmp_path / "index").iterdir()) == [
        "face_serve.json",
        "id_map.yaml",
        "vector.index",
    ]
    peer = PaddleX(tmp_path / "index")
    assert peer.id_map == dict(list(enumerate(labels))[1:])
    for label in labels[1:100]:
        assert peer.labels_of(vector_of(label), 1) == [label]
    peer.append(vector_of("new"), "new")
    assert peer.labels_of(vector_of("new"), 1) == ["new"]


@both
@every_type
def test_there_and_back(
    database: str, index_type: IndexType, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    store = GalleryStore(new_url(database, request, tmp_path))
    labels = [f"Ann {number}" for number in range(30)]
    store.create("a", index_type, Metric.L2, labels, embeddings_of(labels), with_labels=False)
    store.remove("a", [3, 29], with_labels=False)
    exported = export_gallery(store, "a", tmp_path / "index")
    content = read_directory(tmp_path / "index")
    imported = import_gallery(store, content, "b", MODEL)
    before, after = contents(store, "a"), contents(store, "b")
    assert after[1] == before[1]
    np.testing.assert_array_equal(after[2], before[2])
    assert (after[0].size, after[0].next_id) == (28, 30)
    assert (after[0].index_type, after[0].metric) == (index_type, Metric.L2)
    assert after[0].model_id == MODEL
    assert exported.generation != imported.generation == after[0].generation
    # It lives: the highest id was removed, and is not given out again.
    assert store.add("b", ["x"], embeddings(1), with_labels=False).ids == [30]
    assert store.changes(after[0]) is not None
    store.close()


def test_other_types_are_exported_exactly(store: GalleryStore, tmp_path: Path) -> None:
    labels = ["Ann", "Bob"]
    store.create("a", "IVF2,SQ8", Metric.IP, labels, embeddings_of(labels), with_labels=False)
    export_gallery(store, "a", tmp_path / "index")
    assert PaddleX(tmp_path / "index").labels_of(vector_of("Bob"), 1) == ["Bob"]
    content = read_directory(tmp_path / "index")
    assert import_gallery(store, content, "b", MODEL).index_type == "IVF2,SQ8"


@pytest.mark.parametrize("fixture", sorted(FIXTURES.iterdir()), ids=lambda path: path.name)
def test_what_paddlex_wrote(fixture: Path, store: GalleryStore) -> None:
    content = read_directory(fixture)
    assert content.model_id is None
    expected = yaml.safe_load((fixture / "id_map.yaml").read_text(encoding="utf-8"))["id_map"]
    info = import_gallery(store, content, "theirs", "their-model")
    assert (info.model_id, info.dimension, info.size) == ("their-model", 128, len(expected))
    assert info.next_id == len(expected)
    assert contents(store, "theirs")[1] == expected


@both
def test_one_moment_while_writes_go_on(
    database: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("serve_app.index.copies.parts.parts.__defaults__", (20,))
    url = new_url(database, request, tmp_path)
    store = GalleryStore(url)
    labels = [f"Ann {number}" for number in range(300)]
    store.create("a", "Flat", Metric.IP, labels, embeddings_of(labels), with_labels=False)
    with written_to(url, "a") as states:
        for number in range(4):
            export_gallery(store, "a", tmp_path / str(number))
    for number in range(4):
        peer = PaddleX(tmp_path / str(number))
        assert peer.id_map in states
        for each, label in peer.id_map.items():
            np.testing.assert_array_equal(peer.index.reconstruct(each), vector_of(label))
        facts = json.loads((tmp_path / str(number) / "face_serve.json").read_text("utf-8"))
        assert states[facts["seq"] - 1] == peer.id_map
    store.close()


def test_a_key_that_exists(store: GalleryStore) -> None:
    build(store, "theirs")
    before = contents(store, "theirs")
    with pytest.raises(GalleryExistsError, match="theirs"):
        import_gallery(store, read_directory(FIXTURES / "paddlex343_flat_ip"), "theirs", "m")
    assert contents(store, "theirs")[:2] == before[:2]


def test_another_model(store: GalleryStore, tmp_path: Path) -> None:
    build(store)
    export_gallery(store, "staff", tmp_path / "index")
    with pytest.raises(GalleryMismatchError, match=f"model {MODEL}, not of other"):
        import_gallery(store, read_directory(tmp_path / "index"), "b", "other")


def test_nothing_to_export(store: GalleryStore, tmp_path: Path) -> None:
    with pytest.raises(GalleryNotFoundError):
        export_gallery(store, "nobody", tmp_path / "index")
    build(store)
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "mine").touch()
    with pytest.raises(InvalidRequestError, match="index exists already"):
        export_gallery(store, "staff", tmp_path / "index")
    assert sorted(path.name for path in (tmp_path / "index").iterdir()) == ["mine"]
