"""A picture with every face marked: what is drawn, how large and where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

from serve_app.drawing.colours import colour_of
from serve_app.drawing.pen import Area, Pen, clean
from serve_app.types import Box, Image

MIN_TEXT = 12
"""Pixels of an em: smaller text can't be read."""


def draw(image: Image, faces: Sequence[tuple[Box, str | None, float | None]]) -> Image:
    """A copy of the image with each face's box and a tag "label score".

    Without a label the tag says "unknown", in grey; without a score, only the label. A label has
    the same colour in every picture. Boxes that hold no pixel of the image are left out, tags that
    don't fit into it too. Any thread may call it; its first call in a thread takes 25 ms longer, as
    OpenCV parses the font once a thread.
    """
    canvas = np.array(image, order="C")
    frame = Area(0, 0, canvas.shape[1], canvas.shape[0])
    clipped = [(_clip(box, frame), label, score) for box, label, score in faces]
    shown = [(box, label, score) for box, label, score in clipped if box is not None]
    if not shown:
        return canvas
    boxes = [box for box, _, _ in shown]
    pen = Pen(_text_size(frame, boxes))
    for box, label, _ in shown:
        pen.draw_box(canvas, box, colour_of(label))
    tags: list[Area] = []
    for box, label, score in shown:
        name = "unknown" if label is None else clean(label)
        number = "" if score is None else f"{score:.2f}"
        name = pen.shorten(name, number, min(frame.width, max(box.width, 11 * pen.size)))
        size = pen.tag_size(name, number)
        if not (name or number) or size[0] > frame.width or size[1] > frame.height:
            continue
        tag = _place(box, size, frame, boxes, tags)
        pen.draw_tag(canvas, tag, name, number, colour_of(label))
        tags.append(tag)
    return canvas


def _clip(box: Box, frame: Area) -> Area | None:
    """The box's pixels that are inside the frame; None if there are none."""
    if not all(math.isfinite(value) for value in box):
        return None
    left, top = max(round(box[0]), frame.left), max(round(box[1]), frame.top)
    right, bottom = min(round(box[2]), frame.right), min(round(box[3]), frame.bottom)
    return Area(left, top, right, bottom) if left < right and top < bottom else None


def _text_size(frame: Area, boxes: Sequence[Area]) -> int:
    """Pixels of an em: a fixed part of the picture, less where the faces are small."""
    by_picture = math.sqrt(frame.width * frame.height) / 46
    by_face = max(0.3 * median(box.width for box in boxes), by_picture / 2)
    return max(MIN_TEXT, round(min(by_picture, by_face)))


def _place(
    box: Area, size: tuple[int, int], frame: Area, boxes: Sequence[Area], tags: Sequence[Area]
) -> Area:
    """Where a tag hides least: above the box, below it, or inside; other tags count most."""
    width, height = size
    lefts = (box.left, box.right - width)
    tops = (box.top - height, box.bottom, box.top, box.bottom - height)
    places = [
        Area(x, y, x + width, y + height)
        for y in (min(max(top, 0), frame.height - height) for top in tops)
        for x in (min(max(left, 0), frame.width - width) for left in lefts)
    ]
    spots = np.array(places)
    hidden = _overlap(spots, np.array(boxes)) + 8 * _overlap(spots, np.array(tags).reshape(-1, 4))
    return places[int(np.argmin(hidden))]


def _overlap(some: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N, 4) and (M, 4) areas: how many pixels of each of the first the second cover, (N,)."""
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum(some[:, None, 2:], others[None, :, 2:])
    return np.asarray(np.clip(high - low, 0, None).prod(axis=2).sum(axis=1), dtype=np.int64)
