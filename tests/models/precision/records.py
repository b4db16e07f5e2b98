"""Records as a calibration would write them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from serve_app.models.network import Network
from serve_app.models.precision.record import PrecisionRecord, PrecisionRow

FACTS = {"cpu": "one (0123)", "threads": "1", "openvino version": "2026.4"}
NETWORK = Network("SFace", Path("x.onnx"), "fb143eea07838aa5", ("openvino",), dict)


def record(
    *rows: PrecisionRow,
    network: Network = NETWORK,
    mirror: bool = False,
    facts: Mapping[str, str] = FACTS,
) -> PrecisionRecord:
    return PrecisionRecord(
        network=network.name,
        digest=network.digest,
        mirror=mirror,
        facts=dict(facts),
        taken=datetime(2026, 11, 24, 20, 5, tzinfo=UTC),
        images=2425,
        rows=(PrecisionRow(precision="fp32", ms=10.0), *rows),
    )


BF16_ROW = PrecisionRow(precision="bf16", ms=6.0)
INT8_ROW = PrecisionRow(precision="int8-1a2b3c4d", ms=4.0)
