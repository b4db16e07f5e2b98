"""The Python API beside what PaddleX 3.4.3 and 3.0.0b2 did, call by call.

The recordings are ``python_api_*.txt`` of the conformance kit: the same stand-in networks, the same
images. "Differs" in a test's name means: on purpose, with the clause of CONTRACT that says so.
"""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import faiss
import numpy as np
import pytest
import yaml

from serve_app import IndexData, create_pipeline
from serve_app.errors import FaceServeError, InvalidRequestError, RejectedPairsError
from serve_app.pipeline.face_recognition import FaceRecognitionPipeline
from tests.conformance.replay import DATA, PIPELINE

IMAGES = DATA / "images"
DEMO = [str(IMAGES / f"demo{number}.png") for number in range(5)]
SCENE = str(IMAGES / "scene_2face.png")
LABELS = [f"ID{number}" for number in range(5)]
SCORE = 1e-4

RECORDED = [
    {
        "labels": ["ID1", "ID2", "ID0"],
        "rec_scores": [0.9998255968093872, 0.9755780100822449, 0.9741424322128296],
        "det_score": 0.9861429929733276,
        "coordinate": [10.5, 20.25, 130.5, 145.75],
    },
    {
        "labels": ["ID2", "ID1", "ID0"],
        "rec_scores": [0.9998391270637512, 0.9753888845443726, 0.9741353392601013],
        "det_score": 0.9826465845108032,
        "coordinate": [490.5, 340.25, 610.5, 465.75],
    },
]
"""What 3.4.3 answered for ``scene_2face.png``."""

Pipeline = FaceRecognitionPipeline


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return create_pipeline(str(PIPELINE), cache_dir=tmp_path_factory.mktemp("cache"))


