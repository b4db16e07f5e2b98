"""What a set of photographs says: which images to compare, and who is known to be on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from serve_app.errors import InvalidRequestError

STRANGER = "-"
"""Label of a probe whose person is not in the gallery."""


@dataclass(frozen=True, slots=True)
class ListedPair:
    """Two images, and whether they show the same person."""

    first: str
    second: str
    same: bool


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image and whom it shows; ``STRANGER`` for a probe of somebody who is not enrolled."""

    image: str
    label: str


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """Images are named by their paths relative to ``root``, as the lists write them.

    ``pairs``: for the 1:1 accuracy. ``gallery``, ``probes``: for 1:N, both or neither.
    ``person_of``: who is on an image, where that is known; all pairs of these images have a known
    answer. ``nameless``: images of people who are none of those, and of whom nothing else is
    known: a pair of one of them with a known person is an impostor pair, a pair of two is nothing.
    ``listed_in``: where a list names an image, for messages. ``origin`` says in words where the
    pairs, ``search`` where gallery and probes come from.
    """

    name: str
    root: Path
    pairs: Sequence[ListedPair] = ()
    gallery: Sequence[LabelledImage] = ()
    probes: Sequence[LabelledImage] = ()
    person_of: Mapping[str, str] = field(default_factory=dict)
    nameless: Sequence[str] = ()
    listed_in: Mapping[str, str] = field(default_factory=dict)
    origin: str = ""
    search: str = ""

    def images(self) -> list[str]:
        """Every image once, sorted."""
        named = [name for pair in self.pairs for name in (pair.first, pair.second)]
        named += [entry.image for entry in (*self.gallery, *self.probes)]
        return sorted({*named, *self.person_of, *self.nameless})

    def check_files(self) -> None:
        """Raises InvalidRequestError for listed images that are not there, naming the first."""
        absent = [name for name in self.images() if not (self.root / name).is_file()]
        if not absent:
            return
        where = self.listed_in.get(absent[0])
        others = f", and {len(absent) - 1:,} others are not" if len(absent) > 1 else ""
        raise InvalidRequestError(
            f"{where + ': ' if where else ''}{absent[0]} is listed but is not in "
            f"{self.root.name or self.root}{others}; --images DIRECTORY says where the images lie"
        )
