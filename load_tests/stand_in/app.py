"""The service's graph with networks of fixed latency: what ``import_path`` of the stand-in's Serve
file names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ray.serve import Application

from load_tests.stand_in.session import FixedLatency
from serve_app.deployments.app import graph
from serve_app.models.runtime import Session

IMPORT_PATH = "load_tests.stand_in.app:build_app"


@dataclass(frozen=True, slots=True)
class Latencies:
    """Milliseconds: ``first_ms`` of a run of the extractor and ``face_ms`` more a face;
    ``detector_ms`` of an image."""

    first_ms: float = 100.0
    face_ms: float = 10.0
    detector_ms: float = 0.0

    def __call__(self, name: str, session: Session) -> Session:
        """In the place of ``name``'s session (``models.zoo.opening.Watch``)."""
        if name == "extractor":
            return FixedLatency(session, self.first_ms / 1e3, self.face_ms / 1e3)
        return FixedLatency(session, self.detector_ms / 1e3, 0.0)


def build_app(args: Mapping[str, Any]) -> Application:
    """``args``: the service's own, and ``stand_in`` with Latencies."""
    service = {name: value for name, value in args.items() if name != "stand_in"}
    return graph(service, Latencies(**args.get("stand_in", {})))
