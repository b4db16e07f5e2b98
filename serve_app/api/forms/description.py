"""What ``/openapi.json`` says of the forms of a body: a content type each, with examples."""

from __future__ import annotations

from typing import Any

from serve_app.api import schemas
from serve_app.api.forms import msgpack_form, multipart_form
from serve_app.api.forms.places import IMAGE, IMAGES, LABEL, PAIRS, REQUEST, Place, place_of
from serve_app.api.sources import ImageArray

FILE = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
"""OpenAPI 3.0 knows the second word, 3.1 the third; generators and Swagger UI want one or both."""

LABEL_TEXT = {"type": "string", "maxLength": schemas.MAX_LABEL_LENGTH}

URL = "https://photos.example/friends.jpg"
EXAMPLES: dict[str, dict[str, Any]] = {
    IMAGE: {IMAGE: URL, "indexKey": "house", "topk": 3},
    IMAGES: {IMAGES: [URL, "https://photos.example/family.jpg"], "indexKey": "house"},
    PAIRS: {
        PAIRS: [{IMAGE: "https://photos.example/anna.jpg", LABEL: "Anna"}],
        "indexKey": "house",
    },
}
PARTS = {
    IMAGE: "The image",
    IMAGES: "The images, one part each",
    PAIRS: "The images, one part each, in the order of the labels",
}


def content(schema: type[schemas.Request], reference: str) -> dict[str, Any]:
    """Content types of a body that is ``schema``. ``reference``: where the document has schemas,
    with ``{model}`` for a name."""
    whole = {"$ref": reference.format(model=schema.__name__)}
    place = place_of(schema, schemas.MAX_PAIRS)
    if place is None:
        return {"application/json": {"schema": whole}}
    forms: dict[str, Any] = {
        "application/json": {
            "schema": whole,
            "examples": {"urls": {"value": EXAMPLES[place.field]}},
        },
        multipart_form.KIND: {"schema": _parts(schema, place, reference)},
        msgpack_form.KINDS[0]: {"schema": _values(schema, place, reference)},
    }
    if place.field == IMAGE:
        forms["image/*"] = {"schema": {**FILE, "description": "The file; all else in the query"}}
    return forms


def query(schema: type[schemas.Request], reference: str) -> dict[str, Any]:
    """JSON schemas of what may stand in the query beside a bare image; none for other bodies."""
    place = place_of(schema, schemas.MAX_PAIRS)
    if place is None or place.field != IMAGE:
        return {}
    return _simple(schema, place, reference)


def _simple(schema: type[schemas.Request], place: Place, reference: str) -> dict[str, Any]:
    properties = schema.model_json_schema(ref_template=reference)["properties"]
    return {name: field for name, field in properties.items() if name in place.simple}


def _values(schema: type[schemas.Request], place: Place, reference: str) -> dict[str, Any]:
    image = {
        "description": "As in JSON, or the bytes of its file, or an array of its pixels",
        "anyOf": [  # text and a file are strings both
            {"type": "string"},
            FILE,
            {"$ref": reference.format(model=ImageArray.__name__)},
        ],
    }
    pair = {"type": "object", "properties": {IMAGE: image, LABEL: LABEL_TEXT}}
    images = {
        IMAGE: image,
        IMAGES: {"type": "array", "items": image},
        PAIRS: {"type": "array", "items": pair},
    }
    properties = {place.field: images[place.field], **_simple(schema, place, reference)}
    return {"type": "object", "properties": properties, "required": [place.field]}


def _parts(schema: type[schemas.Request], place: Place, reference: str) -> dict[str, Any]:
    images: dict[str, Any] = FILE if place.field == IMAGE else {"type": "array", "items": FILE}
    properties = {IMAGE: {**images, "description": PARTS[place.field]}}
    if place.field == PAIRS:
        properties[LABEL] = {
            "type": "array",
            "items": LABEL_TEXT,
            "description": "The labels, one part each, in the order of the images",
        }
    properties |= _simple(schema, place, reference)
    properties[REQUEST] = {
        "type": "string",
        "contentMediaType": "application/json",
        "description": "The JSON form instead of fields, images left out: they are parts",
    }
    return {"type": "object", "properties": properties}
