"""PaddleX's IndexData: what it takes, what it gives out, and its directory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from serve_app.errors import GalleryMismatchError, InvalidRequestError, UnavailableError
from serve_app.index import in_memory
from serve_app.index.copies.transfer import export_gallery
from serve_app.index.index_data import IndexData, label_fault
from serve_app.index.store import GalleryStore
from serve_app.types import Embeddings, IndexType, Metric
from tests.index.brute_force import every_metric, every_type, ids_of
from tests.index.busy import embeddings_of
from tests.index.paddlex import FIXTURES, PaddleX
from tests.index.samples import MODEL, embeddings, vectors

FILES = ["face_serve.json", "id_map.yaml", "vector.index"]


def names(count: int, start: int = 0) -> list[str]:
    return [f"Ann {number}" for number in range(start, start + count)]


def data(
    count: int,
    index_type: str = "Flat",
    metric: Metric = Metric.IP,
    *,
    exact_until: int = 20_000,
) -> IndexData:
    given = Embeddings(MODEL, vectors(3000)[:count])
    return IndexData.build(index_type, metric, names(count), given, exact_until=exact_until)


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


@every_type
@every_metric
@pytest.mark.parametrize("count", [0, 1, 3, 7, 8, 500])
def test_build_and_search(index_type: IndexType, metric: Metric, count: int) -> None:
    """IVF of few images works too: PaddleX makes no list of fewer than 8, and raises."""
    index = data(count, index_type, metric)
    assert len(index) == index.next_id == count
    assert index.id_map == dict(enumerate(names(count)))
    assert (index.index_type, index.metric_type, index.metric) == (index_type, metric, metric)
    assert (index.model_id, index.dimension) == (MODEL, 8)
    result = index.search(Embeddings(MODEL, vectors(3000)[:2]), 5)
    assert result.metric is metric
    assert not result.stale
    for probe, candidates in enumerate(result.candidates):
        assert len(candidates) == min(5, count)
        if count > probe:
            best = candidates[0]
            assert (best.template_id, best.label) == (probe, f"Ann {probe}")
            assert best.score == pytest.approx(1 if metric is Metric.IP else 0, abs=1e-5)


@every_type
@pytest.mark.parametrize("exact_until", [20_000, 10])
def test_append_and_remove(index_type: IndexType, exact_until: int) -> None:
    """HNSW32 removes too: PaddleX raises."""
    index = data(20, index_type, exact_until=exact_until)
    more = Embeddings(MODEL, vectors(3000)[20:23])
    assert index.append(names(3, 20), more) == [20, 21, 22]
    assert index.remove([22, 3, 3, -1, 99, 2**70, np.int64(5)]) == [3, 5, 22]
    assert (len(index), index.next_id) == (20, 23)
    # The highest id was removed; PaddleX gives it out again.
    assert index.append(["Bob"], embeddings(1, seed=5)) == [23]
    assert index.id_map == {
        number: "Bob" if number == 23 else f"Ann {number}"
        for number in range(24)
        if number not in (3, 5, 22)
    }
    assert ids_of(index.search(Embeddings(MODEL, vectors(3000)[[3]]), 1).candidates[0]) != [3]
    assert index.remove([]) == []
    assert index.append([], embeddings(0)) == []
    index.id_map.clear()
    assert len(index.id_map) == 21


def test_another_type_of_faiss() -> None:
    assert len(data(50, "IVF4,SQ8", exact_until=40)) == 50
    with pytest.raises(InvalidRequestError, match="index type nonsense: could not parse"):
        data(3, "nonsense")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a"], "2 images and 1 labels"),
        (["a", "b", "c"], "2 images and 3 labels"),
        ("ab", "2 images and 2 labels: give a list"),
        (["a", 7], "label 1 has type int: write it as a string"),
        (["a", None], "label 1 has type NoneType"),
        (["a\0b", "b"], "label 0 holds the character NUL"),
        (["a", "\ud800"], "label 1 is no Unicode text"),
    ],
)
def test_labels_that_cannot_be_kept(labels: list[str], message: str) -> None:
    given = embeddings(2)
    with pytest.raises(InvalidRequestError, match=message):
        IndexData.build("Flat", Metric.IP, labels, given)
    index = data(3)
    with pytest.raises(InvalidRequestError, match=message):
        index.append(labels, given)
    assert (len(index), index.next_id) == (3, 3)


def test_vectors_that_are_not_normalised() -> None:
    given = vectors(3)
    given[1] *= 2
    with pytest.raises(InvalidRequestError, match="embedding 1 has length 2, embeddings have 1"):
        IndexData.build("Flat", Metric.IP, names(3), Embeddings(MODEL, given))
    index = data(3)
    given[1] = np.nan
    with pytest.raises(InvalidRequestError, match="embedding 1 has length nan"):
        index.append(names(3), Embeddings(MODEL, given))
    assert len(index) == 3


@pytest.mark.parametrize("ids", [[1.0], ["1"], [None]])
def test_ids_that_are_none(ids: list[Any]) -> None:
    index = data(3)
    with pytest.raises(InvalidRequestError, match="ids to remove are integers"):
        index.remove([0, *ids])
    assert len(index) == 3


def test_another_precision_of_the_model() -> None:
    index = data(3)
    checked = Embeddings(f"{MODEL}+bf16", vectors(1), frozenset({MODEL}))
    assert len(index.search(checked, 2).candidates[0]) == 2
    index.append(["x"], checked)
    assert (len(index), index.model_id) == (4, MODEL)
    unchecked = Embeddings(f"{MODEL}+bf16", vectors(1))
    with pytest.raises(GalleryMismatchError, match=rf"the pipeline runs {MODEL}\+bf16"):
        index.search(unchecked, 2)
    with pytest.raises(GalleryMismatchError):
        index.append(["y"], unchecked)


def test_another_model() -> None:
    index = data(3)
    other = Embeddings("other-5678", vectors(1))
    wider = Embeddings(MODEL, vectors(1, 16))
    with pytest.raises(GalleryMismatchError, match=rf"model {MODEL}, the pipeline runs other-5678"):
        index.search(other, 1)
    with pytest.raises(GalleryMismatchError, match=MODEL):
        index.append(["x"], other)
    with pytest.raises(GalleryMismatchError, match=r"holds 8 dimensions, .* embeddings have 16"):
        index.search(wider, 1)
    with pytest.raises(GalleryMismatchError, match="8 dimensions"):
        index.append(["x"], wider)
    assert (len(index), index.next_id) == (3, 3)


def test_what_it_is_in_a_notebook() -> None:
    assert repr(data(3)) == f"IndexData(Flat, IP, 3 templates of {MODEL})"
    assert "unknown model" in repr(IndexData.load(FIXTURES / "paddlex343_flat_ip"))


@every_type
@every_metric
@pytest.mark.parametrize("exact_until", [20_000, 100])
@pytest.mark.parametrize("count", [0, 5, 500])
def test_saved_loaded_and_read_by_paddlex(
    index_type: IndexType, metric: Metric, exact_until: int, count: int, tmp_path: Path
) -> None:
    index = data(count, index_type, metric, exact_until=exact_until)
    index.append(names(3, count), Embeddings(MODEL, vectors(3000)[count : count + 3]))
    index.remove([1, count + 2])
    index.save(str(tmp_path / "index"))
    assert sorted(files(tmp_path / "index")) == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
    peer = PaddleX(tmp_path / "index")
    assert peer.id_map == index.id_map
    peer.append(vectors(1, seed=3)[0], "new")
    assert peer.labels_of(vectors(1, seed=3)[0], 1) == ["new"]
    again = IndexData.load(tmp_path / "index", exact_until=exact_until)
    assert again.id_map == index.id_map
    assert (again.index_type, again.metric) == (index_type, metric)
    assert (again.model_id, again.next_id) == (MODEL, count + 3)
    probes = Embeddings(MODEL, vectors(3000)[[0, count]])
    assert [ids_of(row)[:1] for row in again.search(probes, 3).candidates] == [[0], [count]]
    assert again.append(["x"], embeddings(1)) == [count + 3]


def test_the_file_of_labels_byte_by_byte(tmp_path: Path) -> None:
    index = IndexData.build("Flat", Metric.IP, ["张三", "O'Neil: x"], embeddings(2))
    index.save(tmp_path / "index")
    expected = (FIXTURES / "paddlex343_unicode" / "id_map.yaml").read_bytes()
    assert (tmp_path / "index" / "id_map.yaml").read_bytes() == expected


@pytest.mark.parametrize("fixture", sorted(FIXTURES.iterdir()), ids=lambda path: path.name)
def test_what_paddlex_wrote_and_back_byte_by_byte(fixture: Path, tmp_path: Path) -> None:
    index = IndexData.load(fixture)
    assert index.id_map == PaddleX(fixture).id_map
    assert (index.index_type, index.metric_type, index.dimension) == ("Flat", "IP", 128)
    index.save(tmp_path / "index")
    for name, content in files(fixture).items():
        assert (tmp_path / "index" / name).read_bytes() == content


def test_a_model_that_is_unknown(tmp_path: Path) -> None:
    theirs = FIXTURES / "paddlex343_flat_ip"
    unknown = IndexData.load(theirs)
    assert unknown.model_id is None
    unknown.append(["x"], Embeddings("any", vectors(1, 128)))
    assert len(unknown.search(Embeddings("another", vectors(1, 128)), 9).candidates[0]) == 4
    with pytest.raises(GalleryMismatchError, match="128 dimensions"):
        unknown.search(embeddings(1), 1)
    unknown.save(tmp_path / "index")
    assert IndexData.load(tmp_path / "index").model_id is None
    said = IndexData.load(tmp_path / "index", "mine")
    assert said.model_id == "mine"
    said.save(tmp_path / "index")
    assert IndexData.load(tmp_path / "index").model_id == "mine"
    with pytest.raises(GalleryMismatchError, match="model mine, the pipeline runs yours"):
        IndexData.load(tmp_path / "index", "yours")


def test_the_tutorials_name_of_the_file(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "paddlex343_flat_ip", tmp_path / "index")
    (tmp_path / "index" / "id_map.yaml").rename(tmp_path / "index" / "index_info.yaml")
    assert IndexData.load(tmp_path / "index").id_map == {0: "ID0", 1: "ID1", 2: "ID2"}


def test_a_gallery_that_a_service_exported(store: GalleryStore, tmp_path: Path) -> None:
    labels = names(30)
    store.create("a", "IVF", Metric.L2, labels, embeddings_of(labels), with_labels=False)
    store.remove("a", [3, 29], with_labels=False)
    export_gallery(store, "a", tmp_path / "index")
    index = IndexData.load(tmp_path / "index")
    assert index.id_map == {n: f"Ann {n}" for n in range(29) if n != 3}
    assert (index.next_id, index.index_type, index.metric_type) == (30, "IVF", "L2")


def test_saved_again(tmp_path: Path) -> None:
    """The tutorial's scripts are run twice; what else lies there is the user's."""
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "notes.txt").write_text("mine", encoding="utf-8")
    shutil.copytree(FIXTURES / "paddlex343_flat_ip", tmp_path / "index", dirs_exist_ok=True)
    for count in (3, 5, 2):
        data(count, "HNSW32").save(tmp_path / "index")
        assert len(IndexData.load(tmp_path / "index")) == count
    assert sorted(files(tmp_path / "index")) == sorted([*FILES, "notes.txt"])
    assert (tmp_path / "index" / "notes.txt").read_text("utf-8") == "mine"
    before = files(tmp_path / "index")
    with pytest.raises(UnavailableError, match="index can't be written"):
        _without_space(tmp_path / "index")
    assert files(tmp_path / "index") == before


def _without_space(directory: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr(os, "fsync", full)
        data(9).save(directory)


KILLED = """
import os, sys
from pathlib import Path
from serve_app.index.index_data import IndexData
from serve_app.types import Embeddings, Metric
from tests.index.samples import vectors

