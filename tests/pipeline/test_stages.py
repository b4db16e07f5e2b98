from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from serve_app.config import PipelineConfig, default_cache_dir, load_pipeline
from serve_app.errors import InvalidImageError, NoFaceError, SeveralFacesError
from serve_app.imaging import ImageLimits, decode, encode_jpeg
from serve_app.pipeline import FacePipeline, open_pipeline
from serve_app.types import Embeddings, Image
from tests.conformance.replay import DATA, PIPELINE


@pytest.fixture(scope="module")
def portrait() -> Image:
    data = pytest.importorskip("skimage.data", reason="the portrait comes with scikit-image")
    return np.asarray(data.astronaut(), dtype=np.uint8)


@pytest.fixture(scope="module")
def pipeline() -> FacePipeline:
    return open_pipeline(PipelineConfig(), default_cache_dir(os.environ))


def png(image: Image) -> bytes:
    return bytes(cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1].tobytes())


@pytest.mark.models
def test_the_same_person_is_near_in_another_picture(
    pipeline: FacePipeline, portrait: Image
) -> None:
    mirrored_and_smaller = np.asarray(cv2.resize(portrait[:, ::-1], None, fx=0.5, fy=0.5), np.uint8)
    first, second = (
        pipeline.embed_for_enrolment(png(image)) for image in (portrait, mirrored_and_smaller)
    )
    assert first.vectors.shape == (1, 128)
    assert float(first.vectors[0] @ second.vectors[0]) > 0.8


@pytest.mark.models
def test_a_large_photograph_is_told_as_its_pixels_are(
    pipeline: FacePipeline, portrait: Image
) -> None:
    large = np.asarray(cv2.resize(portrait, (4000, 4000), interpolation=cv2.INTER_CUBIC), np.uint8)
    data = encode_jpeg(large, quality=90)
    assert pipeline.detector.read(data).reduction == 2
    (found,), (expected,) = (pipeline.detect(each) for each in (data, decode(data, ImageLimits())))
    width = expected.box[2] - expected.box[0]
    np.testing.assert_allclose(found.box, expected.box, atol=0.01 * width)
    one, other = pipeline.embed([found.crop, expected.crop])
    assert isinstance(one, Embeddings)
    assert isinstance(other, Embeddings)
    assert float(one.vectors[0] @ other.vectors[0]) > 0.99


@pytest.mark.models
def test_the_largest_face_is_enrolled(pipeline: FacePipeline, portrait: Image) -> None:
    small = cv2.resize(portrait, None, fx=0.5, fy=0.5)[:, ::-1]
    both = np.zeros((512, 768, 3), dtype=np.uint8)
    both[:, :512] = portrait
    both[:256, 512:] = small
    assert len(pipeline.detect(png(both))) == 2
    alone = pipeline.embed_for_enrolment(png(portrait)).vectors[0]
    chosen = pipeline.embed_for_enrolment(png(both)).vectors[0]
    assert float(alone @ chosen) > 0.95

    config = PipelineConfig.model_validate({"enrol": {"faces": "single"}})
    strict = FacePipeline(config, pipeline.detector, pipeline.extractor)
    with pytest.raises(SeveralFacesError):
        strict.embed_for_enrolment(png(both))


@pytest.mark.models
def test_images_that_can_not_be_enrolled(pipeline: FacePipeline) -> None:
    with pytest.raises(NoFaceError):
        pipeline.embed_for_enrolment(png(np.full((200, 200, 3), 90, dtype=np.uint8)))
    with pytest.raises(InvalidImageError):
        pipeline.embed_for_enrolment(b"nothing")


def test_paddlex_way_embeds_the_whole_image(tmp_path: Path) -> None:
    pipeline = open_pipeline(load_pipeline(str(PIPELINE)), tmp_path)
    embeddings = pipeline.embed_for_enrolment((DATA / "images/demo0.png").read_bytes())
    assert embeddings.vectors.shape == (1, 128)
    assert embeddings.model_id.startswith("MobileFaceNet@")
