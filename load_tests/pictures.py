"""The pictures that are sent: what they show is known, so that a wrong answer is seen.

Nothing is read from a network: scikit-image's portrait of Eileen Collins (public domain), and a
photograph of a group where one is at hand.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from load_tests.traffic.generator import ROOT

SIDE = 250
"""Pixels of the small picture: a portrait of one face, as in LFW."""
GROUP_FACES = 6
GROUP_PHOTO = ROOT.parent / "shared" / "faces" / "scenes" / "six_friends.jpg"
LABEL = "Eileen Collins"


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture, ``faces`` of which are found."""

    name: str
    content: bytes
    faces: int

    @property
    def base64(self) -> str:
        return base64.b64encode(self.content).decode("ascii")


def small() -> Picture:
    return Picture(f"{SIDE} px, one face", _jpeg(_resized(_portrait(), SIDE, SIDE)), 1)


def vga() -> Picture:
    """640 x 480, one face."""
    canvas = np.full((480, 640, 3), 90, dtype=np.uint8)
    canvas[40:440, 120:520] = _resized(_portrait(), 400, 400)
    return Picture("640 x 480, one face", _jpeg(canvas), 1)


def group() -> Picture:
    """Six faces: the photograph that FACE_SERVE_GROUP_PHOTO or the shared folder has, else a
    collage of one portrait in its size."""
    file = Path(os.environ.get("FACE_SERVE_GROUP_PHOTO") or GROUP_PHOTO)
    if file.is_file():
        return Picture("group photo, six faces", file.read_bytes(), GROUP_FACES)
    canvas = np.full((886, 1280, 3), 90, dtype=np.uint8)
    for number in range(GROUP_FACES):
        top, left = 30 + 430 * (number // 3), 20 + 420 * (number % 3)
        face = _resized(_portrait(), 380, 380)
        canvas[top : top + 380, left : left + 380] = face if number % 2 else face[:, ::-1]
    return Picture("collage, six faces", _jpeg(canvas), GROUP_FACES)


def _portrait() -> NDArray[np.uint8]:
    """(300, 300, 3) BGR."""
    return np.asarray(cv2.cvtColor(data.astronaut()[0:300, 80:380], cv2.COLOR_RGB2BGR))


def _resized(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    return bytes(cv2.imencode(".jpg", image)[1].tobytes())
