"""PaddleX's index directory, both ways."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
import yaml

from serve_app.errors import (
    GalleryExistsError,
    GalleryMismatchError,
    GalleryNotFoundError,
    InvalidRequestError,
)
from serve_app.index.copies.directory import export_gallery, import_gallery, read_directory
from serve_app.index.copies.face_serve_json import write_facts
from serve_app.index.store import GalleryStore
from serve_app.types import GalleryInfo, IndexType, Metric
from tests.index.brute_force import every_metric, every_type
from tests.index.busy import embeddings_of, vector_of, written_to
from tests.index.databases import both, new_url
from tests.index.samples import MODEL, build, embeddings

FIXTURES = Path(__file__).parents[1] / "data" / "paddlex"


class PaddleX:
    """What PaddleX 3.4.3's IndexData.load and its pipeline do with a directory (written anew after
    the description of its behaviour: PaddleX itself is not installed here)."""

    def __init__(self, directory: Path) -> None:
        assert (directory / "vector.index").exists()
        assert (directory / "id_map.yaml").exists()
        self.index = faiss.read_index(str(directory / "vector.index"))
        with (directory / "id_map.yaml").open(encoding="utf-8") as file:
            content = yaml.safe_load(file)
        assert list(content) == ["id_map", "index_type", "metric_type"]
        self.id_map = {int(number): str(label) for number, label in content["id_map"].items()}
        assert self.index.ntotal == len(self.id_map)
        assert content["index_type"] in ("Flat", "IVF", "HNSW32")
        assert content["metric_type"] in ("IP", "L2")
        assert isinstance(self.index, faiss.IndexIDMap2)

    def labels_of(self, probe: object, k: int) -> list[str]:
        _, ids = self.index.search(np.asarray(probe, dtype=np.float32)[np.newaxis], k)
        return [self.id_map[number] for number in ids[0].tolist() if number >= 0]

    def append(self, vector: object, label: str) -> None:
        number = max(self.id_map, default=-1) + 1
        self.index.add_with_ids(
            np.asarray(vector, dtype=np.float32)[np.newaxis], np.array([number])
        )
        self.id_map[number] = label


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


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A copy of a directory that PaddleX wrote: 3 templates, Flat, IP."""
    shutil.copytree(FIXTURES / "paddlex343_flat_ip", tmp_path / "theirs")
    return tmp_path / "theirs"


def edit(directory: Path, old: str, new: str) -> None:
    file = directory / "id_map.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  2: ID2\n", "", "count: vector.index has 3, id_map.yaml has 2"),
        ("  2: ID2", "  7: ID2", "id_map.yaml has no label for id 2"),
        ("metric_type: IP", "metric_type: L2", "metric: vector.index has IP, id_map.yaml has L2"),
        ("metric_type: IP", "metric_type: hamming", "metric: vector.index has IP, .* hamming"),
        ("index_type: Flat", "index_type: HNSW32", "index type: vector.index has Flat, .* HNSW32"),
    ],
)
def test_files_that_disagree(old: str, new: str, message: str, theirs: Path) -> None:
    edit(theirs, old, new)
    with pytest.raises(InvalidRequestError, match=message):
        read_directory(theirs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dimension": 64}, "dimension: vector.index has 128, face_serve.json has 64"),
        ({"count": 4}, "count: vector.index has 3, face_serve.json has 4"),
        ({"metric_type": "L2"}, "metric: vector.index has IP, face_serve.json has L2"),
        ({"next_id": 2}, "next_id is 2, there is an id 2"),
    ],
)
def test_facts_that_disagree(change: dict[str, object], message: str, theirs: Path) -> None:
    facts = {"gallery": "a", "index_type": "Flat", "metric_type": "IP", "dimension": 128,
             "model_id": "m", "count": 3, "next_id": 3, "seq": 1}  # fmt: skip
    write_facts(theirs / "face_serve.json", facts, ["vector.index", "id_map.yaml"])
    assert read_directory(theirs).model_id == "m"
    write_facts(theirs / "face_serve.json", facts | change, ["vector.index", "id_map.yaml"])
    with pytest.raises(InvalidRequestError, match=message):
        read_directory(theirs)


@pytest.mark.parametrize("name", ["vector.index", "id_map.yaml"])
def test_missing_and_damaged_files(name: str, theirs: Path) -> None:
    (theirs / name).write_bytes(b"\x00\x01\x02")
    with pytest.raises(InvalidRequestError, match=f"^{name} is"):
        read_directory(theirs)
    (theirs / name).unlink()
    with pytest.raises(InvalidRequestError, match=name):
        read_directory(theirs)
    with pytest.raises(InvalidRequestError, match="nowhere is not a directory"):
        read_directory(theirs / "nowhere")


@pytest.mark.parametrize("factor", [0.99, 0, float("nan"), float("inf")])
def test_vectors_that_are_not_normalised(factor: float, theirs: Path) -> None:
    outer = faiss.IndexIDMap2(faiss.IndexFlatIP(128))
    rows = np.zeros((3, 128), dtype=np.float32)
    rows[:, 0] = [1, factor, 1.0005]
    outer.add_with_ids(rows, np.arange(3))
    faiss.write_index(outer, str(theirs / "vector.index"))
    with pytest.raises(InvalidRequestError, match=r"the vector of id 1 has length .*, embeddings"):
        read_directory(theirs)


def test_an_id_twice(theirs: Path) -> None:
    outer = faiss.IndexIDMap2(faiss.IndexFlatIP(128))
    outer.add_with_ids(np.eye(3, 128, dtype=np.float32), np.array([0, 1, 1]))
    faiss.write_index(outer, str(theirs / "vector.index"))
    with pytest.raises(InvalidRequestError, match="holds an id twice"):
        read_directory(theirs)


def test_ids_in_any_order(theirs: Path, store: GalleryStore) -> None:
    outer = faiss.IndexIDMap2(faiss.IndexFlatIP(128))
    outer.add_with_ids(np.eye(3, 128, dtype=np.float32), np.array([2, 0, 1]))
    faiss.write_index(outer, str(theirs / "vector.index"))
    import_gallery(store, read_directory(theirs), "theirs", "m")
    _, labels, rows = contents(store, "theirs")
    assert labels == {0: "ID0", 1: "ID1", 2: "ID2"}
    np.testing.assert_array_equal(rows, np.eye(3, 128)[[1, 2, 0]])
