"""What is recognised, and how: the pipeline file as the rest of the code sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from serve_app.config.device import parse_device
from serve_app.config.strict import StrictModel
from serve_app.errors import ConfigError, InvalidRequestError
from serve_app.policy import check_key

Runtime = Literal[
    "auto",
    "fastest",
    "paddle",
    "paddle-tensorrt",
    "onnxruntime",
    "onnxruntime-tensorrt",
    "openvino",
]


PrecisionSetting = Literal["auto", "fp32", "fp16", "bf16", "int8"]
LOWER_PRECISION_RUNTIMES = ("auto", "fastest", "openvino")
FP16_RUNTIMES = ("onnxruntime-tensorrt", "paddle-tensorrt", "paddle")
"""On GPUs, the fastest by repute first. ONNX Runtime without TensorRT computes as the file says."""


class ModelConfig(StrictModel):
    """A network: a name of the zoo, or a local directory in Paddle's form.

    ``precision``, of the extractor: ``auto`` is fp32, but with ``runtime: fastest`` the fastest
    that ``face-serve models calibrate`` found to be as accurate on this machine. ``fp16`` is for
    GPUs, ``bf16`` and ``int8`` are for CPUs.
    """

    model_name: str
    model_dir: Path | None = None
    batch_size: int = Field(8, ge=1, le=1024)
    runtime: Runtime = "auto"
    threads: int = Field(1, ge=1, le=256)
    mirror: bool = False
    precision: PrecisionSetting = "auto"

    @model_validator(mode="after")
    def _runtime_has_the_precision(self) -> Self:
        lower = self.precision in ("bf16", "int8")
        if lower and self.runtime not in LOWER_PRECISION_RUNTIMES:
            raise ValueError(
                f"precision {self.precision} runs in OpenVINO alone, but runtime is {self.runtime}"
            )
        if self.precision == "fp16" and self.runtime not in ("auto", "fastest", *FP16_RUNTIMES):
            raise ValueError(
                f"runtime {self.runtime} does not compute in fp16; choose auto or "
                f"{' or '.join(FP16_RUNTIMES)}, or precision fp32"
            )
        return self


class DetectSizeConfig(StrictModel):
    """Long side of what YuNet sees, in pixels: smaller images are enlarged, larger ones shrunk."""

    smallest: int = Field(320, ge=32, le=4096)
    largest: int = Field(640, ge=32, le=4096)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.smallest > self.largest:
            raise ValueError("smallest must not be above largest")
        return self


class EnrolConfig(StrictModel):
    """How an image becomes a template. ``detect: false`` embeds it whole, PaddleX's way."""

    detect: bool = True
    faces: Literal["largest", "single"] = "largest"


class CompatConfig(StrictModel):
    """``top1`` tests the best candidate only and keeps the weaker ones with it, as PaddleX does."""

    threshold: Literal["each", "top1"] = "each"


class PipelineConfig(StrictModel):
    """``device``: left out, a GPU if one is there, else the CPU. ``index`` is the gallery of
    requests that name none: a key for the service, an index directory in-process.
    ``rec_threshold`` is a cosine."""

    detector: ModelConfig = ModelConfig(model_name="YuNet")
    extractor: ModelConfig = ModelConfig(model_name="SFace")
    device: str | None = None
    det_threshold: float = Field(0.6, allow_inf_nan=False)
    rec_threshold: float = Field(0.4, allow_inf_nan=False)
    top_k: int = Field(5, ge=1, le=1000)
    index: str | None = None
    max_faces: int = Field(256, ge=1)
    detect_size: DetectSizeConfig = DetectSizeConfig()
    enrol: EnrolConfig = EnrolConfig()
    compat: CompatConfig = CompatConfig()

    @field_validator("device")
    @classmethod
    def _device_string(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                parse_device(value)
            except ConfigError as error:
                raise ValueError(str(error)) from None
        return value

    @field_validator("detector")
    @classmethod
    def _nothing_of_the_extractor(cls, value: ModelConfig) -> ModelConfig:
        if value.mirror:
            raise ValueError("mirror is an option of the extractor (Recognition)")
        if value.precision != "auto":
            raise ValueError("precision is an option of the extractor (Recognition)")
        return value


def check_served_index(config: PipelineConfig) -> None:
    """What a service calls its default gallery must be a gallery's key. Raises ConfigError."""
    if config.index is not None:
        try:
            check_key(config.index)
        except InvalidRequestError as error:
            raise ConfigError(f"index: {error}") from None
