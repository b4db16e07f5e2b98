"""What ``build_index`` and ``append_index`` enrol and ``remove_index`` removes, as PaddleX's files
and lists say it.

An annotation file is UTF-8 text with an image a line: its path, a space or a tab, its label. The
path starts from the root directory and ends at the first space or tab, so it can't hold any; the
label may. Blank lines are skipped. All that is wrong with the lines of a file is told in one error.
"""

from __future__ import annotations

import operator
import os
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np

from serve_app.errors import InvalidRequestError
from serve_app.index.index_data import label_fault
from serve_app.pipeline.annotation_lines import (
    BLANK,
    line_fault,
    lines_of,
    names_no_image,
    split_line,
    utf8_content,
)
from serve_app.pipeline.faults import Faults, shown
from serve_app.pipeline.image_files import IMAGE_SUFFIXES, file_fault
from serve_app.pipeline.inputs import Input, InputReader, is_url


@dataclass(frozen=True, slots=True)
class GalleryImage:
    """An image to enrol. ``where``: what messages call it: "gallery.txt, line 3: images/a.jpg"."""

    where: str
    image: Input
    label: str


class GalleryImages(Sequence[GalleryImage]):
    """``count`` images, each made by ``make`` when it is asked for."""

    def __init__(self, count: int, make: Callable[[int], GalleryImage]) -> None:
        self._count = count
        self._make = make

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, position: int) -> GalleryImage: ...
    @overload
    def __getitem__(self, position: slice) -> list[GalleryImage]: ...
    def __getitem__(self, position: int | slice) -> GalleryImage | list[GalleryImage]:
        rows = range(self._count)[position]
        return self._make(rows) if isinstance(rows, int) else [self._make(row) for row in rows]


def read_gallery(
    gallery_imgs: Any, gallery_label: Any, reader: InputReader
) -> Sequence[GalleryImage]:
    """The images and labels of a root directory and its annotation file, or of two lists.

    No image is opened. Raises InvalidRequestError that names what is wrong, with all the lines or
    items: no label, no such file, twice in an annotation file (a list may repeat an image: whoever
    wrote the program meant it).
    """
    if isinstance(gallery_label, str | os.PathLike):
        lines = AnnotationFile(_root(gallery_imgs), Path(gallery_label), reader)
        return GalleryImages(len(lines), lines.image)
    images = _as_list("gallery_imgs", gallery_imgs)
    labels = _as_list("gallery_label", gallery_label)
    _check_lists(images, labels)

    def make(position: int) -> GalleryImage:
        image = reader.one(images[position], position=position)
        named = "" if image.path is None else f": {image.where}"
        return GalleryImage(f"gallery_imgs[{position}]{named}", image, str(labels[position]))

    return GalleryImages(len(images), make)


def read_remove_ids(remove_ids: Any) -> list[int]:
    """Ids from a list of integers, or from the first word of each line of a file.

    Raises InvalidRequestError that names all lines or items which are no ids.
    """
    faults = Faults()
    ids: list[int] = []
    if isinstance(remove_ids, str | os.PathLike):
        name = Path(remove_ids).name
        for number, line in lines_of(_content("remove_ids", Path(remove_ids))):
            word = line.strip(BLANK.encode()).split(maxsplit=1)
            if not word:
                continue
            try:
                ids.append(int(word[0]))
            except ValueError:
                text = line.decode("utf-8", "replace")
                faults.add(f"line {number}: {shown(text)}")
        faults.refuse(name, "line", "can't be used: write one id, an integer, on each")
        return ids
    if not isinstance(remove_ids, Iterable):
        kind = type(remove_ids).__name__
        raise InvalidRequestError(
            f"remove_ids has type {kind}: give a list of ids, or a file's path"
        )
    for position, number in enumerate(remove_ids):
        try:
            if isinstance(number, bool):
                raise TypeError
            ids.append(operator.index(number))
        except TypeError:
            faults.add(f"remove_ids[{position}] has type {type(number).__name__}")
    faults.refuse("remove_ids", "item", "can't be used: give integers")
    return ids