@pytest.fixture
def gallery(pipeline: Pipeline) -> IndexData:
    return pipeline.build_index(DEMO[:3], LABELS[:3], "IP", "Flat")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A gallery root as the tutorial has it."""
    (tmp_path / "images").mkdir()
    for number, image in enumerate(DEMO[:2]):
        (tmp_path / "images" / f"demo{number}.png").write_bytes(Path(image).read_bytes())
    return tmp_path


def listed(root: Path, content: str) -> tuple[str, str]:
    (root / "gallery.txt").write_bytes(content.encode())
    return str(root), str(root / "gallery.txt")


def only(results: Iterator[Any]) -> Any:
    (result,) = results
    return result


def assert_boxes(found: Any, expected: Any = RECORDED) -> None:
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        assert mine["labels"] == theirs["labels"]
        assert mine["coordinate"] == theirs["coordinate"]
        assert mine["det_score"] == pytest.approx(theirs["det_score"], abs=SCORE)
        assert mine["rec_scores"] == pytest.approx(theirs["rec_scores"], abs=SCORE)


# create_pipeline, build_index


def test_signatures(pipeline: Pipeline) -> None:
    def parameters(method: Any) -> list[str]:
        return list(inspect.signature(method).parameters)

    build = ["gallery_imgs", "gallery_label", "metric_type", "index_type"]
    assert parameters(pipeline.build_index) == build
    defaults = inspect.signature(pipeline.build_index).parameters
    assert (defaults["metric_type"].default, defaults["index_type"].default) == ("IP", "HNSW32")
    assert parameters(pipeline.append_index) == ["gallery_imgs", "gallery_label", "index"]
    assert parameters(pipeline.remove_index) == ["remove_ids", "index"]
    assert parameters(pipeline.predict)[:2] == ["input", "index"]
    assert {"det_threshold", "rec_threshold", "rec_topk"} <= set(parameters(pipeline.predict))


@pytest.mark.parametrize("metric", ["IP", "L2"])
@pytest.mark.parametrize("index_type", ["Flat", "HNSW32"])
def test_build(pipeline: Pipeline, tmp_path: Path, index_type: str, metric: str) -> None:
    index = pipeline.build_index(DEMO[:3], LABELS[:3], metric, index_type)
    index.save(str(tmp_path / "face_index"))
    written = faiss.read_index(str(tmp_path / "face_index" / "vector.index"))
    inner = faiss.downcast_index(written.index)
    assert type(written).__name__ == "IndexIDMap2"
    assert {"Flat": "IndexFlat", "HNSW32": "IndexHNSWFlat"}[index_type] in type(inner).__name__
    assert (written.ntotal, written.d) == (3, 128)
    assert written.metric_type == {"IP": faiss.METRIC_INNER_PRODUCT, "L2": faiss.METRIC_L2}[metric]
    norms = np.linalg.norm(written.index.reconstruct_n(0, 3), axis=1)
    np.testing.assert_allclose(norms, 1, atol=1e-6)
    assert index.id_map == {0: "ID0", 1: "ID1", 2: "ID2"}
    assert {type(key) for key in index.id_map} == {int}
    assert (index.index_type, index.metric_type) == (index_type, metric)


@pytest.mark.parametrize("count", [1, 3, 7, 8, 16, 24])
def test_ivf_of_few_images_differs_it_works(pipeline: Pipeline, count: int) -> None:
    """PaddleX below 8: nlist 0, every search raises (CONTRACT 4)."""
    images = [cv2.imread(DEMO[number % 5]) for number in range(count)]
    index = pipeline.build_index(images, [f"ID{n}" for n in range(count)], "IP", "IVF")
    assert index.index_type == "IVF"
    result = only(pipeline.predict(SCENE, index=index, rec_topk=1))
    assert all(box["labels"] for box in result["boxes"])


@pytest.mark.parametrize(
    ("metric", "index_type", "message"),
    [
        ("hamming", "Flat", "metric_type: hamming is not known; write IP or L2"),
        ("cosine", "Flat", "metric_type: cosine is not known; write IP or L2"),
        ("IP", "PQ", "index type PQ"),
    ],
)
def test_build_refuses(pipeline: Pipeline, metric: str, index_type: str, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        pipeline.build_index(DEMO[:3], LABELS[:3], metric, index_type)


@pytest.mark.parametrize("labels", [LABELS[:2], LABELS[:4], []])
def test_build_with_another_number_of_labels(pipeline: Pipeline, labels: list[str]) -> None:
    with pytest.raises(InvalidRequestError):
        pipeline.build_index(DEMO[:3], labels, "IP", "Flat")


def test_gallery_images_may_be_arrays(pipeline: Pipeline, gallery: IndexData) -> None:
    arrays = [cv2.imread(image) for image in DEMO[:3]]
    index = pipeline.build_index(arrays, LABELS[:3], "IP", "Flat")
    assert_boxes(only(pipeline.predict(SCENE, index=index))["boxes"])
    grey = pipeline.build_index([np.full((64, 64), 99, np.uint8)], ["g"], "IP", "Flat")
    assert grey.id_map == {0: "g"}


# the annotation file


@pytest.mark.parametrize(
    "content",
    [
        "images/demo0.png ID0\nimages/demo1.png ID1\n",
        "images/demo0.png ID0 \r\nimages/demo1.png ID1  \r\n",
    ],
    ids=["ok", "trailing"],
)
def test_gallery_file(pipeline: Pipeline, root: Path, content: str) -> None:
    assert pipeline.build_index(*listed(root, content)).id_map == {0: "ID0", 1: "ID1"}


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        ("images/demo0.png ID0\n\nimages/demo1.png ID1\n", ["ID0", "ID1"]),
        ("images/demo0.png Ann Lee\nimages/demo1.png ID1", ["Ann Lee", "ID1"]),
        ("images/demo0.png\tID0\nimages/demo1.png\tID1\n", ["ID0", "ID1"]),
        ("images/demo0.png  ID0\nimages/demo1.png \t ID1\n", ["ID0", "ID1"]),
        ("\ufeffimages/demo0.png ID0\n", ["ID0"]),
    ],
    ids=["blank", "space", "tab", "two", "bom"],
)
def test_gallery_file_differs_these_are_read(
    pipeline: Pipeline, root: Path, content: str, labels: list[str]
) -> None:
    """PaddleX raises ValueError or FileNotFoundError for each (CONTRACT 4, annotation file)."""
    index = pipeline.build_index(*listed(root, content))
    assert list(index.id_map.values()) == labels


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("images/none.png ID0\n", "line 1"),
        ("# people\nimages/demo0.png ID0\n", "line 1"),
        ("images/demo0.png ID0\nimages/demo1.png\n", "line 2"),
        ("", "gallery.txt"),
    ],
    ids=["missing", "comment", "no label", "empty"],
)
def test_gallery_file_refused(pipeline: Pipeline, root: Path, content: str, line: str) -> None:
    with pytest.raises(FaceServeError, match=r"gallery\.txt") as failure:
        pipeline.build_index(*listed(root, content))
    assert line in str(failure.value)


def test_a_gallery_image_without_a_face_is_embedded_whole(pipeline: Pipeline) -> None:
    """``enrol.detect: false`` is PaddleX's way; without it such an image is an error that names
    it (CONTRACT 3)."""
    index = pipeline.build_index([str(IMAGES / "scene_0face.png")], ["none"], "IP", "Flat")
    assert index.id_map == {0: "none"}
    detecting = yaml.safe_load(PIPELINE.read_text())
    detecting["enrol"] = {"detect": True}
    for module in detecting["SubModules"].values():
        module["model_dir"] = str(DATA / module["model_dir"])
    strict = create_pipeline(config=detecting, workers=1)
    with pytest.raises(RejectedPairsError, match=r"scene_0face\.png.*no face found"):
        strict.build_index([str(IMAGES / "scene_0face.png")], ["none"])


# append_index, remove_index


def test_append_and_remove(pipeline: Pipeline, gallery: IndexData) -> None:
    more = pipeline.append_index(DEMO[3:5], LABELS[3:5], gallery)
    assert more.id_map == dict(enumerate(LABELS))
    assert more is gallery, "the given one is changed, as PaddleX does; ours whole"
    fewer = pipeline.remove_index([1], more)
    assert fewer.id_map == {0: "ID0", 2: "ID2", 3: "ID3", 4: "ID4"}
    assert len(fewer) == 4
    assert pipeline.remove_index([99], fewer).id_map == fewer.id_map
    assert pipeline.remove_index((0, int(np.int64(0)), -1), fewer).id_map == {
        2: "ID2", 3: "ID3", 4: "ID4",
    }  # fmt: skip


def test_ids_differ_they_are_never_reused(pipeline: Pipeline, gallery: IndexData) -> None:
    """PaddleX gives the highest id again: two people, one id (CONTRACT 1)."""
    pipeline.remove_index([2], gallery)
    assert pipeline.append_index(DEMO[3:4], ["NEW"], gallery).id_map == {
        0: "ID0", 1: "ID1", 3: "NEW",
    }  # fmt: skip


@pytest.mark.parametrize("index_type", ["HNSW32", "IVF"])
def test_remove_differs_every_type_can(pipeline: Pipeline, index_type: str) -> None:
    """PaddleX's HNSW32 raises (CONTRACT 4)."""
    index = pipeline.build_index(DEMO[:3], LABELS[:3], "IP", index_type)
    pipeline.remove_index([1], index)
    index = pipeline.append_index(DEMO[3:4], ["x"], index)
    assert index.id_map == {0: "ID0", 2: "ID2", 3: "x"}
    boxes = only(pipeline.predict(SCENE, index=index))["boxes"]
    assert all("ID1" not in box["labels"] for box in boxes)


