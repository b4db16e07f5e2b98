"""A gallery's pictures on disk: with a list of labels, or a folder for each person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from serve_app.cli.output import counted, note
from serve_app.errors import InvalidRequestError

LIST = "gallery.txt"


def gallery_of(root: Path, labels: Path | None) -> tuple[Any, Any]:
    """What ``build_index`` takes as ``gallery_imgs`` and ``gallery_label``.

    ``labels``: an annotation file; left out, gallery.txt in ``root`` if there is one, else the
    folders in it are people, with all pictures below them. Raises InvalidRequestError.
    """
    if not root.is_dir():
        raise InvalidRequestError(f"{root} is not a directory")
    if labels is None and (root / LIST).is_file():
        labels = root / LIST
    if labels is not None:
        return root, labels
    from serve_app.pipeline.image_files import IMAGE_SUFFIXES, images_in

    images: list[str] = []
    names: list[str] = []
    for person in sorted(_visible(root, directories=True)):
        pictures = list(images_in(str(person)))
        images += pictures
        names += [person.name] * len(pictures)
    if not images:
        raise InvalidRequestError(
            f"{root} has nobody to enrol: make a folder for each person with pictures in it, or "
            "write a list of `path label` lines and name it with --labels"
        )
    beside = [path for path in _visible(root, directories=False)
              if path.suffix.lower() in IMAGE_SUFFIXES]  # fmt: skip
    if beside:
        note(f"left out: {counted(len(beside), 'picture')} in {root} itself, in nobody's folder")
    return images, names


def _visible(root: Path, *, directories: bool) -> list[Path]:
    return [
        path
        for path in root.iterdir()
        if path.is_dir() == directories and not path.name.startswith(".")
    ]
