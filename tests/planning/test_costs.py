from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from load_tests.report.files import VERSION
from serve_app.errors import ConfigError
from serve_app.planning.costs import (
    BATCH,
    DEFAULT_REPORT,
    REPORT_VERSION,
    REST,
    STAGES,
    StageCost,
    full_batch,
    read_costs,
)

from .reports import COSTS, FACES, report, run, written


def test_the_fit_finds_the_costs_that_a_report_was_made_of(tmp_path: Path) -> None:
    costs = read_costs(written(tmp_path, report()))
    for stage, cost in COSTS.items():
        found = costs.stages[stage]
        assert (found.call_ms, found.image_ms, found.face_ms) == pytest.approx(
            (cost.call_ms, cost.image_ms, cost.face_ms)
        ), stage
    assert costs.cores == 2
    assert costs.replicas == {"Ingress": 1, "Detector": 1, "Extractor": 2, "Index": 1}
    assert costs.memory_mb["Extractor"] == 250
    assert costs.node_mb == 1000
    assert costs.node_cores == pytest.approx(0.1)
    assert costs.faiss_ms == 0.9
    # 30 - 20 ms are 2.33 deviations of the sum of the stages' runs.
    deviation = costs.spread * math.hypot(*(cost.run_ms(1, 1) for cost in COSTS.values()))
    assert 2.33 * deviation == pytest.approx(10)


def test_every_run_of_the_pictures_is_there_to_be_predicted(tmp_path: Path) -> None:
    runs = read_costs(written(tmp_path, report())).runs
    assert [(one.faces, one.clients, one.rate) for one in runs] == [
        (1, 1, None), (1, 8, None), (1, 64, None), (FACES, 1, None), (FACES, 64, None),
        (1, None, 75.0),
    ]  # fmt: skip
    own = sum(report()["sections"]["small"]["service"]["1"]["cpu_ms_by_role"].values()) + 1
    assert runs[0].others == pytest.approx(1.5 - 50 * own / 1e3)


def test_noise_makes_no_cost_negative(tmp_path: Path) -> None:
    content = report()
    # At one client cheaper than in full batches, and the group cheaper than either.
    content["sections"]["small"]["service"]["1"]["cpu_ms_by_role"]["Index"] = 0.3
    content["sections"]["group"]["service"]["64"]["cpu_ms_by_role"]["Index"] = 0.1
    index = read_costs(written(tmp_path, content)).stages["Index"]
    assert min(index.call_ms, index.image_ms, index.face_ms) >= 0


def test_a_batch_holds_so_many_faces() -> None:
    assert [full_batch(faces) for faces in (0.5, 1, 2, 3, 6, 8, 30)] == [16, 8, 4, 2, 1, 1, 1]
    cost = StageCost(8, 1, 2)
    assert cost.run_ms(2, 3) == 22
    assert cost.full_ms(1) == (8 + BATCH * 3) / BATCH


def test_the_benchmark_writes_the_version_that_is_read() -> None:
    assert VERSION == REPORT_VERSION


def test_the_default_is_a_report_of_a_machine_with_a_date() -> None:
    costs = read_costs(DEFAULT_REPORT)
    assert costs.date.startswith("2026-")
    assert costs.machine
    assert costs.stages.keys() == {*STAGES, REST}
    assert len(costs.runs) >= 8


def without(name: str) -> dict[str, Any]:
    content = report()
    del content["sections"][name]
    return content


def changed(**values: object) -> dict[str, Any]:
    return report() | values


BROKEN = report()
BROKEN["sections"]["small"]["service"]["64"] = run(1, BATCH, 150) | {"images_s": 0}
FAILED = report()
FAILED["sections"]["group"]["service"]["64"] = run(6, 1, 30) | {"p99_ms": None}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "is no report of `make bench`"),
        ({"version": 1}, "is no report of `make bench`"),
        (changed(version=2), "has version 2, this face-serve reads 1"),
        ({"sections": {}}, "has version none"),
        (without("group"), "lacks figures of the parts idle, small and group"),
        (without("The idle service"), "lacks figures"),
        (changed(sections=[]), "lacks figures"),
        (changed(facts={"Machine": "a processor", "Date": ""}), "lacks figures"),
        (BROKEN, "lacks figures"),
        (FAILED, "lacks figures"),
    ],
)
def test_what_is_no_report_is_said(content: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        read_costs(written(tmp_path, content))


def test_a_file_that_is_not_json_is_said(tmp_path: Path) -> None:
    file = tmp_path / "report.md"
    file.write_bytes(b"\xff# Benchmark")
    with pytest.raises(ConfigError, match=r"report\.md is not JSON"):
        read_costs(file)
