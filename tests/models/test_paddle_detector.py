from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serve_app.models.inference_yml import DetectorForm, Normalise
from serve_app.models.paddle_detector import PaddleDetector, decode
from tests.models.stand_ins import FunctionSession

PLAIN = Normalise(1.0, (0, 0, 0), (1, 1, 1))


def rows(*values: list[float]) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32).reshape(-1, 6)


def test_rules_of_paddlex() -> None:
    found = decode(
        rows(
            [0, 0.9, 10.5, 20.25, 30, 40],
            [0, 0.5, 1, 1, 9, 9],  # not above the threshold
            [-1, 0.9, 1, 1, 9, 9],  # no class: padding
            [0, 0.8, -5, 90, 120, 130],  # beyond the image
            [0, 0.7, 50, 50, 50.4, 60],  # less than a pixel wide
        ),
        0.5, 100, 110,
    )  # fmt: skip
    assert [detection.box for detection in found] == [(10.5, 20.25, 30, 40), (0, 90, 110, 100)]
    assert [detection.score for detection in found] == pytest.approx([0.9, 0.8])
    assert all(detection.landmarks is None for detection in found)


def test_order_is_the_networks() -> None:
    found = decode(rows([0, 0.6, 0, 0, 5, 5], [0, 0.9, 10, 10, 20, 20]), 0.5, 50, 50)
    assert [detection.score for detection in found] == pytest.approx([0.6, 0.9])


@pytest.mark.parametrize(
    ("target", "shape", "scale"), [(None, (40, 60), (1, 1)), ((80, 30), (80, 30), (2, 0.5))]
)
def test_inputs_as_the_network_was_exported(
    target: tuple[int, int] | None, shape: tuple[int, int], scale: tuple[float, float]
) -> None:
    names = ("im_shape", "image", "scale_factor")

    def network(_: Any) -> dict[str, NDArray[Any]]:
        return {"boxes": rows([0, 0.9, 1, 2, 30, 31]), "box_num": np.array([1], dtype=np.int32)}

    session = FunctionSession(network, names)
    detector = PaddleDetector(session, DetectorForm("x", PLAIN, target, 2))
    (found,) = detector.detect(np.full((40, 60, 3), 7, dtype=np.uint8), 0.5)
    assert found.box == (1, 2, 30, 31)
    inputs = session.seen[0]
    assert inputs["image"].shape == (1, 3, *shape)
    assert inputs["im_shape"].tolist() == [list(shape)]
    assert inputs["scale_factor"].tolist() == [list(scale)]
    assert all(tensor.dtype == np.float32 for tensor in inputs.values())