@pytest.mark.parametrize(
    ("content", "left"),
    [
        ("0\n", {1: "ID1", 2: "ID2"}),
        ("0\n2 trailing words\n", {1: "ID1"}),
        ("", {0: "ID0", 1: "ID1", 2: "ID2"}),
        ("0\n\n1\n", {2: "ID2"}),
    ],
    ids=["one", "trailing", "empty", "blank differs"],
)
def test_remove_ids_file(
    pipeline: Pipeline, gallery: IndexData, tmp_path: Path, content: str, left: dict[int, str]
) -> None:
    (tmp_path / "remove_ids.txt").write_text(content)
    assert pipeline.remove_index(str(tmp_path / "remove_ids.txt"), gallery).id_map == left


def test_remove_ids_file_refused(pipeline: Pipeline, gallery: IndexData, tmp_path: Path) -> None:
    (tmp_path / "remove_ids.txt").write_text("0\nabc\n")
    with pytest.raises(InvalidRequestError, match=r"remove_ids\.txt[\s\S]*line 2: .abc"):
        pipeline.remove_index(str(tmp_path / "remove_ids.txt"), gallery)
    assert len(gallery) == 3


# saving and loading


def test_saved_files(gallery: IndexData, tmp_path: Path) -> None:
    gallery.save(str(tmp_path / "face_index"))
    saved = tmp_path / "face_index"
    assert {"id_map.yaml", "vector.index"} <= {file.name for file in saved.iterdir()}
    assert (saved / "id_map.yaml").read_bytes() == (
        b"id_map:\n  0: ID0\n  1: ID1\n  2: ID2\nindex_type: Flat\nmetric_type: IP\n"
    )
    content = (saved / "vector.index").read_bytes()
    assert len(content) == 1650
    assert content[:64].hex() == (
        "49784d32800000000300000000000000000010000000000000001000000000000100000000497846498000000003"
        "000000000000000000100000000000000010"
    )  # fmt: skip


def test_labels_of_any_script_are_saved_as_paddlex_does(pipeline: Pipeline, tmp_path: Path) -> None:
    index = pipeline.build_index(DEMO[:2], ["张三", "O'Neil: x"], "IP", "Flat")
    index.save(str(tmp_path / "unicode"))
    assert (tmp_path / "unicode" / "id_map.yaml").read_text(encoding="utf-8") == (
        "id_map:\n  0: 张三\n  1: 'O''Neil: x'\nindex_type: Flat\nmetric_type: IP\n"
    )


