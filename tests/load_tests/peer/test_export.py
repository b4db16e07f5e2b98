"""The stand-ins for PaddleX's models: they load, answer what is known, and convert to ONNX."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest

from load_tests.peer.export import export
from load_tests.peer.pictures import gallery_pairs, scene
from load_tests.peer.server import pipeline_file
from serve_app.config import parse_pipeline
from serve_app.pipeline import open_pipeline

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("peer")
    export(directory)
    return directory


def test_they_have_as_many_parameters_as_the_networks_they_stand_for(models: Path) -> None:
    def megabytes(name: str) -> float:
        return (models / name / "inference.pdiparams").stat().st_size / 1e6

    assert megabytes("BlazeFace") == pytest.approx(0.447, rel=0.1)  # as the official archives'
    assert megabytes("MobileFaceNet") == pytest.approx(4.1, rel=0.1)


@pytest.mark.parametrize("runtime", ["paddle", "onnxruntime"])
def test_a_person_is_found_and_looks_like_itself_only(
    models: Path, tmp_path: Path, runtime: str
) -> None:
    content = pipeline_file(models) | {"enrol": {"detect": False}}
    for module in content["SubModules"].values():
        module["runtime"] = runtime
    pipeline = open_pipeline(parse_pipeline(content, base=models), tmp_path)
    (face,) = pipeline.detect(base64.b64decode(scene(1)))
    np.testing.assert_allclose(face.box, (170, 180, 290, 305))
    probe = pipeline.extractor.extract(face.crop[np.newaxis]).vectors[0]
    enrolled = [
        pipeline.embed_for_enrolment(base64.b64decode(pair["image"])).vectors[0]
        for pair in gallery_pairs(3)
    ]
    cosines = [float(probe @ vector) for vector in enrolled]
    assert int(np.argmax(cosines)) == 1
    assert cosines[1] > 0.95
