"""The ``pairs.txt`` of Labeled Faces in the Wild: people and the numbers of their images.

Format (Huang et al., LFW's README): a header of one or two numbers (sets and pairs a set), then
``name n1 n2`` for two images of one person and ``name1 n1 name2 n2`` for two people; image 3 of
Ann_Lee is ``Ann_Lee/Ann_Lee_0003.jpg``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from serve_app.errors import InvalidRequestError
from serve_app.evaluation.sets.evaluation_set import EvaluationSet, ListedPair
from serve_app.evaluation.sets.lines import Line

SUFFIXES = (".jpg", ".jpeg", ".png")


def is_lfw(lines: Sequence[Line]) -> bool:
    """Whether the lines have LFW's form: a header, or a number where others have a path."""
    first = lines[0].split()
    return all(field.isdigit() for field in first) or (len(first) > 2 and first[1].isdigit())


def read_lfw(name: str, lines: Sequence[Line], images: Path) -> EvaluationSet:
    """The pairs of a list called ``name``, whose people's folders are in ``images``.

    The list is in the order of LFW's ten sets, which the ten folds keep. Raises
    InvalidRequestError.
    """
    header = all(field.isdigit() for field in lines[0].split())
    pairs = []
    person_of: dict[str, str] = {}
    listed_in: dict[str, str] = {}
    for line in lines[header:]:
        people = _people(line)
        first, second = (_image(images, person, number) for person, number in people)
        if first == second:
            raise InvalidRequestError(f"{line.where}: {first} is paired with itself")
        pairs.append(ListedPair(first, second, same=people[0][0] == people[1][0]))
        for image, (person, _) in zip((first, second), people, strict=True):
            person_of[image] = person
            listed_in.setdefault(image, line.where)
    if not pairs:
        raise InvalidRequestError(f"{name} lists no pairs after its header")
    return EvaluationSet(
        name=name,
        root=images,
        pairs=pairs,
        person_of=person_of,
        listed_in=listed_in,
        origin=f"{name}, LFW's form",
    )


def _people(line: Line) -> list[tuple[str, int]]:
    """Person and number of both images."""
    fields = line.split()
    if len(fields) == 3:
        fields = [fields[0], fields[1], fields[0], fields[2]]
    if len(fields) != 4 or not (fields[1].isdigit() and fields[3].isdigit()):
        raise InvalidRequestError(
            f"{line.where}: 'name n1 n2' or 'name1 n1 name2 n2' is expected, as in LFW's list"
        )
    return [(fields[0], int(fields[1])), (fields[2], int(fields[3]))]


def _image(images: Path, person: str, number: int) -> str:
    names = [f"{person}/{person}_{number:04}{suffix}" for suffix in SUFFIXES]
    return next((name for name in names if (images / name).is_file()), names[0])
