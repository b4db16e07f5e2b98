"""``inference.yml``: what an official or fine-tuned Paddle model wants its input to look like."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from serve_app.errors import ModelError
from serve_app.models.canvas import Canvas
from serve_app.types import CROP_SIZE, Image

Channels = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Normalise:
    """``(x * scale - mean) / std`` on RGB channels."""

    scale: float
    mean: Channels
    std: Channels

    def apply(self, images: NDArray[np.uint8], canvas: Canvas | None = None) -> NDArray[np.float32]:
        """(N, H, W, 3) uint8 RGB to (N, 3, H, W) float32, on ``canvas`` if there is one."""
        std = np.array(self.std, dtype=np.float32)
        count, height, width, channels = images.shape
        tensor = (canvas or Canvas()).shaped(count, channels, height, width)
        np.copyto(tensor, images.transpose(0, 3, 1, 2))
        if self != IDENTITY:
            tensor *= (np.float32(self.scale) / std)[:, None, None]
            tensor -= (np.array(self.mean, dtype=np.float32) / std)[:, None, None]
        return tensor


@dataclass(frozen=True, slots=True)
class DetectorForm:
    """Preprocessing of a detector; ``target_size`` is (height, width), None where the network runs
    on the image as it is (BlazeFace)."""

    name: str
    normalise: Normalise
    target_size: tuple[int, int] | None
    interpolation: int

    def prepare(self, image: Image, canvas: Canvas | None = None) -> dict[str, NDArray[np.float32]]:
        """The network's inputs by their official names, the image on ``canvas`` if there is one;
        which of them it takes, the network says itself.
        ``scale_factor`` is (1, 2): height and width of the input to those of the image."""
        height, width = image.shape[:2]
        if self.target_size is not None:
            target_height, target_width = self.target_size
            resized = cv2.resize(
                image, (target_width, target_height), interpolation=self.interpolation
            )
            image = np.asarray(resized, dtype=np.uint8)
        new_height, new_width = image.shape[:2]
        return {
            "image": self.normalise.apply(image[None], canvas),
            "im_shape": np.array([[new_height, new_width]], dtype=np.float32),
            "scale_factor": np.array([[new_height / height, new_width / width]], dtype=np.float32),
        }


@dataclass(frozen=True, slots=True)
class ExtractorForm:
    name: str
    normalise: Normalise


def read_detector_form(directory: Path) -> DetectorForm:
    """Raises ModelError where the file is missing or asks for what is not known here.

    Read: ``arch``, ``Preprocess`` and ``Global.model_name``. Ignored, because suppression is inside
    the network and the threshold is the pipeline's: ``NMS``, ``fpn_stride``, ``draw_threshold``,
    ``label_list``; and what concerns other runtimes: ``mode``, ``metric``, ``use_dynamic_shape``,
    ``min_subgraph_size``, ``Hpi``.
    """
    content = _load(directory)
    if "Preprocess" not in content:
        raise ModelError(f"{directory.name}/inference.yml has no Preprocess: it is no detector's")
    if (arch := content.get("arch")) not in (None, *ARCHS):
        raise ModelError(
            f"{directory.name}: arch {arch} is not supported; known are {', '.join(ARCHS)}"
        )
    normalise, target_size, interpolation = IDENTITY, None, cv2.INTER_LINEAR
    for step in content["Preprocess"] or []:
        with _step(directory, step):
            kind = step["type"]
            if kind == "Resize":
                target_size, interpolation = _resize(step)
            elif kind == "NormalizeImage":
                normalise = _detector_normalise(step)
            elif kind == "PadStride":
                _check_stride(target_size, int(step.get("stride", 32)))
            elif kind != "Permute":  # channels first: Normalise.apply does it
                raise _RefusedError(f"preprocessing step {kind} is not supported")
    name = declared_name(directory) or directory.name
    return DetectorForm(name, normalise, target_size, interpolation)


def read_extractor_form(directory: Path) -> ExtractorForm:
    """Raises ModelError where the file is missing or asks for what is not known here.

    Read: ``PreProcess.transform_ops`` and ``Global.model_name``. Embeddings are normalised whatever
    ``PostProcess`` says of it. Crops are 112 x 112 already, bilinear, whatever ``interpolation``,
    ``backend`` and ``return_numpy`` say: PaddleX ignores them as well.
    """
    content = _load(directory)
    if "PreProcess" not in content:
        raise ModelError(f"{directory.name}/inference.yml has no PreProcess: it is no extractor's")
    other = set(content.get("PostProcess") or {}) - {"NormalizeFeatures"}
    if other:
        raise ModelError(f"{directory.name}: PostProcess {other.pop()} is not an extractor's")
    normalise = IDENTITY
    for step in (content["PreProcess"] or {}).get("transform_ops") or []:
        with _step(directory, step):
            ((kind, options),) = step.items()
            if kind == "ResizeImage":
                if list(options["size"]) != [CROP_SIZE, CROP_SIZE]:
                    raise _RefusedError(
                        f"takes crops of {options['size']}, this pipeline makes "
                        f"{CROP_SIZE} x {CROP_SIZE}"
                    )
            elif kind == "NormalizeImage":
                if options.get("channel_num", 3) != 3:
                    raise _RefusedError("channel_num must be 3")
                normalise = _normalise(float(options["scale"]), options)
            elif kind != "ToCHWImage":
                raise _RefusedError(f"preprocessing step {kind} is not supported")
    return ExtractorForm(declared_name(directory) or directory.name, normalise)


def declared_name(directory: Path) -> str | None:
    """``Global.model_name``. Raises ModelError where the file is missing or is not YAML."""
    section = _load(directory).get("Global")
    name = section.get("model_name") if isinstance(section, dict) else None
    return None if name is None else str(name)


ARCHS = ("Face", "YOLO", "GFL")
INTERPOLATIONS = range(cv2.INTER_LANCZOS4 + 1)
"""``interp`` is OpenCV's number: nearest, linear, cubic, area, Lanczos."""

