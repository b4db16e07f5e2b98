"""Rows of images from what an input says of them: where the image is, and what is wrong."""

from __future__ import annotations

from dataclasses import dataclass

from serve_app.errors import InvalidRequestError
from serve_app.index.index_data import label_fault
from serve_app.jobs.inputs.allowed import OUTSIDE, AllowedInputs
from serve_app.jobs.inputs.places import shown_place, under
from serve_app.jobs.inputs.rows import ImageRow


@dataclass(frozen=True, slots=True)
class RowMaker:
    """``root``: where relative sources begin; ``allowed``: what they may name, None: anything."""

    root: str
    allowed: AllowedInputs | None

    def row(
        self,
        position: int,
        written: str | None,
        label: str | None,
        number: int | None = None,
        fault: str | None = None,
    ) -> ImageRow:
        """Of an image that is to be read from where ``written`` says."""
        source, lost = self._source(written)
        fault = fault or named_fault(label) or lost
        return ImageRow(position, source, kept_label(label), id=number, fault=fault)

    def row_with_image(
        self,
        position: int,
        place: str,
        image: bytes | None,
        written: str | None,
        label: str | None,
        number: int | None = None,
        fault: str | None = None,
    ) -> ImageRow:
        """Of an image that lies in a table at ``place``. It is called what ``written`` says where
        that may be read, as it may be read there again."""
        source, lost = self._source(written)
        fault = fault or named_fault(label) or (None if image else "has no bytes of an image")
        return ImageRow(
            position, place if lost else source, kept_label(label), image, number, fault
        )

    def _source(self, written: str | None) -> tuple[str, str | None]:
        if not written:
            return "", "has no path of an image"
        try:
            source = under(self.root, written)
        except InvalidRequestError as error:
            return shown_place(written), str(error)
        if self.allowed is not None and not self.allowed.allows(source):
            return source, f"the image {OUTSIDE}"
        return source, None


def named_fault(label: str | None) -> str | None:
    """Why nobody can be enrolled under a label, as a sentence."""
    if label is None or not label.strip():
        return "has no label"
    fault = label_fault(label)
    return f"the label {fault}" if fault else None


def kept_label(label: str | None) -> str:
    """As a report and a database can keep it, also where it is at fault."""
    if label is None:
        return ""
    return label.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
