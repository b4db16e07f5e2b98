"""Reads ``pairs.txt``, ``gallery.txt`` and ``probes.txt``: whose lines they are and what they say.

Every mistake is named by its file and line. Whether the images are there is not looked at.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from serve_app.errors import InvalidRequestError
from serve_app.evaluation.sets.evaluation_set import (
    STRANGER,
    EvaluationSet,
    LabelledImage,
    ListedPair,
)
from serve_app.evaluation.sets.lfw import is_lfw, read_lfw
from serve_app.evaluation.sets.lines import Line, read_lines

PAIRS, GALLERY, PROBES = "pairs.txt", "gallery.txt", "probes.txt"


def has_lists(directory: Path) -> bool:
    return any((directory / name).exists() for name in (PAIRS, GALLERY, PROBES))


def read_lists(directory: Path, images: Path) -> EvaluationSet:
    """The lists of ``directory``, whose paths are relative to ``images``.

    Raises InvalidRequestError for a list that is empty, malformed or contradicts another.
    """
    given = {file: (directory / file).exists() for file in (PAIRS, GALLERY, PROBES)}
    for one, other in ((GALLERY, PROBES), (PROBES, GALLERY)):
        if given[one] and not given[other]:
            raise InvalidRequestError(
                f"{directory.name or directory} holds {one} but no {other}: 1:N needs both"
            )
    name = directory.resolve().name
    known = read_pairs(directory / PAIRS, images) if given[PAIRS] else None
    if not given[GALLERY]:
        assert known is not None
        return dataclasses.replace(known, name=name)
    gallery, probes = _labelled(directory / GALLERY), _labelled(directory / PROBES)
    listed_in = dict(known.listed_in) if known else {}
    person_of = _people(gallery, probes, listed_in)
    return EvaluationSet(
        name=name,
        root=images,
        pairs=known.pairs if known else (),
        gallery=[entry.value for entry in gallery],
        probes=[entry.value for entry in probes],
        person_of=person_of,
        nameless=sorted({e.value.image for e in probes if e.value.label == STRANGER}),
        listed_in=listed_in,
        origin=known.origin if known else "",
        search=f"{GALLERY}, {PROBES}",
    )


def read_pairs(file: Path, images: Path) -> EvaluationSet:
    """A list of pairs: ``path path 1|0`` a line, or LFW's form, where names tell who is who.

    Raises InvalidRequestError.
    """
    lines = read_lines(file)
    if is_lfw(lines):
        return read_lfw(file.name, lines, images)
    listed_in: dict[str, str] = {}
    pairs = []
    for line in lines:
        fields = line.split()
        if len(fields) != 3:
            raise InvalidRequestError(
                f"{line.where}: 3 fields are expected, 'path path 1' for the same person or "
                f"'path path 0' (paths with blanks: separate by tabs), not {len(fields)}"
            )
        first, second, same = fields
        if same not in ("0", "1"):
            raise InvalidRequestError(
                f"{line.where}: the third field is 1 (the same person) or 0, not {same}"
            )
        if first == second:
            raise InvalidRequestError(f"{line.where}: {first} is paired with itself")
        pairs.append(ListedPair(first, second, same == "1"))
        listed_in.setdefault(first, line.where)
        listed_in.setdefault(second, line.where)
    return EvaluationSet(
        name=file.name, root=images, pairs=pairs, listed_in=listed_in, origin=file.name
    )


@dataclass(frozen=True, slots=True)
class _Entry:
    value: LabelledImage
    where: str


def _labelled(file: Path) -> list[_Entry]:
    return [_entry(line) for line in read_lines(file)]


def _entry(line: Line) -> _Entry:
    fields = line.split(maxsplit=1)
    if len(fields) != 2:
        raise InvalidRequestError(f"{line.where}: 2 fields are expected, 'path label'")
    return _Entry(LabelledImage(*fields), line.where)


def _people(
    gallery: list[_Entry], probes: list[_Entry], listed_in: dict[str, str]
) -> dict[str, str]:
    """Who is on each image; refuses an image with two labels, and a probe of nobody enrolled."""
    enrolled = {entry.value.label for entry in gallery}
    said: dict[str, _Entry] = {}
    for entry in (*gallery, *probes):
        image, label = entry.value.image, entry.value.label
        before = said.setdefault(image, entry)
        if before.value.label != label:
            raise InvalidRequestError(
                f"{entry.where}: {image} is {label}, but {before.where} says {before.value.label}"
            )
        listed_in.setdefault(image, entry.where)
    _refuse(gallery, lambda label: label == STRANGER, "'-' is for strangers among the probes")
    _refuse(
        probes,
        lambda label: label != STRANGER and label not in enrolled,
        f"is nobody of {GALLERY}: label a stranger '-'",
    )
    return {image: e.value.label for image, e in said.items() if e.value.label != STRANGER}


def _refuse(entries: Iterable[_Entry], bad: Callable[[str], bool], reason: str) -> None:
    for entry in entries:
        if bad(entry.value.label):
            raise InvalidRequestError(f"{entry.where}: {entry.value.label} {reason}")
