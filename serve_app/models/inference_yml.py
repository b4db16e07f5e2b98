"""``inference.yml``: what an official or fine-tuned Paddle model wants its input to look like."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from serve_app.errors import ModelError
from serve_app.types import CROP_SIZE, Image

Channels = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Normalise:
    """``(x * scale - mean) / std`` on RGB channels."""

    scale: float
    mean: Channels
    std: Channels

    def apply(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, H, W, 3) uint8 RGB to (N, 3, H, W) float32."""
        factor = np.float32(self.scale) / np.array(self.std, dtype=np.float32)
        offset = np.array(self.mean, dtype=np.float32) / np.array(self.std, dtype=np.float32)
        return np.ascontiguousarray((images * factor - offset).transpose(0, 3, 1, 2))


@dataclass(frozen=True, slots=True)
class DetectorForm:
    """Preprocessing of a detector; ``target_size`` is (height, width), None where the network runs
    on the image as it is (BlazeFace)."""

    name: str
    normalise: Normalise
    target_size: tuple[int, int] | None
    interpolation: int

    def prepare(self, image: Image) -> dict[str, NDArray[np.float32]]:
        """The network's inputs by their official names; which of them it takes, it says itself.
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
            "image": self.normalise.apply(image[None]),
            "im_shape": np.array([[new_height, new_width]], dtype=np.float32),
            "scale_factor": np.array([[new_height / height, new_width / width]], dtype=np.float32),
        }


@dataclass(frozen=True, slots=True)
class ExtractorForm:
    name: str
    normalise: Normalise


def read_detector_form(directory: Path) -> DetectorForm:
    """Raises ModelError where the file is missing or asks for what is not known here."""
    content = _load(directory)
    normalise, target_size, interpolation = IDENTITY, None, 1
    for step in content.get("Preprocess", []):
        kind = step.get("type")
        if kind == "Resize":
            if step.get("keep_ratio"):
                raise ModelError(f"{directory.name}: Resize with keep_ratio is not supported")
            height, width = step["target_size"]
            target_size, interpolation = (int(height), int(width)), int(step.get("interp", 1))
        elif kind == "NormalizeImage":
            scale = 1 / 255 if step.get("is_scale", True) else 1.0
            normalise = Normalise(scale, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
            if step.get("norm_type", "mean_std") != "none":
                normalise = Normalise(scale, _channels(step["mean"]), _channels(step["std"]))
        elif kind != "Permute":
            raise ModelError(f"{directory.name}: preprocessing step {kind} is not supported")
    return DetectorForm(_model_name(content, directory), normalise, target_size, interpolation)


def read_extractor_form(directory: Path) -> ExtractorForm:
    """Raises ModelError where the file is missing or asks for what is not known here."""
    content = _load(directory)
    normalise = IDENTITY
    for step in content.get("PreProcess", {}).get("transform_ops", []):
        ((kind, options),) = step.items()
        if kind == "ResizeImage":
            if list(options["size"]) != [CROP_SIZE, CROP_SIZE]:
                raise ModelError(
                    f"{directory.name}: takes crops of {options['size']}, this pipeline makes "
                    f"{CROP_SIZE} x {CROP_SIZE}"
                )
        elif kind == "NormalizeImage":
            normalise = Normalise(
                float(options["scale"]), _channels(options["mean"]), _channels(options["std"])
            )
        elif kind != "ToCHWImage":
            raise ModelError(f"{directory.name}: preprocessing step {kind} is not supported")
    return ExtractorForm(_model_name(content, directory), normalise)


IDENTITY = Normalise(1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def _load(directory: Path) -> dict[str, Any]:
    file = directory / "inference.yml"
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"model directory {directory.name} has no inference.yml") from None
    except yaml.YAMLError:
        raise ModelError(f"{directory.name}/inference.yml is not valid YAML") from None
    if not isinstance(content, dict):
        raise ModelError(f"{directory.name}/inference.yml is empty")
    return content


def _model_name(content: dict[str, Any], directory: Path) -> str:
    return str(content.get("Global", {}).get("model_name") or directory.name)


def _channels(values: list[float]) -> Channels:
    red, green, blue = (float(value) for value in values)
    return (red, green, blue)
