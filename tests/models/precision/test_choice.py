"""Who may choose which precision, and what its embeddings may be mixed with."""

from __future__ import annotations

import dataclasses
from importlib import util
from pathlib import Path

import numpy as np
import pytest

from serve_app.config import ModelConfig, PipelineConfig
from serve_app.config.device import Device
from serve_app.config.pipeline import PrecisionSetting
from serve_app.errors import ConfigError, ModelError
from serve_app.models.conversion.cached import cached_directory
from serve_app.models.network import Network
from serve_app.models.precision import choice
from serve_app.models.precision.choice import (
    PLAIN,
    PrecisionChoice,
    choose_precision,
    open_at,
    why_not,
)
from serve_app.models.precision.precision import BF16, FP16, FP32, Precision
from serve_app.models.precision.record import PrecisionRecords, PrecisionRow
from serve_app.models.runtime.open_vino import has_bf16
from serve_app.models.selection.choice import RunOptions
from serve_app.models.selection.machine import facts
from serve_app.models.zoo.extractors import extractor
from serve_app.models.zoo.opening import open_extractor
from tests.models.precision.records import BF16_ROW, INT8_ROW, NETWORK, record
from tests.models.stand_ins import FunctionSession

INT8 = Precision("int8", "1a2b3c4d")
CPU = Device()


