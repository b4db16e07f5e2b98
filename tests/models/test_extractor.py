from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serve_app.config import PipelineConfig, default_cache_dir
from serve_app.errors import InvalidImageError, ModelError
from serve_app.models.extractor import ExtractStage
from serve_app.models.inference_yml import IDENTITY
from serve_app.models.zoo.opening import open_extractor
from serve_app.types import Crops
from tests.models.stand_ins import ChoosySession, FunctionSession


def corners(x: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Features of a crop: three of its pixels, so that mirroring changes them."""
    return {"features": x[:, :, 0, 0] + 2 * x[:, :, 0, -1] * np.array([1, 0, 1])}


def stage(max_batch: int = 3, *, mirror: bool = False) -> tuple[ExtractStage, FunctionSession]:
    session = FunctionSession(corners)
    made = ExtractStage(session, IDENTITY, model_id="toy@1", max_batch=max_batch, mirror=mirror)
    return made, session


def crops(count: int, seed: int = 0) -> Crops:
    rng = np.random.default_rng(seed)
    return rng.integers(1, 256, (count, 112, 112, 3), dtype=np.uint8)


def test_embeddings_have_length_one_and_name_their_model() -> None:
    embeddings = stage()[0].extract(crops(4))
    assert embeddings.model_id == "toy@1"
    assert embeddings.vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings.vectors, axis=1), 1, rtol=1e-6)
    assert stage()[0].dimension == 3


def test_batches_are_no_larger_than_allowed_and_change_nothing() -> None:
    made, session = stage(max_batch=3)
    session.seen.clear()
    together = made.extract(crops(7)).vectors
    assert [len(inputs["x"]) for inputs in session.seen] == [3, 3, 1]
    singly = [made.extract(crop[np.newaxis]).vectors[0] for crop in crops(7)]
    np.testing.assert_allclose(together, singly, rtol=1e-6)


def test_each_item_gets_its_own_rows() -> None:
    made, _ = stage()
    items = [crops(2, 1), crops(1, 2), crops(4, 3)]
    answers = made.run(items)
    for item, answer in zip(items, answers, strict=True):
        assert not isinstance(answer, Exception)
        np.testing.assert_allclose(answer.vectors, made.extract(item).vectors, rtol=1e-6)


def test_a_blank_crop_fails_its_own_item_alone() -> None:
    blank = np.zeros((2, 112, 112, 3), dtype=np.uint8)
    blank[0] = 9
    good, bad, also_good = stage()[0].run([crops(1), blank, crops(2)])
    assert isinstance(bad, InvalidImageError)
    assert not isinstance(good, Exception)
    assert not isinstance(also_good, Exception)
    assert np.isfinite(good.vectors).all()
    with pytest.raises(InvalidImageError, match="blank"):
        stage()[0].extract(blank)


def test_mirrored_averaging() -> None:
    plain, mirrored = stage()[0], stage(mirror=True)[0]
    images = crops(5)
    expected = plain.extract(images).vectors + plain.extract(images[:, :, ::-1].copy()).vectors
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    embeddings = mirrored.extract(images)
    np.testing.assert_allclose(embeddings.vectors, expected, rtol=1e-5)
    assert embeddings.model_id == "toy@1+mirror"


def test_what_they_may_be_mixed_with_travels_along_and_is_mirrored_too() -> None:
    for mirror, expected in ((False, {"toy@1+bf16"}), (True, {"toy@1+bf16+mirror"})):
        made = ExtractStage(
            FunctionSession(corners),
            IDENTITY,
            model_id="toy@1",
            max_batch=3,
            mirror=mirror,
            compatible_with=["toy@1+bf16"],
        )
        assert made.compatible_with == expected
        assert made.extract(crops(2)).compatible_with == expected
    assert stage()[0].extract(crops(1)).compatible_with == frozenset()


def test_what_the_network_sees() -> None:
    images = crops(2)
    ((name, values),) = stage()[0].inputs(images).items()
    assert name == "x"
    np.testing.assert_array_equal(values, images.transpose(0, 3, 1, 2))


def test_inputs_lie_where_the_session_wants_them() -> None:
    session = ChoosySession(corners)
    made = ExtractStage(session, IDENTITY, model_id="toy@1", max_batch=3)
    made.extract(crops(5))
    assert [array.size for array in session.given] == [3 * 112 * 112, 3 * 3 * 112 * 112]
    (seen,) = session.seen[-1].values()
    assert np.shares_memory(seen, session.given[-1])


def test_a_network_of_another_form_is_refused() -> None:
    session = FunctionSession(lambda x: {"map": x})
    with pytest.raises(ModelError, match=r"\(N, D\) is expected"):
        ExtractStage(session, IDENTITY, model_id="toy@1", max_batch=3)


@pytest.mark.models
def test_sface_agrees_between_runtimes() -> None:
    images, vectors = crops(5), []
    for runtime in ("onnxruntime", "openvino"):
        config = {"model_name": "SFace", "runtime": runtime, "batch_size": 2}
        stage = open_extractor(
            PipelineConfig.model_validate({"extractor": config}), default_cache_dir(os.environ)
        )
        vectors.append(stage.extract(images).vectors)
    assert vectors[0].shape == (5, 128)
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-4)
