"""Stand-ins for the six official models: their inputs, outputs and ``inference.yml``, and answers
that can be worked out by hand. Exported with Paddle, as the official ones were.

A detector finds one rectangle of each of three colours, by what those become after normalisation: a
wrong channel order, mean or std finds none. Where it is comes out through ``im_shape`` and
``scale_factor``, so that heights in the place of widths show. A score is the brightest value of one
channel: cubic interpolation overshoots at edges, linear does not. An extractor is a fixed
projection of the 8 x 8 means of the normalised crop.

Run as a program in a process of its own: whether Paddle writes ``inference.json`` or
``inference.pdmodel`` is decided by FLAGS_enable_pir_api when it is imported.
"""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
COLOURS = np.array([(210, 90, 30), (60, 170, 110), (120, 40, 190)], dtype=np.uint8)
"""RGB of the three things that a stand-in detector finds; the first one's score is of the first
channel, and so on. None looks like another, in BGR neither."""
TOLERANCE = 6
"""Of a colour, in 255ths."""
BACKGROUND = 90
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True, slots=True)
class DetectorForm:
    """``size``: height and width of the input, None: any. ``scale``, ``mean``, ``std``: what the
    network was trained with."""

    inputs: tuple[str, ...]
    size: tuple[int, int] | None
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    yml: dict[str, Any]


def _detection_yml(arch: str, steps: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "mode": "paddle",
        "draw_threshold": 0.5,
        "metric": "WiderFace" if arch == "Face" else "COCO",
        "use_dynamic_shape": arch == "Face",
        "arch": arch,
        "min_subgraph_size": 3,
        "Preprocess": [*steps, {"type": "Permute"}],
        "label_list": ["face"],
        "Hpi": {"backend_config": {"onnxruntime": {"cpu_num_threads": 8}}},
        **more,
    }


def _resize(side: int) -> dict[str, Any]:
    return {"type": "Resize", "target_size": [side, side], "keep_ratio": False, "interp": 2}


FACE_INPUTS = ("im_shape", "image", "scale_factor")
_FACE = DetectorForm(
    FACE_INPUTS, None, 1.0, (123, 117, 104), (127.502231,) * 3,
    _detection_yml(
        "Face",
        [{"type": "NormalizeImage", "is_scale": False, "mean": [123, 117, 104],
          "std": [127.502231] * 3}],
    ),
)  # fmt: skip
_GFL_YML = _detection_yml(
    "GFL",
    [_resize(1088),
     {"type": "NormalizeImage", "is_scale": True, "mean": list(IMAGENET[0]),
      "std": list(IMAGENET[1])}],
    NMS={"score_threshold": 0.3, "nms_threshold": 0.5, "keep_top_k": 100},
    fpn_stride=[8, 16, 32, 64],
)  # fmt: skip
_GFL_YML["Preprocess"].append({"type": "PadStride", "stride": 32})
DETECTORS = {
    "BlazeFace": _FACE,
    "BlazeFace-FPN-SSH": _FACE,
    "PicoDet_LCNet_x2_5_face": DetectorForm(
        ("image", "scale_factor"), (1088, 1088), 1 / 255, *IMAGENET, _GFL_YML
    ),
    "PP-YOLOE_plus-S_face": DetectorForm(
        ("image", "scale_factor"), (640, 640), 1 / 255, (0, 0, 0), (1, 1, 1),
        _detection_yml(
            "YOLO",
            [_resize(640),
             {"type": "NormalizeImage", "is_scale": True, "norm_type": "none",
              "mean": [0, 0, 0], "std": [1, 1, 1]}],
        ),
    ),
}  # fmt: skip
EXTRACTORS = {"MobileFaceNet": 128, "ResNet50_face": 512}
"""Name to dimension."""
EXTRACTOR_YML = {
    "Hpi": {"backend_config": {"openvino": {"cpu_num_threads": 8}}},
    "PreProcess": {
        "transform_ops": [
            {
                "ResizeImage": {
                    "size": [112, 112],
                    "return_numpy": False,
                    "interpolation": "bilinear",
                    "backend": "cv2",
                }
            },
            {
                "NormalizeImage": {
                    "scale": 0.00392156862745098,
                    "mean": [0.5, 0.5, 0.5],
                    "std": [0.5, 0.5, 0.5],
                    "order": "hwc",
                    "channel_num": 3,
                }
            },
            {"ToCHWImage": None},
        ]
    },
    "PostProcess": {"NormalizeFeatures": None},
}


def projection(dimension: int) -> NDArray[np.float32]:
    """(3 * 14 * 14, dimension): what an extractor stand-in multiplies with."""
    values = np.random.RandomState(7).randn(3 * 14 * 14, dimension) / 24
    return values.astype(np.float32)


def inference_yml(name: str) -> dict[str, Any]:
    content = copy.deepcopy(DETECTORS[name].yml if name in DETECTORS else EXTRACTOR_YML)
    return {**content, "Global": {"model_name": name}}


def export(directory: Path, names: Sequence[str], *, pir: bool = True) -> dict[str, Path]:
    """Directories of stand-ins by name, exported below ``directory`` in a process of its own."""
    subprocess.run(
        [sys.executable, "-m", "tests.models.official_forms", str(directory), *names],
        cwd=ROOT,
        env={**os.environ, "FLAGS_enable_pir_api": "1" if pir else "0"},
        check=True,
        timeout=170,
        capture_output=True,
    )
    return {name: directory / name for name in names}


def main(directory: Path, names: Sequence[str]) -> None:
    import paddle
    from paddle.static import InputSpec

    from tests.models.official_networks import Extractor, detector

    for name in names:
        if name in DETECTORS:
            form = DETECTORS[name]
            layer = detector(form)
            shapes = {
                "im_shape": [None, 2],
                "image": [None, 3, *(form.size or (None, None))],
                "scale_factor": [None, 2],
            }
            spec = [InputSpec(shapes[key], "float32", key) for key in form.inputs]
        else:
            layer = Extractor(EXTRACTORS[name])
            spec = [InputSpec([None, 3, 112, 112], "float32", "x")]
        layer.eval()
        target = directory / name
        target.mkdir(parents=True)
        paddle.jit.save(layer, str(target / "inference"), input_spec=spec)
        (target / "inference.yml").write_text(yaml.safe_dump(inference_yml(name)), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