@pytest.fixture(autouse=True)
def able(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What this machine can do: all of it, until a test takes something away."""
    there = {"openvino", "bf16"}
    monkeypatch.setattr(choice, "runs_on", lambda name, _: name in there)
    monkeypatch.setattr(choice, "has_bf16", lambda _: "bf16" in there)
    return there


def keep(cache: Path, *rows: PrecisionRow, threads: int = 1, network: Network = NETWORK) -> None:
    kept = record(*rows, network=network, facts=facts(CPU, threads))
    PrecisionRecords(cache).keep(kept)


def make_int8(cache: Path, digest: str = "1a2b3c4d", network: Network = NETWORK) -> Path:
    """Stands for what NNCF makes."""
    target = cache / f"int8-{network.digest[:12]}-{digest}"
    cached_directory(target, lambda part: _write(part / "model.onnx"))
    return target / "model.onnx"


def _write(file: Path) -> None:
    file.write_bytes(b"int8")


def choose(
    cache: Path,
    wanted: PrecisionSetting = "auto",
    runtime: str = "fastest",
    device: Device = CPU,
    mirror: bool = False,
) -> PrecisionChoice:
    options = RunOptions(runtime, device, 1, cache)
    return choose_precision(NETWORK, wanted, options, mirror=mirror)


def test_without_a_record_it_is_fp32_and_fits_itself_alone(tmp_path: Path) -> None:
    make_int8(tmp_path)
    assert choose(tmp_path) == PLAIN
    assert choose(tmp_path, "fp32") == PLAIN
    assert list(tmp_path.glob("precisions")) == []


def test_the_fastest_that_is_allowed(tmp_path: Path) -> None:
    make_int8(tmp_path)
    keep(tmp_path, BF16_ROW, INT8_ROW)
    assert choose(tmp_path) == PrecisionChoice(INT8, (FP32, BF16))
    keep(tmp_path, BF16_ROW, INT8_ROW.model_copy(update={"lost": ("1:1 accuracy",)}))
    assert choose(tmp_path) == PrecisionChoice(BF16, (FP32,))
    keep(tmp_path, BF16_ROW, INT8_ROW.model_copy(update={"apart": "in a gallery of fp32"}))
    assert choose(tmp_path) == PrecisionChoice(BF16, (FP32,))


def test_use_hpip_alone_asks_for_it(tmp_path: Path) -> None:
    """What is said of mixing holds whoever chose."""
    keep(tmp_path, BF16_ROW)
    for wanted, runtime in (("auto", "auto"), ("auto", "openvino"), ("fp32", "fastest")):
        assert choose(tmp_path, wanted, runtime) == PrecisionChoice(FP32, (BF16,))  # type: ignore[arg-type]
    assert choose(tmp_path, mirror=True) == PLAIN


def test_a_gpus_record_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was checked on the processor says nothing of fp32 on the GPU beside it, nor of fp16."""
    gpu = Device("gpu", 0)
    keep(tmp_path, BF16_ROW)
    assert choose(tmp_path, device=gpu) == PLAIN
    row = PrecisionRow(precision="fp16", ms=3.0)
    PrecisionRecords(tmp_path).keep(record(row, facts=facts(gpu, 1)))
    assert choose(tmp_path, device=gpu) == PrecisionChoice(FP16, (FP32,))
    assert choose(tmp_path, "fp32", device=gpu) == PrecisionChoice(FP32, (FP16,))
    assert choose(tmp_path, runtime="auto", device=gpu) == PrecisionChoice(FP32, (FP16,))
    assert choose(tmp_path) == PrecisionChoice(BF16, (FP32,))
    assert choose(tmp_path, device=Device("npu", 0)).precision == FP32
    monkeypatch.setattr(choice, "why_not_fp16", lambda _: None)
    assert choose(tmp_path, "fp16", "paddle", gpu) == PrecisionChoice(FP16, (FP32,))


def test_fp16_unchecked_is_taken_with_a_warning_and_mixed_with_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(choice, "why_not_fp16", lambda _: None)
    assert choose(tmp_path, "fp16", device=Device("gpu", 0)) == PrecisionChoice(FP16)
    assert "how accurate fp16 is was not checked on this machine" in caplog.text
    with pytest.raises(ConfigError, match="bf16 is for the CPU, the device is gpu:0"):
        choose(tmp_path, "bf16", device=Device("gpu", 0))


def test_fp16_on_a_cpu(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="GPUs, the device is cpu; choose auto or fp32"):
        choose(tmp_path, "fp16")


def test_what_is_hardly_faster_is_not_worth_it(tmp_path: Path) -> None:
    keep(tmp_path, BF16_ROW.model_copy(update={"ms": 9.6}))
    assert choose(tmp_path) == PrecisionChoice(FP32, (BF16,))
    keep(tmp_path, BF16_ROW.model_copy(update={"ms": 9.5}))
    assert choose(tmp_path).precision == BF16


def test_times_of_other_threads_or_runtimes_choose_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keep(tmp_path, BF16_ROW, threads=4)
    assert choose(tmp_path) == PrecisionChoice(FP32, (BF16,))
    assert "measured with other runtimes or threads, so it runs in fp32" in caplog.text


def test_an_int8_network_that_is_gone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keep(tmp_path, INT8_ROW)
    make_int8(tmp_path).write_bytes(b"changed")
    assert choose(tmp_path).precision == FP32
    assert "int8-1a2b3c4d is not whole in the cache" in caplog.text


def test_what_is_named_is_taken_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_int8(tmp_path)
    assert choose(tmp_path, "bf16", "auto") == PrecisionChoice(BF16)
    assert choose(tmp_path, "int8", "openvino") == PrecisionChoice(INT8)
    assert caplog.text.count("was not checked on this machine") == 2
    caplog.clear()
    keep(tmp_path, BF16_ROW, INT8_ROW.model_copy(update={"lost": ("1:1: 98 %, not 99 %",)}))
    assert choose(tmp_path, "bf16") == PrecisionChoice(BF16, (FP32,))
    assert caplog.text == ""
    assert choose(tmp_path, "int8") == PrecisionChoice(INT8)
    assert "int8-1a2b3c4d is less accurate than fp32: 1:1: 98 %, not 99 %" in caplog.text


def test_int8_is_the_network_that_was_made_last(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none was made here: face-serve models calibrate"):
        choose(tmp_path, "int8")
    make_int8(tmp_path)
    make_int8(tmp_path, "99999999")
    make_int8(tmp_path, "00000000", dataclasses.replace(NETWORK, digest="of another network"))
    keep(tmp_path, INT8_ROW)
    assert choose(tmp_path, "int8") == PrecisionChoice(Precision("int8", "99999999"))


def test_what_a_machine_can_not_run(tmp_path: Path, able: set[str]) -> None:
    make_int8(tmp_path)
    options = RunOptions("auto", CPU, 1, tmp_path)
    assert why_not("bf16", options) is None
    with pytest.raises(ConfigError, match="is for the CPU, the device is gpu:0; choose auto or fp"):
        choose(tmp_path, "bf16", device=Device("gpu", 0))
    able.remove("bf16")
    with pytest.raises(ConfigError, match="OpenVINO finds a processor without it"):
        choose(tmp_path, "bf16")
    assert choose(tmp_path, "int8").precision == INT8
    able.remove("openvino")
    for wanted in ("bf16", "int8"):
        with pytest.raises(ConfigError, match=f"precision {wanted} needs OpenVINO"):
            choose(tmp_path, wanted)


def test_how_each_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Path, str, bool, bool]] = []

    def opened(network: Network, runtime: str, options: RunOptions) -> FunctionSession:
        seen.append((network.path, runtime, options.bf16, options.fp16))
        return FunctionSession(lambda x: {"y": x})

    monkeypatch.setattr(choice, "open_in", opened)
    monkeypatch.setattr(choice, "open_network", lambda n, o: opened(n, o.runtime, o))
    options = RunOptions("fastest", CPU, 1, tmp_path)
    with pytest.raises(ModelError, match="int8-1a2b3c4d is not whole in the cache"):
        open_at(NETWORK, INT8, options)
    file = make_int8(tmp_path)
    monkeypatch.setattr(choice, "fp16_runtime", lambda *_: "paddle")
    for precision in (FP32, FP16, BF16, INT8):
        open_at(NETWORK, precision, options)
    assert seen == [
        (NETWORK.path, "fastest", False, False),
        (NETWORK.path, "paddle", False, True),
        (NETWORK.path, "openvino", True, False),
        (file, "openvino", False, False),
    ]


