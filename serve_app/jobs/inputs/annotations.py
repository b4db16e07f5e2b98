"""An annotation file, wherever it lies, as a list of images: ``path label`` a line."""

from __future__ import annotations

from serve_app.errors import InvalidRequestError
from serve_app.jobs.inputs.files import Files
from serve_app.jobs.inputs.listed import ImageList, ListedImages
from serve_app.jobs.inputs.places import name_of
from serve_app.jobs.inputs.row_making import RowMaker
from serve_app.pipeline.annotation_lines import (
    BLANK,
    line_fault,
    lines_of,
    names_no_image,
    split_line,
    utf8_content,
)
from serve_app.pipeline.faults import Faults

LARGEST = 1 << 30
"""Bytes: ten million lines. What is larger is, mostly, no list at all."""


def read_annotations(files: Files, place: str, maker: RowMaker) -> ListedImages:
    """Its lines, checked; no image is looked for. A path may come twice: what becomes of that is
    the job's ``duplicates`` to say.

    Raises InvalidRequestError that names all lines which can't be used, or says that the file
    names no image.
    """
    name = name_of(place)
    size = files.facts(place).size
    if size > LARGEST:
        raise InvalidRequestError(
            f"{name} has {size} bytes, a list of images {LARGEST} at most: write a table (Parquet)"
        )
    content = utf8_content(name, files.read(place))
    faults = Faults()
    images = ImageList()
    for number, line in lines_of(content):
        if not line.strip(BLANK.encode()):
            continue
        if fault := line_fault(line):
            faults.add(f"line {number}: {fault}")
        elif not faults.total:
            images.add(*split_line(line.decode("utf-8")))
    faults.refuse(name, "line", "can't be used")
    if not len(images):
        raise names_no_image(name)
    return images.images(maker)
