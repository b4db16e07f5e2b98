"""The embedded extractor at every precision; what is made of photographs is a stand-in here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serve_app.config import ModelConfig, PipelineConfig
from serve_app.config.device import Device
from serve_app.errors import ConfigError
from serve_app.evaluation.precision import extractors as module
from serve_app.evaluation.precision.extractors import PipelineExtractors
from serve_app.models.conversion.cached import cached_directory
from serve_app.models.network import Network
from serve_app.models.precision.precision import Precision
from serve_app.models.runtime import Session, Tensors
from serve_app.models.runtime.open_vino import has_bf16
from serve_app.models.selection.choice import RunOptions, open_network

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def no_race(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which runtime is the fastest at fp32 is not measured: it is the plain one."""

    def measured(*args: object, **_: object) -> object:
        return type("Measured", (), {"chosen": args[1]})

    monkeypatch.setattr("serve_app.models.selection.choice.measured", measured)


def test_fp32_is_in_the_fastest_runtime_whatever_the_file_says(cache_dir: Path) -> None:
    model = ModelConfig(model_name="SFace", precision="bf16", mirror=True)
    made = PipelineExtractors(PipelineConfig(extractor=model), cache_dir, anew=False)
    pipeline = made.plain()
    assert pipeline.extractor.model_id == "SFace@fb143eea0783+mirror"
    assert pipeline.config.extractor.runtime == "fastest"
    assert (made.network.name, made.facts["threads"]) == ("SFace", "1")


@pytest.mark.skipif(not has_bf16(Device()), reason="OpenVINO finds no bf16 on this processor")
def test_bf16(cache_dir: Path) -> None:
    made = PipelineExtractors(PipelineConfig(), cache_dir, anew=False)
    precision, stage = made.lower("bf16", dict)
    assert (str(precision), stage.model_id) == ("bf16", "SFace@fb143eea0783+bf16")
    crops = np.random.default_rng(1).integers(0, 256, (2, 112, 112, 3), dtype=np.uint8)
    plain = made.plain().extractor.extract(crops).vectors
    cosines = np.einsum("nd,nd->n", plain, stage.extract(crops).vectors)
    assert (cosines > 0.99).all()


def test_an_int8_network_is_made_once_unless_another_is_wanted(
    cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Tensors] = []

    def to_int8(network: Path, weights: str, inputs: Tensors, cache: Path) -> str:
        digest = f"{len(given):08}"
        given.append(inputs)
        target = cache / f"int8-{weights[:12]}-{digest}"
        content = network.read_bytes()  # not in int8: that it is loaded is enough here
        cached_directory(target, lambda part: _write(part / "model.onnx", content))
        return digest

    monkeypatch.setattr(module, "to_int8", to_int8)
    once = PipelineExtractors(PipelineConfig(), cache_dir, anew=False)
    for _ in range(2):
        precision, stage = once.lower("int8", lambda: {"data": np.ones(3)})
        assert str(precision) == "int8-00000000"
        assert stage.model_id == "SFace@fb143eea0783+int8-00000000"
    assert [list(inputs) for inputs in given] == [["data"]]
    anew = PipelineExtractors(PipelineConfig(), cache_dir, anew=True)
    assert str(anew.lower("int8", dict)[0]) == "int8-00000001"


def _write(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def test_not_on_other_accelerators(cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "choose_device", lambda _: Device("npu", 0))
    with pytest.raises(ConfigError, match="GPUs, the device is npu:0: set device to cpu"):
        PipelineExtractors(PipelineConfig(), cache_dir, anew=False)


def test_fp16_on_a_gpu(cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session at fp32 stands for it."""
    opened: list[tuple[str, str, int | None]] = []

    def open_at(network: Network, precision: Precision, options: RunOptions) -> Session:
        opened.append((str(precision), str(options.device), options.max_batch))
        return open_network(network, replace(options, runtime="auto", device=Device()))

    monkeypatch.setattr(module, "choose_device", lambda _: Device("gpu", 0))
    monkeypatch.setattr(module, "why_not", lambda *_: None)
    monkeypatch.setattr(module, "open_at", open_at)
    made = PipelineExtractors(PipelineConfig(), cache_dir, anew=False)
    precision, stage = made.lower("fp16", dict)
    assert (str(precision), stage.model_id) == ("fp16", "SFace@fb143eea0783+fp16")
    assert opened == [("fp16", "gpu:0", 8)]


def test_what_the_machine_lacks(cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "why_not", lambda kind, _: f"precision {kind}: no")
    made = PipelineExtractors(PipelineConfig(), cache_dir, anew=False)
    with pytest.raises(ConfigError, match="precision bf16: no"):
        made.lower("bf16", dict)