@pytest.mark.models
@pytest.mark.skipif(not has_bf16(CPU), reason="OpenVINO finds no bf16 on this processor")
def test_the_embedded_extractor(cache_dir: Path, tmp_path: Path) -> None:
    """The record alone makes use_hpip choose, and fp32 accept what was chosen."""
    network, _ = extractor(PipelineConfig(), cache_dir)

    def opened(**options: object) -> tuple[str, frozenset[str], np.ndarray]:
        model = ModelConfig.model_validate({"model_name": "SFace", **options})
        stage = open_extractor(PipelineConfig(extractor=model), cache_dir)
        crops = np.random.default_rng(3).integers(0, 256, (2, 112, 112, 3), dtype=np.uint8)
        return stage.model_id, stage.compatible_with, stage.extract(crops).vectors

    plain_id, others, plain = opened()
    assert (plain_id, others) == ("SFace@fb143eea0783", frozenset())
    named_id, others, named = opened(precision="bf16")
    assert (named_id, others) == (f"{plain_id}+bf16", frozenset())
    cosines = np.einsum("nd,nd->n", plain, named)
    assert (cosines > 0.99).all()
    assert (cosines < 1 - 1e-7).any()
    keep(cache_dir, BF16_ROW, network=network)
    try:
        assert opened(runtime="fastest")[:2] == (f"{plain_id}+bf16", frozenset({plain_id}))
        assert opened()[:2] == (plain_id, frozenset({f"{plain_id}+bf16"}))
        assert opened(mirror=True)[:2] == (f"{plain_id}+mirror", frozenset())
    finally:
        for file in (cache_dir / "precisions").iterdir():
            file.unlink()


@pytest.mark.skipif(util.find_spec("paddle2onnx") is None, reason="paddle2onnx is not installed")
@pytest.mark.skipif(not has_bf16(CPU), reason="OpenVINO finds no bf16 on this processor")
def test_a_network_in_paddles_form(official_models: dict[str, Path], tmp_path: Path) -> None:
    crops = np.random.default_rng(3).integers(0, 256, (2, 112, 112, 3), dtype=np.uint8)
    made = []
    for precision in ("fp32", "bf16"):
        model = ModelConfig(
            model_name="mine", model_dir=official_models["MobileFaceNet"], precision=precision
        )
        stage = open_extractor(PipelineConfig(extractor=model), tmp_path)
        made.append((stage.model_id, stage.extract(crops).vectors))
    (plain_id, plain), (lower_id, lower) = made
    assert lower_id == f"{plain_id}+bf16"
    assert (np.einsum("nd,nd->n", plain, lower) > 0.99).all()