IDENTITY = Normalise(1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


class _RefusedError(Exception):
    """A step can be read and asks for what is not done here."""


@contextmanager
def _step(directory: Path, step: Any) -> Iterator[None]:
    try:
        yield
    except _RefusedError as refused:
        raise ModelError(f"{directory.name}: {refused}") from None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise ModelError(
            f"{directory.name}/inference.yml: this step can't be read: {step}"
        ) from None


def _resize(step: dict[str, Any]) -> tuple[tuple[int, int], int]:
    if step.get("keep_ratio"):
        raise _RefusedError("Resize with keep_ratio is not supported")
    height, width = (int(side) for side in step["target_size"])
    if min(height, width) < 1:
        raise ValueError
    interpolation = int(step.get("interp", cv2.INTER_LINEAR))
    if interpolation not in INTERPOLATIONS:
        raise _RefusedError(f"interp {interpolation} is not supported; 0 to 4 are")
    return (height, width), interpolation


def _detector_normalise(step: dict[str, Any]) -> Normalise:
    scale = 1 / 255 if step.get("is_scale", True) else 1.0
    norm_type = step.get("norm_type") or "mean_std"
    if norm_type == "none":  # as PaddleDetection trains; PaddleX would subtract the mean
        return Normalise(scale, IDENTITY.mean, IDENTITY.std)
    if norm_type != "mean_std":
        raise _RefusedError(f"norm_type {norm_type} is not supported; mean_std and none are")
    return _normalise(scale, step)


def _normalise(scale: float, options: dict[str, Any]) -> Normalise:
    std = _channels(options["std"])
    if 0 in std:
        raise ValueError
    return Normalise(scale, _channels(options["mean"]), std)


def _check_stride(target_size: tuple[int, int] | None, stride: int) -> None:
    """PadStride pads what is no multiple of ``stride``: there must be nothing to pad."""
    if target_size is None or any(side % stride for side in target_size):
        raise _RefusedError(f"PadStride is supported after a Resize to multiples of {stride} only")


def _load(directory: Path) -> dict[str, Any]:
    file = directory / "inference.yml"
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(f"model directory {directory.name} has no inference.yml") from None
    except OSError as error:
        raise ModelError(
            f"{directory.name}/inference.yml can't be read: {error.strerror}"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ModelError(f"{directory.name}/inference.yml is not valid YAML") from None
    if not isinstance(content, dict):
        raise ModelError(f"{directory.name}/inference.yml is empty")
    return content


def _channels(values: list[float]) -> Channels:
    red, green, blue = (float(value) for value in values)
    return (red, green, blue)
