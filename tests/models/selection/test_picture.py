from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from serve_app.config.device import Device
from serve_app.models.conversion.dequantise import dequantised
from serve_app.models.dense import DetectSize
from serve_app.models.runtime import open_session
from serve_app.models.selection.picture import FACES, HEIGHT, WIDTH, picture
from serve_app.models.yunet import YuNetDetector
from serve_app.models.zoo.packaged import packaged_file
from serve_app.models.zoo.table import YUNET


def test_is_always_the_same() -> None:
    image = picture()
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert image.dtype == np.uint8
    assert (picture() == image).all()


@pytest.mark.models
def test_a_detector_finds_the_faces(cache_dir: Path) -> None:
    file = dequantised(packaged_file(YUNET), YUNET.digest, cache_dir)
    session = open_session(
        file, runtime="onnxruntime", device=Device(), threads=1, cache_dir=cache_dir
    )
    found = YuNetDetector(session, DetectSize()).detect(picture(), 0.7)
    middles = sorted(((f.box[0] + f.box[2]) / 2, (f.box[1] + f.box[3]) / 2) for f in found)
    expected = sorted((x, y) for x, y, _ in FACES)
    np.testing.assert_allclose(middles, expected, atol=12)
