from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve_app.config import PipelineConfig
from serve_app.errors import (
    GalleryMismatchError,
    InvalidImageError,
    InvalidRequestError,
    RejectedPairsError,
)
from serve_app.imaging import ImageLimits
from serve_app.index.index_data import IndexData
from serve_app.pipeline.face_recognition import FaceRecognitionPipeline
from serve_app.pipeline.inputs import InputReader
from serve_app.pipeline.pool import StagePool
from serve_app.pipeline.timings import Timings
from serve_app.types import Embeddings, Metric
from tests.pipeline.networks import BLUE, GREEN, RED, bgr, open_stages, png, tiles


def open_pipeline(workers: int = 2, index: Any = None, **config: Any) -> FaceRecognitionPipeline:
    loaded = PipelineConfig.model_validate(config)
    return FaceRecognitionPipeline(
        loaded,
        StagePool(lambda: open_stages(loaded)),
        InputReader(ImageLimits(), lambda url: b""),
        workers=workers,
        timings=Timings(),
        index=index,
    )


@pytest.fixture
def pipeline() -> FaceRecognitionPipeline:
    return open_pipeline()


@pytest.fixture
def index(pipeline: FaceRecognitionPipeline) -> IndexData:
    return pipeline.build_index([bgr(tiles(RED)), bgr(tiles(GREEN))], ["red", "green"])


def best(results: Iterator[Any]) -> list[str | None]:
    return [box["labels"] and box["labels"][0] for result in results for box in result["boxes"]]


def test_build_predict_append_remove(pipeline: FaceRecognitionPipeline, index: IndexData) -> None:
    picture = bgr(tiles(RED, BLUE))
    assert best(pipeline.predict(picture, index)) == ["red", None]
    same = pipeline.append_index([bgr(tiles(BLUE))], ["blue"], index)
    assert same is index
    assert best(pipeline.predict(picture, index)) == ["red", "blue"]
    pipeline.remove_index([0], index)
    assert best(pipeline.predict(picture, index)) == [None, "blue"]


def test_a_pipelines_own_gallery(
    pipeline: FaceRecognitionPipeline, index: IndexData, tmp_path: Path
) -> None:
    index.save(tmp_path / "saved")
    for given in (index, tmp_path / "saved", str(tmp_path / "saved")):
        assert best(open_pipeline(index=given).predict(bgr(tiles(GREEN)))) == ["green"]
    assert best(pipeline.predict(bgr(tiles(GREEN)), str(tmp_path / "saved"))) == ["green"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"rec_topk": -1}, "rec_topk is -1"),
        ({"on_error": "ignore"}, "write raise or skip"),
        ({"index": None}, "no gallery to search"),
    ],
)
def test_what_is_asked_wrongly_is_told_at_the_call(
    pipeline: FaceRecognitionPipeline, index: IndexData, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        pipeline.predict(bgr(tiles(RED)), **{"index": index, **asked})


def test_an_index_type_that_can_not_work_is_told_before_anything_is_read(
    pipeline: FaceRecognitionPipeline, tmp_path: Path
) -> None:
    (tmp_path / "torn.png").write_bytes(b"x")
    (tmp_path / "gallery.txt").write_text("torn.png A")
    with pytest.raises(InvalidRequestError, match="index type Flta"):
        pipeline.build_index(str(tmp_path), str(tmp_path / "gallery.txt"), index_type="Flta")


def test_a_failed_append_leaves_the_gallery_as_it_was(
    pipeline: FaceRecognitionPipeline, index: IndexData
) -> None:
    images = [bgr(tiles(BLUE)), bgr(tiles((0, 0, 0)))]
    with pytest.raises(RejectedPairsError, match="1 of 2 images failed"):
        pipeline.append_index(images, ["blue", "nobody"], index)
    assert index.id_map == {0: "red", 1: "green"}
    assert best(pipeline.predict(bgr(tiles(BLUE)), index)) == [None]
    other = IndexData.build(
        "Flat", Metric.IP, ["x"], Embeddings("shape@2", np.eye(1, 3, dtype=np.float32))
    )
    with pytest.raises(GalleryMismatchError):
        pipeline.append_index([bgr(tiles(BLUE))], ["blue"], other)
    assert len(other) == 1


def test_memory_does_not_grow_with_the_input(
    pipeline: FaceRecognitionPipeline, index: IndexData, tmp_path: Path
) -> None:
    big = np.zeros((400, 400, 3), dtype=np.uint8)
    big[:20, :20] = RED
    (tmp_path / "a.png").write_bytes(png(big))  # 480 kB of pixels each

    def peak(count: int) -> int:
        tracemalloc.start()
        answers = pipeline.predict([str(tmp_path / "a.png")] * count, index)
        assert sum(len(result["boxes"]) for result in answers) == count
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(50)
    few = max(peak(100) for _ in range(3))
    assert peak(1200) < 2 * few  # all pixels would be 12 times as much


def test_a_camera_is_answered_picture_by_picture(
    pipeline: FaceRecognitionPipeline, index: IndexData
) -> None:
    taken: list[int] = []

    def camera() -> Iterator[Any]:
        for number in range(100):
            taken.append(number)
            yield bgr(tiles(RED))

    answers = pipeline.predict(camera(), index)
    for number in range(5):
        next(answers)
        assert taken == list(range(number + 1))


def test_a_stream_that_is_left_ends_its_threads(
    pipeline: FaceRecognitionPipeline, index: IndexData
) -> None:
    answers = pipeline.predict([bgr(tiles(RED))] * 1000, index)
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    for thread in threading.enumerate():
        if thread.name.startswith("predict"):
            thread.join(5)
            assert not thread.is_alive()


def test_several_threads_and_a_change_meet(
    pipeline: FaceRecognitionPipeline, index: IndexData
) -> None:
    errors: list[Exception] = []

    def look() -> None:
        try:
            for _ in range(5):
                found = best(pipeline.predict([bgr(tiles(RED, GREEN))] * 20, index))
                assert found == ["red", "green"] * 20
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(20):
        pipeline.append_index([bgr(tiles(BLUE))], [f"blue {number}"], index)
        pipeline.remove_index([number + 2], index)
    for thread in threads:
        thread.join()
    assert not errors
    assert index.id_map == {0: "red", 1: "green"}


def test_timings_are_kept(pipeline: FaceRecognitionPipeline, index: IndexData) -> None:
    assert len(list(pipeline.predict([bgr(tiles(RED, GREEN))] * 10, index))) == 10
    report = pipeline.timings.report()
    assert (report.images, report.faces) == (10, 20)
    assert set(report.stages) == {"read and decode", "detect and crop", "embed", "search"}
    assert report.wall_s > 0


@pytest.mark.parametrize("workers", [1, 2])
def test_what_came_before_a_bad_picture_is_answered(workers: int, tmp_path: Path) -> None:
    pipeline = open_pipeline(workers)
    index = pipeline.build_index([bgr(tiles(RED))], ["red"])
    (tmp_path / "torn.png").write_bytes(png(tiles(RED))[:50])
    answers = pipeline.predict([*[bgr(tiles(RED))] * 11, str(tmp_path / "torn.png")], index)
    assert [next(answers)["boxes"][0]["labels"] for _ in range(11)] == [["red"]] * 11
    with pytest.raises(InvalidImageError, match=r"torn\.png: image is truncated"):
        next(answers)