def test_an_index_may_be_a_directory(
    pipeline: Pipeline, gallery: IndexData, tmp_path: Path
) -> None:
    saved = str(tmp_path / "face_index")
    gallery.save(saved)
    assert_boxes(only(pipeline.predict(SCENE, index=saved))["boxes"])
    more = pipeline.append_index(DEMO[3:4], ["S"], saved)
    assert list(more.id_map.values()) == ["ID0", "ID1", "ID2", "S"]
    assert len(IndexData.load(saved)) == 3, "files change only by save"
    configured = create_pipeline(str(PIPELINE), index=saved, workers=1)
    assert_boxes(only(configured.predict(SCENE))["boxes"])


def test_a_missing_index(pipeline: Pipeline, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="nodir"):
        pipeline.predict(SCENE, index=str(tmp_path / "nodir"))
    with pytest.raises(InvalidRequestError, match="no gallery to search: pass index="):
        pipeline.predict(SCENE)


def test_an_emptied_index(pipeline: Pipeline, tmp_path: Path) -> None:
    for metric in ("IP", "L2"):
        index = pipeline.build_index(DEMO[:2], LABELS[:2], metric, "Flat")
        index = pipeline.remove_index([0, 1], index)
        index.save(str(tmp_path / metric))
        assert "id_map: {}\n" in (tmp_path / metric / "id_map.yaml").read_text()
        for again in (index, str(tmp_path / metric)):
            result = only(pipeline.predict(SCENE, index=again))
            # 3.4.3 with L2: empty lists, and its picture raises IndexError.
            assert [box["labels"] for box in result["boxes"]] == [None, None]
            assert result.img["res"].size == (640, 480)


# predict


def test_predict_is_a_generator(pipeline: Pipeline, gallery: IndexData) -> None:
    assert inspect.isgenerator(pipeline.predict(SCENE, index=gallery))


def test_predict_inputs(pipeline: Pipeline, gallery: IndexData, tmp_path: Path) -> None:
    array = cv2.imread(SCENE)
    one, none = str(IMAGES / "scene_1face.png"), str(IMAGES / "scene_0face.png")

    def counts(given: Any) -> list[int]:
        return [len(result["boxes"]) for result in pipeline.predict(given, index=gallery)]

    assert counts(SCENE) == [2]
    assert counts(Path(SCENE)) == [2]
    assert counts(array) == [2]
    assert counts([one, none]) == [1, 0]
    assert counts([array, array]) == [2, 2]
    assert counts([]) == []
    names = [result["input_path"] for result in pipeline.predict(str(IMAGES), index=gallery)]
    assert names == sorted(str(file) for file in IMAGES.iterdir())


def test_predict_dicts_differ_they_are_read(pipeline: Pipeline, gallery: IndexData) -> None:
    """The tutorial documents them (CONTRACT 4); 3.4.3 ignores them, 3.0.0b2 raises."""
    one = str(IMAGES / "scene_1face.png")
    for given, count in (
        ({"img": one}, 1),
        ([{"img": one}, {"img": SCENE}], 2),
        ([{"img": str(IMAGES)}, one], len(list(IMAGES.iterdir())) + 1),
    ):
        assert len(list(pipeline.predict(given, index=gallery))) == count


@pytest.mark.parametrize("given", ["/nope.png", None, 3, {"image": SCENE}, str(PIPELINE), b"x"])
def test_predict_differs_what_can_not_be_read_is_an_error(
    pipeline: Pipeline, gallery: IndexData, given: Any
) -> None:
    """3.4.3 leaves most of these out without a word (issue: bad input has a message)."""
    with pytest.raises(FaceServeError):
        list(pipeline.predict(given, index=gallery))


def test_predict_url_refused(pipeline: Pipeline, gallery: IndexData) -> None:
    with pytest.raises(FaceServeError, match=r"127\.0\.0\.1|not.*public|may not"):
        list(pipeline.predict("http://127.0.0.1:1/x.jpg", index=gallery))


# results


def test_result(pipeline: Pipeline, gallery: IndexData, capsys: pytest.CaptureFixture[str]) -> None:
    result = only(pipeline.predict(SCENE, index=gallery))
    assert list(result) == ["input_path", "boxes"]  # 3.4.3 also keeps the pixels: memory
    assert result["input_path"] == SCENE
    assert_boxes(result["boxes"])
    box = result["boxes"][0]
    assert (type(box["labels"]), type(box["rec_scores"])) == (list, list)
    assert (type(box["det_score"]), type(box["coordinate"])) == (float, list)
    assert result.json == {"res": dict(result)}
    assert json.loads(json.dumps(result.json)) == result.json
    result.print()
    assert json.loads(capsys.readouterr().out) == result.json
    result.print(format_json=False)
    assert "'res'" in capsys.readouterr().out