step = int(sys.argv[2])

def counted(call):
    def run(*arguments, **named):
        global step
        step -= 1
        if step < 0:
            os._exit(9)
        return call(*arguments, **named)
    return run

index = IndexData.build("Flat", Metric.IP, ["new"] * 5, Embeddings("new", vectors(5)))
for name in ("mkdir", "rename", "unlink", "rmdir", "chmod", "open"):
    setattr(Path, name, counted(getattr(Path, name)))
os.fsync = counted(os.fsync)
index.save(sys.argv[1])
"""


def test_killed_while_it_saves(tmp_path: Path) -> None:
    """Whatever the moment, what loads is the old gallery or the new one, whole."""
    old = data(3)
    seen = set()
    for step in range(0, 60, 3):
        target = tmp_path / str(step)
        old.save(target)
        run = subprocess.run(
            [sys.executable, "-c", KILLED, str(target), str(step)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=Path(__file__).parents[2],
            check=False,
        )
        found = IndexData.load(target)
        assert (found.model_id, len(found)) in ((MODEL, 3), ("new", 5))
        seen.add((run.returncode, found.model_id))
        old.save(target)
        assert IndexData.load(target).id_map == old.id_map
        if run.returncode == 0:
            break
    assert {(9, MODEL), (9, "new"), (0, "new")} <= seen


def test_directories_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidRequestError, match=r"^file is a file: name a directory"):
        data(1).save(tmp_path / "file")
    with pytest.raises(UnavailableError, match=r"^deep can't be written") as raised:
        data(1).save(tmp_path / "file" / "deep")
    assert str(tmp_path) not in str(raised.value)
    with pytest.raises(InvalidRequestError, match=r"^nowhere is not a directory"):
        IndexData.load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidRequestError, match=r"neither id_map.yaml nor index_info.yaml"):
        IndexData.load(tmp_path / "empty")


def test_a_file_of_another_save(tmp_path: Path) -> None:
    data(3).save(tmp_path / "a")
    data(3, metric=Metric.L2).save(tmp_path / "b")
    shutil.copy(tmp_path / "b" / "vector.index", tmp_path / "a" / "vector.index")
    with pytest.raises(InvalidRequestError, match=r"vector.index was changed since"):
        IndexData.load(tmp_path / "a")


def test_facts_beside_the_files(tmp_path: Path) -> None:
    data(3, "HNSW32").save(tmp_path / "a")
    facts = json.loads((tmp_path / "a" / "face_serve.json").read_text("utf-8"))
    assert facts.items() >= {
        "index_type": "HNSW32", "metric_type": "IP", "dimension": 8, "model_id": MODEL,
        "count": 3, "next_id": 3,
    }.items()  # fmt: skip
    assert "gallery" not in facts


@pytest.mark.parametrize("index_type", ["IVF", "HNSW32"])
def test_a_large_index_is_not_trained_again(
    index_type: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = data(1000, index_type, exact_until=900)
    monkeypatch.setattr(in_memory, "train_and_add", None)
    monkeypatch.setattr("serve_app.index.gallery.paddlex.train_and_add", None)
    index.save(tmp_path / "a")
    again = IndexData.load(tmp_path / "a", exact_until=900)
    assert again._gallery._index.sealed_rows == 1000
    probes = Embeddings(MODEL, vectors(50, seed=4))
    assert again.search(probes, 9) == index.search(probes, 9)
    again.append(names(5, 1000), Embeddings(MODEL, vectors(3000)[1000:1005]))
    again.save(tmp_path / "a")
    assert IndexData.load(tmp_path / "a", exact_until=900).id_map == again.id_map
    assert PaddleX(tmp_path / "a").id_map == again.id_map


def test_a_large_index_in_disorder_is_trained_again(tmp_path: Path) -> None:
    rows = vectors(200)
    outer = faiss.IndexIDMap2(faiss.IndexHNSWFlat(8, 32, faiss.METRIC_INNER_PRODUCT))
    outer.add_with_ids(rows, np.arange(200)[::-1].copy())
    faiss.write_index(outer, str(tmp_path / "vector.index"))
    labels = "".join(f"  {number}: Ann {number}\n" for number in range(200))
    text = f"id_map:\n{labels}index_type: HNSW32\nmetric_type: IP\n"
    (tmp_path / "id_map.yaml").write_text(text, encoding="utf-8")
    index = IndexData.load(tmp_path, exact_until=100)
    assert ids_of(index.search(Embeddings("m", rows[[5]]), 1).candidates[0]) == [194]


def test_a_type_that_paddlex_does_not_know(tmp_path: Path) -> None:
    index = data(300, "SQ4", exact_until=100)
    index.save(tmp_path / "a")
    np.testing.assert_array_equal(PaddleX(tmp_path / "a").index.reconstruct(7), vectors(3000)[7])
    again = IndexData.load(tmp_path / "a", exact_until=100)
    assert again.index_type == "SQ4"
    assert again._gallery._index.sealed_rows == 300


def test_labels_that_a_file_may_not_hold(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "paddlex343_flat_ip", tmp_path / "a")
    file = tmp_path / "a" / "id_map.yaml"
    file.write_text(file.read_text("utf-8").replace("1: ID1", '1: "a\\0b"'), encoding="utf-8")
    with pytest.raises(InvalidRequestError, match="the label of id 1 holds the character NUL"):
        IndexData.load(tmp_path / "a")


@pytest.mark.parametrize("label", ["", "张三", "a\tb", "x" * 5000, "😀"])
def test_any_other_label(label: str) -> None:
    assert label_fault(label) is None


def test_ids_come_to_an_end(tmp_path: Path) -> None:
    index = data(1)
    index.save(tmp_path / "a")
    index._next_id = 2**63 - 2
    assert index.append(["x"], embeddings(1)) == [2**63 - 2]
    with pytest.raises(InvalidRequestError, match="no ids are left"):
        index.append(["x"], embeddings(1))
