"""What ``paddle.tensorrt`` is asked for, by a stand-in: there was no GPU to run it on."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serve_app.config.device import Device
from serve_app.errors import ConfigError, ModelError
from serve_app.models.conversion.paddle_module import import_paddle
from serve_app.models.runtime.paddle_tensorrt import with_engines
from serve_app.models.runtime.session import Tensors
from tests.models.paddle_networks import network_files

GPU = Device("gpu", 1)
EXAMPLE: Tensors = {
    "x": np.random.default_rng(0).normal(size=(4, 3, 112, 112)).astype(np.float32),
    "im_shape": np.zeros((1, 2), dtype=np.float32),
}


class Export:
    """``paddle.tensorrt.export``: Input, TensorRTConfig, PrecisionMode, convert."""

    PrecisionMode = SimpleNamespace(FP32="FP32", FP16="FP16")

    def __init__(self) -> None:
        self.conversions: list[tuple[str, Any]] = []
        self.fails = False

    def Input(  # noqa: N802
        self, *, warmup_data: tuple[NDArray[Any], ...], input_data_type: None, name: str
    ) -> Any:
        return SimpleNamespace(samples=warmup_data, type=input_data_type, name=name)

    def TensorRTConfig(self, **options: Any) -> Any:  # noqa: N802
        return SimpleNamespace(**options)

    def convert(self, model_path: str, config: Any) -> None:
        self.conversions.append((model_path, config))
        if self.fails:
            raise RuntimeError("no kernel (at /paddle/x.cc:1)")
        for suffix in (".json", ".pdiparams"):
            Path(config.save_model_dir + suffix).write_bytes(b"converted")


@pytest.fixture
def export(monkeypatch: pytest.MonkeyPatch) -> Export:
    stand_in = Export()
    monkeypatch.setitem(sys.modules, "paddle.tensorrt.export", stand_in)
    cuda = import_paddle().device.cuda
    monkeypatch.setattr(cuda, "get_device_name", lambda number: f"GPU of kind {number}")
    return stand_in


@pytest.mark.parametrize("form", ["json32", "pdmodel32"])
def test_is_converted_once_for_batches_of_one_up_to_the_examples(
    paddle_forms: Path, tmp_path: Path, export: Export, form: str
) -> None:
    files = network_files(paddle_forms / form)
    network, parameters = with_engines(*files, GPU, tmp_path, EXAMPLE)
    assert with_engines(*files, GPU, tmp_path, EXAMPLE) == (network, parameters)
    assert (network.name, parameters.name) == ("inference.json", "inference.pdiparams")
    assert network.read_bytes() == parameters.read_bytes() == b"converted"
    ((path, config),) = export.conversions
    assert path == str(files[0])
    assert config.save_model_dir == str(network.with_suffix(""))
    assert config.min_subgraph_size == 3
    assert config.precision_mode == "FP32"
    assert config.workspace_size == 1 << 30
    (given,) = config.inputs
    assert (given.name, given.type) == ("x", None)
    assert [len(sample) for sample in given.samples] == [1, 4, 4]
    np.testing.assert_array_equal(given.samples[1], EXAMPLE["x"])


def test_other_shapes_and_other_gpus_have_engines_of_their_own(
    paddle_forms: Path, tmp_path: Path, export: Export
) -> None:
    files = network_files(paddle_forms / "json32")
    larger = {"x": np.zeros((8, 3, 112, 112), dtype=np.float32)}
    made = {
        with_engines(*files, Device("gpu", 1), tmp_path, EXAMPLE),
        with_engines(*files, Device("gpu", 0), tmp_path, EXAMPLE),
        with_engines(*files, Device("gpu", 1), tmp_path, larger),
    }
    assert len(made) == len(export.conversions) == 3


def test_fp16_has_engines_of_its_own(paddle_forms: Path, tmp_path: Path, export: Export) -> None:
    files = network_files(paddle_forms / "json32")
    for _ in range(2):
        made = {with_engines(*files, GPU, tmp_path, EXAMPLE, fp16=fp16) for fp16 in (False, True)}
        assert len(made) == 2
    assert [config.precision_mode for _, config in export.conversions] == ["FP32", "FP16"]


def test_a_conversion_that_failed_is_tried_again(
    paddle_forms: Path, tmp_path: Path, export: Export
) -> None:
    files = network_files(paddle_forms / "json32")
    export.fails = True
    message = r"^json32/inference\.json can't be converted by TensorRT: no kernel$"
    with pytest.raises(ModelError, match=message):
        with_engines(*files, GPU, tmp_path, EXAMPLE)
    export.fails = False
    assert with_engines(*files, GPU, tmp_path, EXAMPLE)[0].exists()


def test_what_it_can_not_be_used_for(paddle_forms: Path, tmp_path: Path, export: Export) -> None:
    files = network_files(paddle_forms / "json32")
    with pytest.raises(ConfigError, match="paddle-tensorrt needs example inputs"):
        with_engines(*files, GPU, tmp_path, None)
    free = tmp_path / "BlazeFace"
    free.mkdir()
    text = files[0].read_text(encoding="utf-8").replace("[-1,3,112,112]", "[-1,3,-1,-1]")
    (free / "inference.json").write_text(text, encoding="utf-8")
    message = r"needs a fixed size of image, BlazeFace/inference\.json takes any; choose auto$"
    with pytest.raises(ConfigError, match=message):
        with_engines(free / "inference.json", files[1], GPU, tmp_path, EXAMPLE)
    assert export.conversions == []
