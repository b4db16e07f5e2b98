"""Runtimes on trial: real processes that follow a script."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serve_app.config.device import Device
from serve_app.errors import ModelError
from serve_app.models.network import Network
from serve_app.models.selection.forms import RunOptions
from serve_app.models.selection.measurement import Row
from serve_app.models.selection.trial import Rules, trial
from tests.models.conversion.onnx_networks import IMAGE, NetworkBuilder
from tests.models.selection.scripts import RULES, network, options, started


def rows(folder: Path, rules: Rules = RULES, /, **runtimes: object) -> dict[str, Row]:
    plain, *others = runtimes
    found = trial(network(folder, **runtimes), plain, others, options(folder), rules)
    assert [row.runtime for row in found] == list(runtimes)
    return {row.runtime: row for row in found}


def test_times_and_differences(tmp_path: Path) -> None:
    found = rows(tmp_path, onnxruntime=8, openvino={"ms": 4, "factor": 1.00001}, paddle=7.5)
    assert {name: row.ms for name, row in found.items()} == {
        "onnxruntime": 8, "openvino": 4, "paddle": 7.5
    }  # fmt: skip
    assert found["onnxruntime"].difference is None
    assert found["paddle"].difference is not None
    assert found["paddle"].difference.startswith("1 - cosine ")
    assert all(row.left_out is None for row in found.values())
    assert all(row.turns_ms == (row.ms,) * 3 for row in found.values())


def test_all_have_the_threads_of_the_run(tmp_path: Path) -> None:
    net = network(tmp_path, onnxruntime=8, paddle=8)
    trial(net, "onnxruntime", ["paddle"], options(tmp_path, threads=5), RULES)
    assert started(tmp_path) == ["onnxruntime 5", "paddle 5"]


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        ({"end": "crash"}, "crashes with SIGABRT"),
        ({"end": "refuse"}, "the network can't be loaded"),
        ({"ms": [1, 1]}, "crashes with SIGABRT"),
        ({"ms": 1, "error": 1}, "answers otherwise than onnxruntime: 1 - cosine 0.002"),
        (
            {"ms": 1, "error": float("nan")},
            "answers otherwise than onnxruntime: values that are not finite",
        ),
    ],
    ids=["crash", "refusal", "crash in a turn", "wrong", "not finite"],
)
def test_one_that_fails_is_left_out(tmp_path: Path, does: dict[str, object], reason: str) -> None:
    found = rows(tmp_path, onnxruntime=8, openvino=does, paddle=7)
    assert found["openvino"].left_out == reason
    assert found["openvino"].ms is None
    assert found["openvino"].turns_ms == ()
    assert found["paddle"].ms == 7


def test_one_that_hangs_is_left_out(tmp_path: Path) -> None:
    rules = replace(RULES, load_deadline_s=8)
    found = rows(tmp_path, rules, onnxruntime=8, openvino={"end": "hang"})
    assert found["openvino"].left_out == "gives no answer in 8 s"
    assert found["onnxruntime"].ms == 8


def test_where_the_plain_one_fails_nothing_is_compared(tmp_path: Path) -> None:
    found = rows(tmp_path, onnxruntime={"end": "refuse"}, openvino=1)
    assert found["onnxruntime"].left_out == "the network can't be loaded"
    assert found["openvino"] == Row(runtime="openvino")


def test_where_the_plain_one_crashes_it_would_crash_us(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="Net: runtime paddle crashes with SIGABRT; choose anoth"):
        rows(tmp_path, paddle={"end": "crash"}, openvino=1)


def test_where_times_vary_there_are_more_turns_and_the_best_counts(tmp_path: Path) -> None:
    noisy = [8, 14, 9, 12, 8.1, 11]
    found = rows(tmp_path, onnxruntime={"ms": noisy}, openvino=7)
    assert found["onnxruntime"].turns_ms == (8, 14, 9, 12, 8.1)  # settled: 8 and 8.1
    assert found["onnxruntime"].ms == 8
    assert len(found["openvino"].turns_ms) == 5
    never = rows(tmp_path, onnxruntime={"ms": [8, 14, 9, 12, 10, 11]}, openvino=7)
    assert len(never["onnxruntime"].turns_ms) == RULES.max_turns


def test_one_that_lags_has_the_first_turns_only(tmp_path: Path) -> None:
    found = rows(
        tmp_path, onnxruntime={"ms": [9, 5, 7, 8, 5.1]}, openvino=4, paddle={"ms": [9, 20, 8.5]}
    )
    assert len(found["paddle"].turns_ms) == RULES.min_turns
    assert len(found["onnxruntime"].turns_ms) == 5
    slow_plain = rows(tmp_path, onnxruntime={"ms": [40, 60, 50, 70, 41]}, openvino=4)
    assert len(slow_plain["onnxruntime"].turns_ms) == 5


def test_real_runtimes_on_a_small_network(tmp_path: Path) -> None:
    builder = NetworkBuilder()
    conv = builder.add("Conv", IMAGE, builder.weights(8, 4, 3, 3))
    builder.output(builder.add("Relu", conv, output="head"))
    image = np.random.default_rng(1).normal(size=(1, 4, 32, 32)).astype(np.float32)
    net = Network(
        "Small", builder.save(tmp_path / "small.onnx"), "0" * 64, ("onnxruntime",),
        lambda: {IMAGE: image, "not an input of it": image},
    )  # fmt: skip
    run = RunOptions("fastest", Device(), 1, tmp_path / "cache")
    found = trial(net, "onnxruntime", ["paddle", "openvino"], run, Rules(turn_s=0.01, max_turns=3))
    for row in found:
        assert row.left_out is None
        assert row.ms is not None
        assert 0.001 < row.ms < 1000
        assert row.difference is None or row.difference.startswith("relative ")
