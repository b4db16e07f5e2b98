from __future__ import annotations

import cv2
import numpy as np
import pytest

from serve_app.models import dense
from serve_app.models.canvas import Canvas
from serve_app.models.dense import DetectSize, Proposals, detections, fit


@pytest.mark.parametrize(
    ("shape", "scale"),
    [
        ((250, 250), 320 / 250),
        ((320, 100), 1),
        ((500, 600), 1),
        ((2000, 1000), 0.32),
        ((1, 1), 320),
    ],
)
def test_small_images_are_enlarged_and_large_ones_shrunk(
    shape: tuple[int, int], scale: float
) -> None:
    assert DetectSize(320, 640).scale(*shape) == pytest.approx(scale)


@pytest.mark.parametrize("bgr", [True, False])
def test_padded_to_multiples_of_32(bgr: bool) -> None:
    image = np.zeros((40, 70, 3), dtype=np.uint8)
    image[:, :] = (10, 20, 30)
    tensor, scale = fit(image, DetectSize(32, 640), Canvas(), bgr=bgr)
    assert scale == 1
    assert tensor.shape == (1, 3, 64, 96)
    assert tensor.dtype == np.float32
    assert tensor[0, :, 39, 69].tolist() == ([30, 20, 10] if bgr else [10, 20, 30])
    assert not tensor[0, :, 40:].any()
    assert not tensor[0, :, :, 70:].any()


@pytest.mark.parametrize(
    ("size", "seen", "interpolation"),
    [
        (DetectSize(32, 64), (48, 64), cv2.INTER_AREA),
        (DetectSize(400, 400), (300, 400), cv2.INTER_LINEAR),
    ],
)
def test_resized(size: DetectSize, seen: tuple[int, int], interpolation: int) -> None:
    image = np.random.default_rng(3).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    tensor, scale = fit(image, size, Canvas(), bgr=False)
    assert scale == pytest.approx(seen[0] / 120)
    resized = cv2.resize(image, seen[::-1], interpolation=interpolation)
    found = tensor[0, :, : seen[0], : seen[1]].transpose(1, 2, 0)
    np.testing.assert_array_equal(found, resized)


def test_the_narrowest_image() -> None:
    tensor, _ = fit(np.zeros((1, 4000, 3), dtype=np.uint8), DetectSize(), Canvas(), bgr=True)
    assert tensor.shape == (1, 3, 32, 640)


def proposals(*rows: tuple[float, float, float, float, float]) -> Proposals:
    """Boxes with scores; each one's landmarks are its number."""
    values = np.array(rows, dtype=np.float32).reshape(-1, 5)
    points = np.ones((len(rows), 5, 2), dtype=np.float32) * np.arange(len(rows))[:, None, None]
    return Proposals(values[:, :4], values[:, 4], points.astype(np.float32))


def test_of_overlapping_ones_the_best_stays_and_the_best_come_first() -> None:
    found = detections(
        proposals((0, 0, 10, 10, 0.7), (1, 0, 11, 10, 0.9), (50, 50, 60, 60, 0.8)), 1, 100, 100
    )
    assert [face.score for face in found] == pytest.approx([0.9, 0.8])
    assert [face.box for face in found] == [(1, 0, 11, 10), (50, 50, 60, 60)]
    assert [face.landmarks.mean() for face in found if face.landmarks is not None] == [1, 2]


def test_scaled_back_and_clipped() -> None:
    (found,) = detections(proposals((-4, 20, 50, 44, 0.9)), 0.5, 60, 80)
    assert found.box == (0, 40, 80, 60)


def test_what_is_under_a_pixel_is_dropped() -> None:
    rows = [(0, 0, 0.9, 9, 0.9), (20, 20, 29, 20.9, 0.9), (95, 0, 120, 9, 0.9), (5, 5, 6, 6, 0.5)]
    assert [face.score for face in detections(proposals(*rows), 1, 95, 95)] == [0.5]
    assert detections(proposals(), 1, 9, 9) == []


def test_only_so_many_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense, "MAX_PROPOSALS", 2)
    rows = [(20.0 * n, 0.0, 20.0 * n + 10, 10.0, 0.5 + n / 10) for n in range(4)]
    found = detections(proposals(*rows), 1, 200, 200)
    assert [face.score for face in found] == pytest.approx([0.8, 0.7])
