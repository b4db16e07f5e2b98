from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from serve_app.errors import FaceServeError, GalleryMismatchError, InvalidImageError
from serve_app.imaging import ImageLimits
from serve_app.index.index_data import IndexData
from serve_app.pipeline.inputs import InputReader
from serve_app.pipeline.pool import StagePool
from serve_app.pipeline.recognition import Asked, Recogniser
from serve_app.pipeline.results import FaceResult
from serve_app.pipeline.timings import Timings
from serve_app.types import Embeddings, Metric
from tests.pipeline.networks import BLUE, GREEN, RED, UNUSABLE, bgr, open_stages, tiles

ASKED = Asked(0.6, None, 0.4, 5, "each", skip_bad=False)
READER = InputReader(ImageLimits(), lambda url: b"")


def unit(*colours: tuple[int, int, int]) -> Embeddings:
    vectors = np.array(colours, dtype=np.float32)
    return Embeddings("colour@1", vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def gallery(metric: Metric = Metric.IP) -> IndexData:
    return IndexData.build("Flat", metric, ["red", "green"], unit(RED, GREEN))


def recognise(given: Any, index: IndexData | None = None, asked: Asked = ASKED) -> list[FaceResult]:
    answers = recognise_or_fail(given, index, asked)
    assert all(isinstance(answer, FaceResult) for answer in answers), answers
    return [answer for answer in answers if isinstance(answer, FaceResult)]


def recognise_or_fail(
    given: Any, index: IndexData | None = None, asked: Asked = ASKED
) -> list[FaceResult | FaceServeError]:
    recogniser = Recogniser(StagePool(open_stages), index or gallery(), asked, Timings())
    return recogniser.recognise(list(READER.expand(given)))


def labels(result: FaceResult) -> list[Any]:
    return [box["labels"] for box in result["boxes"]]


def test_faces_of_several_images_share_one_search() -> None:
    images = [bgr(tiles(RED, GREEN)), bgr(tiles()), bgr(tiles(BLUE)), bgr(tiles(GREEN))]
    results = recognise(images)
    assert [labels(result) for result in results] == [[["red"], ["green"]], [], [None], [["green"]]]
    box = results[0]["boxes"][0]
    assert (box["coordinate"], box["det_score"]) == ([0.0, 0.0, 20.0, 20.0], 0.9)
    assert box["rec_scores"] == [pytest.approx(1, abs=1e-5)]


def test_a_face_that_can_not_be_embedded_is_one_that_nobody_knows() -> None:
    (result,) = recognise([bgr(tiles(RED, UNUSABLE, GREEN))])
    assert labels(result) == [["red"], None, ["green"]]
    (result,) = recognise([bgr(tiles(UNUSABLE))])
    assert labels(result) == [None]


@pytest.mark.parametrize("metric", list(Metric))
def test_the_default_threshold_is_in_the_metrics_terms(metric: Metric) -> None:
    (result,) = recognise([bgr(tiles(RED, BLUE))], gallery(metric))
    assert labels(result) == [["red"], None]


def test_what_is_asked_for() -> None:
    image = [bgr(tiles((150, 120, 10)))]
    (result,) = recognise(image)
    assert labels(result) == [["red", "green"]]
    (result,) = recognise(image, asked=replace(ASKED, top_k=1))
    assert labels(result) == [["red"]]
    (result,) = recognise(image, asked=replace(ASKED, top_k=0))
    assert labels(result) == [None]
    (result,) = recognise(image, asked=replace(ASKED, rec_threshold=0.75))
    assert labels(result) == [["red"]]
    (result,) = recognise(image, asked=replace(ASKED, rec_threshold=0.75, rule="top1"))
    assert labels(result) == [["red", "green"]], "PaddleX: weaker ones ride along"
    (result,) = recognise(image, asked=replace(ASKED, det_threshold=0.95))
    assert labels(result) == []


def test_a_bad_image_is_named_or_left_out(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"not an image")
    images = [bgr(tiles(RED)), str(bad), bgr(tiles(GREEN))]
    first, failure = recognise_or_fail(images)
    assert isinstance(first, FaceResult), "what came before it is answered"
    assert isinstance(failure, InvalidImageError)
    assert "bad.jpg: not an image that can be read" in str(failure)
    with caplog.at_level(logging.WARNING):
        results = recognise(images, asked=replace(ASKED, skip_bad=True))
    assert [labels(result) for result in results] == [[["red"]], [["green"]]]
    assert "bad.jpg" in caplog.text


def test_a_gallery_of_another_model() -> None:
    other = replace(unit(RED), model_id="shape@1")
    index = IndexData.build("Flat", Metric.IP, ["red"], other)
    with pytest.raises(GalleryMismatchError, match=r"colour@1.*shape@1|shape@1.*colour@1"):
        recognise([bgr(tiles(RED))], index)