class AnnotationFile:
    """The lines of an annotation file, checked; what they name is made one at a time.

    A million lines take their bytes and sixteen more each.
    """

    def __init__(self, root: Path, file: Path, reader: InputReader) -> None:
        self._root = root
        self._name = file.name
        self._reader = reader
        self._content = _content("gallery_label", file)
        self._starts = array("q")
        self._numbers = array("q")
        self._check()

    def __len__(self) -> int:
        return len(self._starts)

    def image(self, row: int) -> GalleryImage:
        start = self._starts[row]
        end = self._content.find(b"\n", start)
        line = self._content[start : end if end >= 0 else None]
        path, label = split_line(line.decode("utf-8"))
        where = f"{self._name}, line {self._numbers[row]}: {path}"
        return GalleryImage(where, self._reader.one(self._root / path, where, row), label)

    def _check(self) -> None:
        faults = Faults()
        seen: dict[str, int] = {}
        start = 0
        for number, line in lines_of(self._content):
            if line.strip(BLANK.encode()):
                if fault := self._fault(line, number, seen):
                    faults.add(f"line {number}: {fault}")
                self._starts.append(start)
                self._numbers.append(number)
            start += len(line) + 1
        faults.refuse(self._name, "line", "can't be used")
        if not self._starts:
            raise names_no_image(self._name)

    def _fault(self, line: bytes, number: int, seen: dict[str, int]) -> str | None:
        if fault := line_fault(line):
            return fault
        path, _ = split_line(line.decode("utf-8"))
        earlier = seen.setdefault(os.path.normpath(path), number)
        if earlier != number:
            return f"{shown(path)} is in line {earlier} already: leave one of them"
        if fault := file_fault(str(self._root / path)):
            suffixed = path.lower().endswith(IMAGE_SUFFIXES)
            return f"{shown(path)}: {fault}" + ("" if suffixed else "; a path holds no spaces")
        return None


def _check_lists(images: Sequence[Any], labels: Sequence[Any]) -> None:
    if len(images) != len(labels):
        raise InvalidRequestError(
            f"gallery_imgs has {len(images)} images, gallery_label {len(labels)} labels: give one "
            "label for each image"
        )
    if not images:
        raise InvalidRequestError("gallery_imgs is empty: give at least one image")
    faults = Faults()
    for position, (image, label) in enumerate(zip(images, labels, strict=True)):
        if not isinstance(label, str):
            kind = type(label).__name__
            faults.add(f"gallery_label[{position}] has type {kind}: write it as a string")
        elif fault := label_fault(label):
            faults.add(f"gallery_label[{position}] {fault}")
        if fault := _image_fault(image):
            faults.add(f"gallery_imgs[{position}]: {fault}")
    faults.refuse("the gallery", "item", "can't be used")


def _image_fault(image: Any) -> str | None:
    if isinstance(image, np.ndarray):
        return None
    if not isinstance(image, str | os.PathLike):
        return f"of type {type(image).__name__}: give an array or a path"
    path = os.fsdecode(image)
    fault = None if is_url(path) else file_fault(path)
    return f"{shown(path)}: {fault}" if fault else None


def _as_list(name: str, given: Any) -> Sequence[Any]:
    if isinstance(given, np.ndarray) and given.ndim in (1, 4):
        return list(given)
    if isinstance(given, str | bytes | os.PathLike) or not isinstance(given, Sequence):
        raise InvalidRequestError(
            f"{name} has type {type(given).__name__}: give a directory and an annotation file, or "
            "a list of images and a list of labels"
        )
    return given


def _root(gallery_imgs: Any) -> Path:
    if not isinstance(gallery_imgs, str | os.PathLike):
        raise InvalidRequestError(
            f"gallery_imgs has type {type(gallery_imgs).__name__}, but gallery_label is a file: "
            "give the directory that the file's paths start from, or two lists"
        )
    root = Path(gallery_imgs)
    try:
        is_there = root.is_dir()
    except OSError as error:
        raise InvalidRequestError(f"gallery_imgs: {root} can't be read: {error.strerror}") from None
    if not is_there:
        raise InvalidRequestError(f"gallery_imgs: there is no directory {root}")
    return root


def _content(name: str, file: Path) -> bytes:
    """Of a text file, without a byte order mark."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise InvalidRequestError(f"{name}: there is no file {file}") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InvalidRequestError(f"{name}: {file} can't be read: {why}") from None
    return utf8_content(file.name, content)
