"""The parts of a multipart body to the values of a request, images in their places.

A part ``request`` may hold the request's JSON, a field each simple value; the parts ``image`` and
``label`` come one for each image and label, in their order. Must not judge what the values are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from serve_app.api.errors import invalid_field
from serve_app.api.forms.json_form import parse_part
from serve_app.api.forms.multipart_form import Part
from serve_app.api.forms.places import IMAGE, IMAGES, LABEL, PAIRS, REQUEST, Place
from serve_app.errors import InvalidRequestError


def assemble(parts: Sequence[Part], place: Place) -> dict[str, Any]:
    """The values of a request that has its images at ``place``. Of a field that is there twice the
    last counts, a field before the JSON; unknown parts are ignored.

    Raises InvalidRequestError, TooLargeError.
    """
    values: dict[str, Any] = {}
    for part in _named(parts, REQUEST):
        values |= parse_part(part.content)
    for part in parts:
        if part.name in place.simple:
            values[part.name] = _text(part)
    images = [part.content if part.is_file else _text(part) for part in _named(parts, IMAGE)]
    if place.field == PAIRS:
        return _with_pairs(values, images, [_text(part) for part in _named(parts, LABEL)])
    if not images:
        return values
    if values.get(place.field) is not None:
        raise _twice(place.field)
    if place.field == IMAGES:
        return {**values, IMAGES: images}
    if len(images) > 1:
        raise invalid_field(
            "too_many_images", IMAGE, f"{len(images)} images: one is read, several by infer:batch"
        )
    return {**values, IMAGE: images[0]}


def _with_pairs(
    values: dict[str, Any], images: Sequence[str | bytes], labels: Sequence[str]
) -> dict[str, Any]:
    """Labels are fields or stand in the JSON, whose pairs without an image take the next part."""
    pairs = values.get(PAIRS)
    if pairs is None and not images and not labels:
        return values
    if pairs is None:
        _check_counts(len(images), len(labels))
        both = zip(images, labels, strict=True)
        return {**values, PAIRS: [{IMAGE: image, LABEL: label} for image, label in both]}
    if labels:
        raise _twice(LABEL)
    if not isinstance(pairs, list):
        return values
    lacking = [pair for pair in pairs if isinstance(pair, dict) and pair.get(IMAGE) is None]
    _check_counts(len(images), len(lacking))
    for pair, image in zip(lacking, images, strict=True):
        pair[IMAGE] = image
    return values


def _named(parts: Sequence[Part], name: str) -> list[Part]:
    return [part for part in parts if part.name == name]


def _text(part: Part) -> str:
    try:
        return part.content.decode("utf-8")
    except UnicodeDecodeError:
        advice = "; the part of an image file has a file name" if part.name == IMAGE else ""
        raise invalid_field("string_unicode", part.name, f"Input should be UTF-8{advice}") from None


def _check_counts(images: int, labels: int) -> None:
    if images != labels:
        raise invalid_field(
            "labels_mismatch",
            PAIRS,
            f"{images} image parts for {labels} labels: send one for each, in the same order",
        )


def _twice(field: str) -> InvalidRequestError:
    return invalid_field("given_twice", field, "Input is in a part and in the JSON: send it once")
