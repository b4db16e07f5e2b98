"""Must hold 3 of the Python API: the service on Ray and the calling process say the same."""

from __future__ import annotations

from typing import Any

import pytest

from serve_app import create_pipeline
from tests.conformance.replay import PIPELINE
from tests.congruence.pictures import real_pictures, stand_in_pictures
from tests.congruence.scenarios import InProcess, OverHttp, assert_congruent
from tests.integration.service import Service


@pytest.mark.models
@pytest.mark.parametrize("seed", [101, 102])
@pytest.mark.parametrize("networks", ["stand-ins", "real"])
def test_same_answers_over_ray(service: Service, networks: str, seed: int) -> None:
    real = networks == "real"
    prefix = "" if real else "/paddlex"

    def post(operation: str, body: dict[str, Any]) -> Any:
        reply = service.post(f"{prefix}/face-recognition-{operation}", body)
        assert reply.status_code == 200, reply.text
        return reply.json()["result"]

    pipeline = create_pipeline("face_recognition" if real else str(PIPELINE), workers=1)
    pictures = real_pictures() if real else stand_in_pictures()
    known = assert_congruent(OverHttp(post), InProcess(pipeline), pictures, seed=seed, steps=20)
    assert known > 0
