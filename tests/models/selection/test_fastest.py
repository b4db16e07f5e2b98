"""The fastest is chosen, if it is clearly so; what was measured is remembered, for this alone."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve_app.config.device import Device
from serve_app.models.network import Network
from serve_app.models.selection import fastest, forms, machine
from serve_app.models.selection.fastest import measured
from serve_app.models.selection.forms import RunOptions
from serve_app.models.selection.measurement import Measurement, Row
from tests.models.selection.scripts import RULES, network, options, started


def measure(
    folder: Path, net: Network, run: RunOptions | None = None, *, again: bool = False
) -> Measurement:
    return measured(net, "onnxruntime", run or options(folder), RULES, again=again)


class TrialOf:
    """A trial whose outcome is known: a runtime's turns, in milliseconds, or why it is left out."""

    def __init__(self, **outcome: list[float] | str) -> None:
        self._outcome = outcome
        self.held = 0

    def __call__(self, _: Network, plain: str, others: Sequence[str], *__: Any) -> list[Row]:
        self.held += 1
        return [self._row(name) for name in (plain, *others)]

    def _row(self, runtime: str) -> Row:
        outcome = self._outcome[runtime]
        if isinstance(outcome, str):
            return Row(runtime=runtime, left_out=outcome)
        return Row(runtime=runtime, ms=min(outcome), turns_ms=tuple(outcome))


@pytest.mark.parametrize(
    ("openvino", "paddle", "chosen"),
    [
        ([4, 4, 4], [6, 6, 6], "openvino"),
        ([6, 6, 6], [4, 4, 4], "paddle"),
        ([9, 9, 9], [12, 12, 12], "onnxruntime"),
        ([7.7, 7.7, 7.7], [12, 12, 12], "onnxruntime"),  # 4 % is not clearly
        ([7.5, 7.5, 7.5], [12, 12, 12], "openvino"),
        ("answers otherwise", [4, 4, 4], "paddle"),
        ("crashes with SIGABRT", "crashes with SIGSEGV", "onnxruntime"),
        ([4, 9, 9, 9], [9, 9, 9, 9], "onnxruntime"),  # fast once: luck
        ([4, 4, 4, 9], [20, 20, 20], "openvino"),
    ],
)
def test_the_fastest_is_chosen_if_it_is_clearly_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    openvino: list[float] | str,
    paddle: list[float] | str,
    chosen: str,
) -> None:
    monkeypatch.setattr(
        fastest, "trial", TrialOf(onnxruntime=[8, 8, 8, 8], openvino=openvino, paddle=paddle)
    )
    found = measure(tmp_path, network(tmp_path))
    assert (found.plain, found.chosen) == ("onnxruntime", chosen)
    assert found.images == 4
    assert [row.runtime for row in found.rows] == ["onnxruntime", "paddle", "openvino"]


def test_one_that_is_left_out_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    net = network(tmp_path, onnxruntime=8, openvino={"end": "crash"}, paddle=9)
    measure(tmp_path, net)
    (warning,) = (r for r in caplog.records if r.levelno == logging.WARNING)
    assert warning.getMessage() == "Net: runtime openvino is left out: crashes with SIGABRT"


def test_one_that_is_not_installed_is_in_the_table_without_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(forms, "is_installed", lambda name: name != "openvino")
    found = measure(tmp_path, network(tmp_path, onnxruntime=8, paddle=4))
    assert found.row("openvino").left_out == "not installed"
    assert found.chosen == "paddle"
    assert started(tmp_path) == ["onnxruntime 1", "paddle 1"]
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_where_the_plain_one_fails_it_stays_and_nothing_is_remembered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    net = network(tmp_path, onnxruntime={"end": "refuse"}, openvino=1, paddle=1)
    for times in (1, 2):
        assert measure(tmp_path, net).chosen == "onnxruntime"
        assert len(started(tmp_path)) == times * 3
    assert "fails and stays, being the plain one: the network can't be loaded" in caplog.text


# --- remembered ---


def test_is_measured_once(tmp_path: Path) -> None:
    net = network(tmp_path, onnxruntime=8, openvino=4, paddle=9)
    first = measure(tmp_path, net)
    assert measure(tmp_path, net) == first
    assert len(started(tmp_path)) == 3
    again = measure(tmp_path, net, again=True)
    assert len(started(tmp_path)) == 6
    assert measure(tmp_path, net) == again
    assert len(started(tmp_path)) == 6