def test_saving_results(pipeline: Pipeline, gallery: IndexData, tmp_path: Path) -> None:
    result = only(pipeline.predict(SCENE, index=gallery))
    result.save_to_json(str(tmp_path / "out/"))
    result.save_to_json(str(tmp_path / "out2/x.json"))
    result.save_to_img(f"{tmp_path}/out/")
    result.save_to_img(str(tmp_path / "out3/y.png"))
    result.save_all(str(tmp_path / "outall/"))
    found = sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.*"))
    # 3.4.3 appends _res; the tutorial and CONTRACT 4 keep the input's stem.
    assert found == [
        "out/scene_2face.json", "out/scene_2face.png", "out2/x.json", "out3/y.png",
        "outall/scene_2face.json", "outall/scene_2face.png",
    ]  # fmt: skip
    assert json.loads((tmp_path / "out2/x.json").read_text()) == dict(result)
    assert cv2.imread(str(tmp_path / "out3/y.png")).shape == (480, 640, 3)
    assert result.img["res"].size == (640, 480)
    assert result.img["res"].mode == "RGB"


def test_array_results_differ_they_can_be_saved(
    pipeline: Pipeline, gallery: IndexData, tmp_path: Path
) -> None:
    """3.4.3: TypeError, and the pixels stand in the JSON."""
    first, second = pipeline.predict([cv2.imread(SCENE)] * 2, index=gallery)
    assert first["input_path"] is None
    for result in (first, second):
        result.save_to_json(str(tmp_path))
        result.save_to_img(str(tmp_path))
    assert len(list(tmp_path.glob("*.json"))) == len(list(tmp_path.glob("*.png"))) == 2


# thresholds


def test_thresholds_and_top_k(pipeline: Pipeline, gallery: IndexData) -> None:
    def boxes(image: str = SCENE, **asked: Any) -> list[Any]:
        return list(only(pipeline.predict(image, index=gallery, **asked))["boxes"])

    unknown = str(IMAGES / "scene_unk.png")
    (box,) = boxes(unknown, rec_threshold=0.999)
    assert (box["labels"], box["rec_scores"]) == (None, None)
    assert box["det_score"] == pytest.approx(0.9810455441474915, abs=SCORE)
    assert [found["labels"] for found in boxes(rec_topk=1)] == [["ID1"], ["ID2"]]
    assert_boxes(boxes(rec_topk=10))
    assert [found["labels"] for found in boxes(rec_topk=0)] == [None, None]
    # PaddleX: an integer skips the filter, 12 boxes. A threshold is a number here.
    assert boxes(det_threshold=1) == []
    assert len(boxes(det_threshold=0)) == 12


def test_l2_differs_near_ones_are_kept(pipeline: Pipeline) -> None:
    """PaddleX rejects the near ones (CONTRACT 2); 0.4 means the same faces in both metrics."""
    index = pipeline.build_index(DEMO[:3], LABELS[:3], "L2", "Flat")
    boxes = only(pipeline.predict(SCENE, index=index))["boxes"]
    assert [box["labels"] for box in boxes] == [["ID1", "ID2", "ID0"], ["ID2", "ID1", "ID0"]]
    recorded = [0.0003489306, 0.048843965, 0.051715143]
    assert boxes[0]["rec_scores"] == pytest.approx(recorded, abs=SCORE)
    (first, _) = only(pipeline.predict(SCENE, index=index, rec_threshold=0.01))["boxes"]
    assert first["labels"] is not None
    (first, _) = only(pipeline.predict(SCENE, index=index, rec_threshold=0.0))["boxes"]
    assert first["labels"] is None


def test_skipping_what_can_not_be_read(
    pipeline: Pipeline, gallery: IndexData, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.png", "c.png"):
        (tmp_path / name).write_bytes(Path(SCENE).read_bytes())
    (tmp_path / "b.png").write_bytes(Path(SCENE).read_bytes()[:500])
    with pytest.raises(FaceServeError, match=r"b\.png: image is truncated"):
        list(pipeline.predict(str(tmp_path), index=gallery))
    with caplog.at_level(logging.WARNING):
        results = list(pipeline.predict(str(tmp_path), index=gallery, on_error="skip"))
    assert [Path(result["input_path"]).name for result in results] == ["a.png", "c.png"]
    assert "b.png" in caplog.text
