"""Where tags go: beside their boxes, hiding as little as can be. Knows nothing of what they say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from serve_app.drawing.area import Area, overlap

HIDDEN_AT_MOST = 0.1
"""Part of a tag's pixels that may lie on other tags, so that all that is shown can be read."""

ASIDE = 0.5
"""Part of a tag's pixels that hide as much as a place at the box's side costs: it is easily taken
for the neighbour's."""

SIDES = 4
"""Places at a box's sides; they come last."""


class Places:
    """Of one picture: its tags so far."""

    def __init__(self, frame: Area, boxes: Sequence[Area]) -> None:
        self._frame = frame
        self._boxes = np.array(boxes)
        self._tags: list[Area] = []

    def take(self, box: Area, size: tuple[int, int]) -> Area | None:
        """A place for a tag of this width and height, taken: the first of those above the box,
        below it, inside and at its sides that hides least. None if it doesn't fit into the frame or
        hides what another tag says."""
        width, height = size
        if width > self._frame.width or height > self._frame.height:
            return None
        places = self._beside(box, width, height)
        spots, tags = np.array(places), np.array(self._tags).reshape(-1, 4)
        on_tags = overlap(spots, tags)
        cost = overlap(spots, self._boxes) + 8.0 * on_tags
        cost[-SIDES:] += ASIDE * width * height
        best = int(np.argmin(cost))
        if on_tags[best] > HIDDEN_AT_MOST * width * height:
            return None
        self._tags.append(places[best])
        return places[best]

    def _beside(self, box: Area, width: int, height: int) -> list[Area]:
        """Moved into the frame where they reach out of it."""
        left, right = box.left, box.right - width
        columns = (left, right, (left + right) // 2)
        rows = (box.top - height, box.bottom, box.top, box.bottom - height)
        corners = [(x, y) for y in rows for x in columns]
        corners += [(x, y) for x in (box.right, left - width) for y in rows[2:]]
        most_left, most_top = self._frame.right - width, self._frame.bottom - height
        inside = [(min(max(x, 0), most_left), min(max(y, 0), most_top)) for x, y in corners]
        return [Area(x, y, x + width, y + height) for x, y in inside]