@pytest.fixture
def net(tmp_path: Path) -> Network:
    return network(tmp_path)


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> TrialOf:
    trial = TrialOf(onnxruntime=[8, 8], openvino=[4, 4], paddle=[9, 9])
    monkeypatch.setattr(fastest, "trial", trial)
    return trial


Change = Callable[[Network, RunOptions, pytest.MonkeyPatch], tuple[Network, RunOptions]]


def other_threads(net: Network, run: RunOptions, _: Any) -> tuple[Network, RunOptions]:
    return net, replace(run, threads=2)


def other_weights(net: Network, run: RunOptions, _: Any) -> tuple[Network, RunOptions]:
    return replace(net, digest="e" * 64), run


def other_inputs(net: Network, run: RunOptions, _: Any) -> tuple[Network, RunOptions]:
    return replace(net, example=lambda: {"x": np.zeros((4, 3, 16, 8), dtype=np.float32)}), run


def other_cache(net: Network, run: RunOptions, _: Any) -> tuple[Network, RunOptions]:
    return net, replace(run, cache_dir=run.cache_dir / "other")


def other_version(
    net: Network, run: RunOptions, patch: pytest.MonkeyPatch
) -> tuple[Network, RunOptions]:
    patch.setattr(machine, "version", lambda module: "99" if module == "openvino" else "1")
    return net, run


def other_processor(
    net: Network, run: RunOptions, patch: pytest.MonkeyPatch
) -> tuple[Network, RunOptions]:
    patch.setattr(machine, "_cpu", lambda _: "another one")
    return net, run


@pytest.mark.parametrize(
    "change",
    [other_threads, other_weights, other_inputs, other_cache, other_version, other_processor],
)
def test_is_measured_anew_for_anything_else(
    tmp_path: Path, net: Network, trials: TrialOf, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    measure(tmp_path, net)
    changed, run = change(net, options(tmp_path), monkeypatch)
    measure(tmp_path, changed, run)
    assert trials.held == 2
    measure(tmp_path, changed, run)
    assert trials.held == 2


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


def of_another_format(file: Path) -> None:
    file.write_text(file.read_text().replace('"format": 1', '"format": 0'))


def of_another_network(file: Path) -> None:
    file.write_text(file.read_text().replace("d" * 64, "e" * 64))


def of_another_machine(file: Path) -> None:
    content = json.loads(file.read_text())
    content["facts"]["cpu"] = "another one"
    file.write_text(json.dumps(content))


def of_another_plain_one(file: Path) -> None:
    file.write_text(file.read_text().replace('"plain": "onnxruntime"', '"plain": "paddle"'))


def that_chose_what_it_did_not_measure(file: Path) -> None:
    file.write_text(file.read_text().replace('"chosen": "openvino"', '"chosen": "tensorrt"'))


def with_something_else_in_it(file: Path) -> None:
    file.write_text('{"hello": [1, 2]}')


def empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize(
    "damage",
    [
        cut, of_another_format, of_another_network, of_another_machine, of_another_plain_one,
        that_chose_what_it_did_not_measure, with_something_else_in_it, empty,
    ],
)  # fmt: skip
def test_a_spoilt_or_foreign_file_is_measured_anew(
    tmp_path: Path, net: Network, trials: TrialOf, damage: Callable[[Path], None]
) -> None:
    first = measure(tmp_path, net)
    (file,) = (tmp_path / "cache" / "runtimes").glob("Net-*.json")
    good = file.read_text()
    damage(file)
    assert file.read_text() != good
    assert measure(tmp_path, net).chosen == first.chosen
    assert trials.held == 2
    measure(tmp_path, net)
    assert trials.held == 2


MEASURE = """
import sys
from pathlib import Path
from serve_app.models.selection.fastest import measured
from tests.models.selection.scripts import RULES, network, options
folder = Path(sys.argv[1])
net = network(folder, onnxruntime=8, openvino=4, paddle=9)
sys.stdin.readline()
print(measured(net, "onnxruntime", options(folder), RULES).model_dump_json())
"""


def test_two_processes_at_once_measure_once(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MEASURE, str(tmp_path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert len(set(outputs)) == 1, "the second waited, and took what the first had measured"
    assert Measurement.model_validate_json(outputs[0]).chosen == "openvino"
    assert len(started(tmp_path)) == 3


def test_a_device_with_one_runtime_has_nothing_to_measure(tmp_path: Path) -> None:
    net = network(tmp_path, paddle=8)
    run = replace(options(tmp_path), device=Device("npu", 0))
    found = fastest.measured(net, "paddle", run, RULES)
    assert found.chosen == "paddle"
    assert [row.runtime for row in found.rows] == ["paddle"]
