"""A picture with every face marked: what is drawn and how large."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

import numpy as np

from serve_app.drawing.area import Area, clip
from serve_app.drawing.colours import colour_of
from serve_app.drawing.fonts import installed_fonts
from serve_app.drawing.labels import legible
from serve_app.drawing.pen import Pen
from serve_app.drawing.places import Places
from serve_app.types import Box, Image

MIN_TEXT = 12
"""Pixels of an em: smaller text can't be read."""

TAG_WIDTHS = 11, 22
"""Ems of a crowded picture's tags, and of one with room for long names."""

SHORT_TAG = 5
"""Ems, and without its score, where a whole tag would cover another."""


def draw(image: Image, faces: Sequence[tuple[Box, str | None, float | None]]) -> Image:
    """A copy of the image with each face's box and a tag "label score".

    Without a label the tag says "unknown", in grey, and only the box's corners are drawn; without a
    score, the tag is the label alone. A label has the same colour in every picture. Boxes that hold
    no pixel of the image are left out, as are tags that don't fit into it or would cover others.
    Any thread may call it; its first call in a thread takes 20 ms longer, as OpenCV parses its font
    once a thread, and the first label in a script that is not in there up to 0.2 s.
    """
    canvas = np.array(image, order="C")
    frame = Area(0, 0, canvas.shape[1], canvas.shape[0])
    clipped = [(clip(box, frame), label, score) for box, label, score in faces]
    shown = [(box, label, score) for box, label, score in clipped if box is not None]
    if not shown:
        return canvas
    boxes = [box for box, _, _ in shown]
    fonts = installed_fonts()
    pen, places = Pen(_text_size(frame, boxes), fonts), Places(frame, boxes)
    widest = _tag_width(frame, len(boxes), pen.size)
    for box, label, _ in shown:
        pen.draw_box(canvas, box, colour_of(label), whole=label is not None)
    for box, label, score in shown:
        name = "unknown" if label is None else legible(label, fonts)
        number = "" if score is None else f"{score:.2f}"
        room = min(frame.width, max(box.width, widest))
        for digits, width in ((number, room), ("", SHORT_TAG * pen.size)):
            text = pen.shorten(name, digits, width)
            tag = places.take(box, pen.tag_size(text, digits)) if text or digits else None
            if tag is not None:
                pen.draw_tag(canvas, tag, text, digits, colour_of(label))
                break
    return canvas


def _text_size(frame: Area, boxes: Sequence[Area]) -> int:
    """Pixels of an em: a fixed part of the picture, less where the faces are small."""
    by_picture = math.sqrt(frame.width * frame.height) / 46
    by_face = max(0.3 * median(box.width for box in boxes), by_picture / 2)
    return max(MIN_TEXT, round(min(by_picture, by_face)))


def _tag_width(frame: Area, tags: int, em: int) -> int:
    """Pixels: as wide as lets all tags cover an eighth of the picture, within TAG_WIDTHS."""
    eighth = frame.width * frame.height / 8 / (tags * 1.4 * em)
    low, high = (ems * em for ems in TAG_WIDTHS)
    return round(min(max(eighth, low), high))
