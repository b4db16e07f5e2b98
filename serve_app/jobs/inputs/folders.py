"""A directory, or a prefix of a bucket, with a folder for each person: all pictures below it are
the person's. The order is that of ``face-serve index build``."""

from __future__ import annotations

import os
from pathlib import Path

from serve_app.errors import InvalidRequestError
from serve_app.jobs.inputs.allowed import OUTSIDE
from serve_app.jobs.inputs.answers import translated
from serve_app.jobs.inputs.files import Files
from serve_app.jobs.inputs.listed import ImageList, ListedImages
from serve_app.jobs.inputs.places import LOCAL, scheme_of, shown_place
from serve_app.jobs.inputs.row_making import RowMaker
from serve_app.pipeline.image_files import IMAGE_SUFFIXES, walked

NOT_UTF8 = "the name of the file or its folder is not UTF-8: rename it"


def read_folders(files: Files, place: str, maker: RowMaker) -> ListedImages:
    """Raises InvalidRequestError for a directory that holds nobody or can't be read; as ``Files``
    for a bucket."""
    images = ImageList()
    if scheme_of(place) == LOCAL:
        with translated(place):
            _local(Path(place), images, maker)
    else:
        _objects(files, place, images)
    if not len(images):
        raise InvalidRequestError(
            f"{shown_place(place)} holds nobody to enrol: make a folder for each person with "
            "pictures in it, or write `path label` lines in gallery.txt"
        )
    return images.images(maker)


def _local(root: Path, images: ImageList, maker: RowMaker) -> None:
    people = sorted(
        path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    for person in people:
        if maker.allowed is not None and not maker.allowed.allows(str(person)):
            # A link that leads out: what is there must not show, not even by name.
            images.add(_text(str(person)), _text(person.name), f"the folder {OUTSIDE}")
            continue
        for picture in walked(str(person)):
            fault = None if _is_utf8(picture) else NOT_UTF8
            images.add(_text(picture), _text(person.name), fault)


def _objects(files: Files, place: str, images: ImageList) -> None:
    """In the same order: by person, then by the rest of the path."""
    prefix = f"{place.rstrip('/')}/"
    found = []
    for each in files.below(place):
        person, _, rest = each.removeprefix(prefix).partition("/")
        if rest and not person.startswith(".") and each.lower().endswith(IMAGE_SUFFIXES):
            found.append((person, each))
    for person, each in sorted(found):
        images.add(each, person)


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(path: str) -> str:
    """With other bytes than UTF-8 written as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
