"""Where a request has its images, and how many there may be: all that forms know of schemas."""

from __future__ import annotations

from dataclasses import dataclass

from serve_app.api import schemas

IMAGE, IMAGES, PAIRS = "image", "images", "imageLabelPairs"
LABEL, REQUEST = "label", "request"

MORE_PARTS = 32
"""Parts of a multipart body beside images and labels."""


@dataclass(frozen=True, slots=True)
class Place:
    """``field``: where the images are. ``most``: how many of them are read. ``simple``: the wire's
    names of all other fields."""

    field: str
    most: int
    simple: frozenset[str]

    @property
    def most_parts(self) -> int:
        """Of a multipart body."""
        return MORE_PARTS + self.most * (2 if self.field == PAIRS else 1)


def place_of(schema: type[schemas.Request], max_pairs: int) -> Place | None:
    """None for a request without images: it is JSON only. ``max_pairs``: as the limits say."""
    most = {IMAGE: 1, IMAGES: schemas.MAX_IMAGES, PAIRS: max_pairs}
    names = {field.alias or name for name, field in schema.model_fields.items()}
    for field in names & most.keys():
        return Place(field, most[field], frozenset(names - {field}))
    return None
