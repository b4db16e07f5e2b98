"""What a document can't say, so that requests get past the first check: real images, few names.

A random key names no gallery, and a random text is no image: nearly every request would end there.
Of these few keys, labels and ids some exist at any moment, as the requests themselves make them.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis.strategies import (
    SearchStrategy,
    binary,
    booleans,
    composite,
    fixed_dictionaries,
    integers,
    just,
    lists,
    one_of,
    sampled_from,
)

from tests.fuzzing.seeds import MARK, faces, marked, seeds

INPUT = "FACE_SERVE_FUZZ_INPUT"
"""Environment variable: a directory that the service's bulk jobs may read."""

KEY = "FACE_SERVE_FUZZ_KEY"
"""Environment variable: the API key that requests carry, if they carry no other."""

KEYS = sampled_from(["fuzz-a", "fuzz-b"])
JOBS = sampled_from(["job-a", "job-b"])
LABELS = sampled_from(["Anna", "", "Zoë / 50%", "\U0001f600", "a" * 1000, "/etc/passwd"])
IDS = lists(one_of(integers(0, 8), sampled_from([-1, 2**63 - 1, 2**63, 2**70, MARK])), max_size=5)
INDEX_TYPES = sampled_from(
    ["Flat", "Flat", "IVF", "HNSW32", "IVF4096,SQ8", "PCA4,Flat", "IDMap2,Flat", "RCQ", "Flat,Flat"]
)
URLS = sampled_from(
    [
        f"http://127.0.0.1:1/a.jpg?signature={MARK}",
        f"https://me:{MARK}@127.0.0.1/a.jpg",
        "http://[::1%25lo]/a",
        "file:///etc/passwd",
        "http://",
        "data:,",
    ]
)
HEADERS: dict[str, SearchStrategy[str]] = {
    "Accept": sampled_from(["application/msgpack", "application/json;q=0.1, */*"]),
    "Request-Timeout": sampled_from(["60", "100000000", "0", "-1", "1e3", "soon"]),
    "Idempotency-Key": sampled_from(["again", f"again-{MARK}", "~" * 255]),
    "traceparent": just("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    # Of a service without keys it is nobody's; else it stands in the place of a good one.
    "Authorization": sampled_from([f"Bearer fs_fuzz_{MARK}", f"Basic {MARK}", "Bearer", MARK]),
}
"""Accept and traceparent are in no OpenAPI document; the others in all or in some operations."""

FACES = sampled_from([marked(face) for face in faces()])
PICTURES: list[bytes] = [*seeds().values()]
ODD_FILES = one_of(
    sampled_from(PICTURES),
    sampled_from(PICTURES).map(lambda data: data[: len(data) // 2]),
    binary(max_size=64),
)
FILES = sampled_from([True, True, True, False]).flatmap(
    lambda shows_face: FACES if shows_face else ODD_FILES
)
"""Three of four show a face: of several images in a request, one that shows none fails them all."""
BASE64 = FILES.map(lambda data: base64.b64encode(data).decode("ascii"))
TEXTS = one_of(BASE64, BASE64, BASE64, URLS)
ARRAYS = fixed_dictionaries(
    {
        "shape": sampled_from([[2, 3, 3], [0, 3, 3], [2, 2**40, 3], [2, 3, 4]]),
        "dtype": sampled_from(["uint8", "float32"]),
        "data": sampled_from([bytes(18), bytes(72), np.full(18, np.nan, "<f4").tobytes()]),
        "order": sampled_from(["RGB", "BGR"]),
    }
)


def image_of(kind: str) -> SearchStrategy[Any]:
    """An image as bodies of this content type have it."""
    if kind.endswith("msgpack"):
        return one_of(FILES, FILES, TEXTS, ARRAYS)
    return FILES if kind == "multipart/form-data" else TEXTS


def _pairs(kind: str) -> SearchStrategy[list[Any]]:
    pair = fixed_dictionaries({"image": image_of(kind), "label": LABELS})
    return lists(pair, min_size=1, max_size=3)


@composite
def body_in_depth(draw: Any, body: Mapping[str, Any], kind: str, path: str) -> dict[str, Any]:
    """``body``, drawn from the document, with values of ours for the fields it has."""
    ours: dict[str, SearchStrategy[Any]] = {
        "indexKey": KEYS,
        "key": KEYS,
        "jobId": JOBS,
        "ids": IDS,
        "images": lists(image_of(kind), min_size=1, max_size=3),
        "imageLabelPairs": _pairs(kind),
        "indexType": INDEX_TYPES,
        "request": sampled_from(
            ["{}", '{"indexKey": "fuzz-a"}', '{"topk": [[[', "[]", f'{{"topk": "{MARK}"}}']
        ),
        "onError": sampled_from(["fail", "skip"]),
        "input": one_of(just(os.environ.get(INPUT, "/photos")), just("/photos/../etc/passwd")),
    }
    if path.endswith("infer"):
        ours["image"] = image_of(kind)
    result = dict(body)
    for name in ours.keys() & {*body, *(("indexKey",) if draw(booleans()) else ())}:
        result[name] = draw(ours[name])
    if kind == "multipart/form-data" and "index-" in path:
        both = draw(_pairs(kind))
        result |= {name: [pair[name] for pair in both] for name in ("image", "label")}
    elif kind == "multipart/form-data":
        result["image"] = draw(lists(FILES, min_size=1, max_size=3 if "batch" in path else 1))
    return result


@composite
def path_in_depth(draw: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    ours = {"key": KEYS, "id": JOBS, "label": LABELS}
    return {name: draw(ours[name]) if name in ours else old for name, old in values.items()}


@composite
def headers_in_depth(draw: Any) -> dict[str, str]:
    """A few; often none."""
    names = draw(lists(sampled_from(sorted(HEADERS)), unique=True, max_size=2))
    return {name: draw(HEADERS[name]) for name in names}
