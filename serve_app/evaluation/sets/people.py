"""A directory with a folder for each person: who is who follows from where a picture lies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

from serve_app.errors import InvalidRequestError
from serve_app.evaluation.sets.evaluation_set import STRANGER, EvaluationSet, LabelledImage
from serve_app.pipeline.image_files import IMAGE_SUFFIXES


def read_people(directory: Path) -> EvaluationSet:
    """All pictures of all people; a set without pairs, whose probes are chosen here.

    A person's pictures are all those below the folder, but no hidden ones. 1:N: the first, by
    name, of each person who has at least two is enrolled and the person's others are probes;
    people with one picture are strangers. Raises InvalidRequestError for a directory that can't be
    read.
    """
    try:
        folders = sorted(path for path in directory.iterdir() if path.is_dir())
        people = {
            folder.name: pictures
            for folder in folders
            if not folder.name.startswith(".") and (pictures := _pictures(folder))
        }
    except OSError as error:
        place = Path(str(error.filename)).name or directory
        raise InvalidRequestError(f"{place} can't be read: {error.strerror}") from None
    if STRANGER in people:
        raise InvalidRequestError(f"nobody can be called {STRANGER}: rename that folder")
    gallery = [
        LabelledImage(pictures[0], person) for person, pictures in people.items() if pictures[1:]
    ]
    probes = [
        LabelledImage(picture, person if pictures[1:] else STRANGER)
        for person, pictures in people.items()
        for picture in (pictures[1:] or pictures)
    ]
    return EvaluationSet(
        name=directory.resolve().name,
        root=directory,
        gallery=gallery,
        probes=probes if gallery else (),
        person_of={picture: person for person, pictures in people.items() for picture in pictures},
        search="each person's first image enrolled, the others probes; people with one image "
        "are strangers",
    )


def _pictures(folder: Path) -> list[str]:
    """All pictures below a person's folder, relative to the set's directory."""
    found = []
    for place, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(place, name).relative_to(folder.parent).as_posix()
            for name in files
            if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".")
        ]
    return sorted(found)


def _refuse(error: OSError) -> NoReturn:
    raise error
