"""Which kind of set a path is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from serve_app.errors import InvalidRequestError
from serve_app.evaluation.sets.evaluation_set import EvaluationSet
from serve_app.evaluation.sets.lists import has_lists, read_lists, read_pairs
from serve_app.evaluation.sets.pair_drawing import draw_pairs
from serve_app.evaluation.sets.people import read_people


def open_set(path: Path, images: Path | None = None) -> EvaluationSet:
    """A file of pairs, a directory with lists, or one with a folder for each person.

    ``images``: what paths in lists are relative to, left out the list's directory. A set that
    knows its people but lists no pairs has some drawn. All files are there when this returns.
    Raises InvalidRequestError.
    """
    if path.is_file():
        found = read_pairs(path, images or path.parent)
    elif has_lists(path):
        found = read_lists(path, images or path)
    else:
        found = _people(path, images)
    if not found.pairs:
        pairs = draw_pairs(found.person_of)
        found = dataclasses.replace(
            found,
            pairs=pairs,
            origin="drawn at random: each person's pairs in turn, as many of different people",
        )
    found.check_files()
    return found


def _people(path: Path, images: Path | None) -> EvaluationSet:
    found = read_people(path) if path.is_dir() else None
    if found is None or not found.person_of:
        missing = "" if found else ": it does not exist"
        raise InvalidRequestError(
            f"{path.name or path} holds neither pairs.txt nor gallery.txt with probes.txt, nor a "
            f"folder of pictures for each person{missing}"
        )
    if images is not None:
        raise InvalidRequestError(
            f"--images goes with lists, but {path.name or path} holds a folder for each person"
        )
    return found
