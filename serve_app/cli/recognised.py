"""Results of ``predict`` as text: a line for a picture of one face, a small table for several."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from serve_app.cli.output import aligned, counted, printable


def described(result: Mapping[str, Any]) -> str:
    """``result``: ``input_path`` and ``boxes`` as ``predict`` gives them."""
    picture = printable(result["input_path"])
    faces = [_cells(box) for box in result["boxes"]]
    if not faces:
        return f"{picture}: no face"
    if len(faces) == 1:
        return f"{picture}: " + "  ".join(cell for cell in map(printable, faces[0]) if cell)
    return "\n".join([f"{picture}: {len(faces)} faces", *(f"  {row}" for row in aligned(faces))])


class Tally:
    """What a whole run came to."""

    def __init__(self) -> None:
        self.pictures = self._faces = self._known = 0
        self._started = time.perf_counter()

    def add(self, result: Mapping[str, Any]) -> None:
        self.pictures += 1
        self._faces += len(result["boxes"])
        self._known += sum(bool(box["labels"]) for box in result["boxes"])

    def summary(self, left_out: int) -> Iterator[str]:
        """Nothing of a single picture: its own line says it all."""
        if self.pictures == 1 and not left_out:
            return
        seconds = time.perf_counter() - self._started
        text = f"{counted(self.pictures, 'picture')}, {counted(self._faces, 'face')}"
        if self._faces:
            text += f": {self._known:,} recognised, {self._faces - self._known:,} unknown"
        if left_out:
            text += f"; {left_out:,} left out"
        yield f"{text} ({seconds:.1f} s)"


def _cells(box: Mapping[str, Any]) -> tuple[str, ...]:
    """Who, score, where, and who else it may be."""
    left, top, right, bottom = (round(value) for value in box["coordinate"])
    where = f"box {left},{top}-{right},{bottom}"
    if not box["labels"]:
        return ("unknown", "", where, "")
    (label, score), *others = zip(box["labels"], box["rec_scores"], strict=True)
    nearest: dict[str, float] = {}
    for name, value in others:  # they come nearest first
        if name != label:
            nearest.setdefault(name, value)
    also = ", ".join(f"{name} {value:.3f}" for name, value in nearest.items())
    return (label, f"{score:.3f}", where, f"or {also}" if also else "")
