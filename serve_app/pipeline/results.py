"""What ``predict`` yields for an image: PaddleX's mapping with its ways out, to the terminal, JSON
files and pictures.

Knows no models. Holds no pixels: a picture is read again when it is drawn.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
from PIL import Image as PillowImage

from serve_app.drawing import draw
from serve_app.errors import InvalidRequestError
from serve_app.pipeline.saving import SavedNames, is_directory, write_whole
from serve_app.types import Box, Candidate, Image

__all__ = ["FaceResult", "SavedNames", "face_box"]

WRITTEN = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
"""Kinds of pictures that are written, by suffix."""
QUALITY = {
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 92],
    ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, 92],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 90],
}


def face_box(box: Box, det_score: float, candidates: Sequence[Candidate]) -> dict[str, Any]:
    """One of a result's ``boxes``. ``labels`` and ``rec_scores`` are None where there is no
    candidate."""
    return {
        "labels": [one.label for one in candidates] or None,
        "rec_scores": [float(one.score) for one in candidates] or None,
        "det_score": float(det_score),
        "coordinate": [float(value) for value in box],
    }


class FaceResult(dict[str, Any]):
    """The faces of one image: ``{"input_path": ..., "boxes": [...]}``.

    A box is ``{"labels": [...], "rec_scores": [...], "det_score": 0.98, "coordinate": [x1, y1, x2,
    y2]}``, in pixels of the upright image; labels are nearest first, and None, as ``rec_scores``,
    for a face that nobody is close enough to. ``input_path`` is None for an array.

    ``name``: of the files that are written into a directory, but for their suffix; ``read_image``:
    the image's pixels (H, W, 3) uint8 RGB; ``names``: those given out in the same ``predict``.
    An array that was given must not change until its result is drawn.
    """

    def __init__(
        self,
        input_path: str | None,
        name: str,
        boxes: Sequence[Mapping[str, Any]],
        read_image: Callable[[], Image],
        names: SavedNames,
    ) -> None:
        super().__init__(input_path=input_path, boxes=[dict(box) for box in boxes])
        self._name = Path(name)
        self._read_image = read_image
        self._names = names
        self._stems: dict[Path, str] = {}  # by directory

    @property
    def json(self) -> dict[str, Any]:
        """``{"res": {...}}`` of plain Python values."""
        return {"res": dict(self)}

    @property
    def img(self) -> dict[str, PillowImage.Image]:
        """``{"res": picture}`` with each face's box, best label and score drawn into it. Raises as
        reading the image does."""
        return {"res": PillowImage.fromarray(self._drawn())}

    def print(self, format_json: bool = True, indent: int = 4, ensure_ascii: bool = False) -> None:
        """Print ``{"res": {...}}`` to standard output: as JSON, indented by ``indent``, with
        ``ensure_ascii`` in ASCII only; or on one line."""
        if format_json:
            text = json.dumps(self.json, indent=indent, ensure_ascii=ensure_ascii)
        else:
            text = str(self.json)
        # A file's name may hold what is no text; a terminal may not know Chinese.
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")

    def save_to_json(
        self, save_path: str | Path, indent: int = 4, ensure_ascii: bool = False
    ) -> None:
        """Write the result as JSON (UTF-8) to ``save_path``.

        A directory (it exists, ends with a slash or has no suffix) gets a file with the input's
        name, ``friends.json``; a second ``friends`` of the same ``predict`` becomes ``friends_2``.
        Directories are made. Raises UnavailableError if it can't be written.
        """
        target = self._target(save_path, ".json")
        text = json.dumps(dict(self), indent=indent, ensure_ascii=ensure_ascii)
        # What is no text (in a file's name) becomes JSON's own escape of it.
        write_whole(target, (text + "\n").encode("utf-8", "backslashreplace"))

    def save_to_img(self, save_path: str | Path) -> None:
        """Write the picture with the faces marked to ``save_path``, in the format of its suffix.

        A directory gets a file with the input's name, as ``save_to_json`` says; ``.png`` where the
        input's format can't be written. The input is never overwritten: in its directory the name
        ends in ``_res``, and in those above it if there is such a file already.

        Raises InvalidRequestError for a file that is the input or no picture's, UnavailableError,
        and as reading the image does.
        """
        suffix = self._name.suffix.lower()
        target = self._target(save_path, self._name.suffix if suffix in WRITTEN else ".png")
        kind = target.suffix.lower()
        if kind not in WRITTEN:
            raise InvalidRequestError(
                f"{target.name}: pictures are written as {' '.join(WRITTEN)}; "
                "end a directory's name with a slash"
            )
        if self._source is not None and target.exists() and target.samefile(self._source):
            raise InvalidRequestError(
                f"{target.name} is the input itself: give another name, or a directory"
            )
        bgr = cv2.cvtColor(self._drawn(), cv2.COLOR_RGB2BGR)
        fits, encoded = cv2.imencode(kind, bgr, QUALITY.get(kind, []))
        if not fits:
            height, width = bgr.shape[:2]
            raise InvalidRequestError(
                f"{target.name}: {width} x {height} pixels are too many for {kind}: write a .png"
            )
        write_whole(target, encoded.tobytes())

    def save_all(self, save_path: str | Path) -> None:
        """``save_to_json`` and ``save_to_img`` into a directory."""
        if not is_directory(save_path):
            raise InvalidRequestError(f"{Path(save_path).name} is a file: name a directory")
        self.save_to_json(save_path)
        self.save_to_img(save_path)

    @property
    def _source(self) -> Path | None:
        """The file that the input is, if it is one."""
        path = self["input_path"]
        return Path(path) if path is not None and Path(path).is_file() else None

    def _target(self, save_path: str | Path, suffix: str) -> Path:
        directory = Path(save_path)
        if not is_directory(save_path):
            return directory
        place = directory.resolve()
        if place not in self._stems:
            self._stems[place] = self._names.claim(place, self._name.stem)
        target = directory / f"{self._stems[place]}{suffix}"
        source = self._source
        if suffix != ".json" and source is not None:
            parent = source.parent.resolve()
            # Above it lie other inputs, if it was a directory that was given.
            taken = target.exists() and (place in parent.parents or target.samefile(source))
            if place == parent or taken:
                return target.with_name(f"{target.stem}_res{suffix}")
        return target

    def _drawn(self) -> Image:
        return draw(self._read_image(), [_marked(box) for box in self["boxes"]])


def _marked(box: Mapping[str, Any]) -> tuple[Box, str | None, float | None]:
    labels, scores = box["labels"], box["rec_scores"]
    x1, y1, x2, y2 = box["coordinate"]
    return (x1, y1, x2, y2), labels[0] if labels else None, scores[0] if scores else None
