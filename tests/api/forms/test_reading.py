"""The same request in every form, and what no form may do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import httpx
import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.config import Limits
from tests.api.forms.writing import CONTENT_TYPE, field, file, multipart
from tests.api.harness import (
    ADD,
    BATCH,
    BUILD,
    INFER,
    REMOVE,
    Api,
    failure,
    result,
    wire,
    wire_pairs,
)
from tests.fakes import BLACK, BLUE, GREEN, RED, picture

FORM = {"Content-Type": CONTENT_TYPE}
MSGPACK = {"Content-Type": "application/msgpack"}
IMAGE = {"Content-Type": "image/png"}
JSON = {"Content-Type": "application/json"}
FORMS = [FORM, MSGPACK, IMAGE]

Sent = tuple[bytes, dict[str, str]]


@pytest.fixture
async def api() -> Api:
    api = Api()
    result(await api.build((picture(RED), "red"), (picture(GREEN), "green"), indexKey="g"))
    return api


def array_of(image: bytes, order: str) -> dict[str, Any]:
    pixels = cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR_RGB)
    if order == "BGR":
        pixels = pixels[:, :, ::-1]
    array = {"shape": list(pixels.shape), "dtype": "uint8", "data": pixels.tobytes()}
    return {**array, "order": order}


def floats_of(image: bytes) -> dict[str, Any]:
    array = array_of(image, "RGB")
    data = np.frombuffer(array["data"], np.uint8).astype("<f4").tobytes()
    return {"shape": array["shape"], "dtype": "float32", "data": data}


def packed(value: Any) -> Sent:
    return msgpack.packb(value), MSGPACK


PROBE = picture(RED, BLACK, GREEN)
PROBES: dict[str, Sent] = {
    "file in multipart": (multipart(file("image", PROBE), field("indexKey", b"g")), FORM),
    "base64 in multipart": (
        multipart(field("image", wire(PROBE).encode()), field("indexKey", b"g")),
        FORM,
    ),
    "multipart with JSON": (
        multipart(field("request", b'{"indexKey": "g"}'), file("image", PROBE)),
        FORM,
    ),
    "file in msgpack": packed({"image": PROBE, "indexKey": "g"}),
    "base64 in msgpack": packed({"image": wire(PROBE), "indexKey": "g"}),
    "RGB in msgpack": packed({"image": array_of(PROBE, "RGB"), "indexKey": "g"}),
    "BGR in msgpack": packed({"image": array_of(PROBE, "BGR"), "indexKey": "g"}),
    "float32 in msgpack": packed({"image": floats_of(PROBE), "indexKey": "g"}),
}


@pytest.mark.parametrize("form", PROBES)
async def test_infer_answers_the_same_in_every_form(api: Api, form: str) -> None:
    expected = result(await api.post(INFER, {"image": wire(PROBE), "indexKey": "g"}))
    assert len(expected["faces"]) == 2
    body, headers = PROBES[form]
    assert result(await api.send("POST", INFER, content=body, headers=headers)) == expected


async def test_several_images_in_every_form(api: Api) -> None:
    images = [picture(RED), b"junk", picture(GREEN)]
    expected = result(await api.post(BATCH, {"images": [*map(wire, images)], "indexKey": "g"}))
    assert [*map(list, expected["results"])] == [["faces"], ["error"], ["faces"]]
    sent: list[Sent] = [
        (multipart(*[file("image", image) for image in images], field("indexKey", b"g")), FORM),
        packed({"images": images, "indexKey": "g"}),
        packed({"images": [array_of(images[0], "BGR"), *images[1:]], "indexKey": "g"}),
    ]
    for body, headers in sent:
        assert result(await api.send("POST", BATCH, content=body, headers=headers)) == expected


PAIRS = [(picture(RED), "röd"), (picture(BLUE), "")]
LABELS = [{"label": label} for _, label in PAIRS]
ENROLMENTS: dict[str, Sent] = {
    "fields": (
        multipart(
            *[file("image", image) for image, _ in PAIRS],
            *[field("label", label.encode()) for _, label in PAIRS],
            field("indexKey", b"new"),
        ),
        FORM,
    ),
    "multipart with JSON": (
        multipart(
            field("request", json.dumps({"indexKey": "new", "imageLabelPairs": LABELS}).encode()),
            *[file("image", image) for image, _ in PAIRS],
        ),
        FORM,
    ),
    "msgpack": packed(
        {
            "indexKey": "new",
            "imageLabelPairs": [{"image": image, "label": label} for image, label in PAIRS],
        }
    ),
    "arrays": packed(
        {
            "indexKey": "new",
            "imageLabelPairs": [
                {"image": floats_of(image), "label": label} for image, label in PAIRS
            ],
        }
    ),
}


@pytest.mark.parametrize("form", ENROLMENTS)
async def test_build_and_add_do_the_same_in_every_form(form: str) -> None:
    expected, api = Api(), Api()
    body, headers = ENROLMENTS[form]
    named = {**headers, "Idempotency-Key": form}
    for path in (BUILD, ADD):
        in_json = {"imageLabelPairs": wire_pairs(*PAIRS), "indexKey": "new"}
        told = result(await expected.post(path, in_json))
        for _ in range(2):  # a change that is sent again is made once
            sent = await api.send("POST", path, content=body, headers=named)
            assert result(sent) == told
        probe = {"image": wire(picture(BLUE)), "indexKey": "new", "topk": 1}
        assert result(await api.post(INFER, probe)) == result(await expected.post(INFER, probe))


@pytest.mark.parametrize("order", ["RGB", "BGR"])
async def test_the_order_of_colours_matters(api: Api, order: str) -> None:
    """Red in one order is blue in the other."""
    result(await api.build((picture(BLUE), "blue"), indexKey="h"))
    array = {**array_of(picture(RED), "RGB"), "order": order}
    body = {"image": array, "indexKey": "h", "recThreshold": 0.9}
    response = await api.send("POST", INFER, content=msgpack.packb(body), headers=MSGPACK)
    (face,) = result(response)["faces"]
    assert len(face["recResults"]) == (order == "BGR")


@pytest.mark.parametrize("path", [INFER, BATCH, BUILD, ADD])
@pytest.mark.parametrize("headers", FORMS)
async def test_an_empty_body_is_a_missing_one(api: Api, path: str, headers: dict[str, str]) -> None:
    response = await api.send("POST", path, content=b"", headers=headers)
    assert json.loads(failure(response, 422)) == [
        {"type": "missing", "loc": "body", "msg": "Field required"}
    ]


@pytest.mark.parametrize("headers", [FORM, MSGPACK])
async def test_a_removal_is_json_only(api: Api, headers: dict[str, str]) -> None:
    body = msgpack.packb({"ids": [0], "indexKey": "g"})
    response = await api.send("POST", REMOVE, content=body, headers=headers)
    assert "model_attributes_type" in failure(response, 422)


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "text/json", "video/mp4"]
)
async def test_other_content_types_are_refused(api: Api, kind: str) -> None:
    body = json.dumps({"image": wire(PROBE), "indexKey": "g", "logId": "seven"})
    response = await api.send("POST", INFER, content=body, headers={"Content-Type": kind})
    assert "model_attributes_type" in failure(response, 422)
    assert response.json()["logId"] == "seven"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (multipart(file("image", PROBE), field("topk", b"x"), field("logId", b"seven")), FORM),
        packed({"image": PROBE, "topk": "x", "logId": "seven"}),
        (multipart(file("image", PROBE), field("indexKey", b"no"), field("logId", b"seven")), FORM),
        packed({"image": PROBE, "indexKey": "no", "logId": "seven"}),
    ],
)
async def test_the_log_id_is_in_the_reply_whatever_is_wrong(
    api: Api, body: bytes, headers: dict[str, str]
) -> None:
    response = await api.send("POST", INFER, content=body, headers=headers)
    assert response.status_code in {404, 422}
    assert response.json()["logId"] == "seven"


async def test_a_page_of_another_origin_cant_enrol(api: Api) -> None:
    body = multipart(file("image", picture(RED)), field("label", b"x"), field("indexKey", b"g"))
    headers = {**FORM, "Origin": "http://evil.example"}
    response = await api.send("POST", ADD, content=body, headers=headers)
    assert "another origin" in failure(response, 422)
    headers = {**FORM, "Origin": "http://service", "Sec-Fetch-Site": "same-origin"}
    assert result(await api.send("POST", ADD, content=body, headers=headers))["imageCount"] == 3


SMALL = Limits(image_bytes=4000, image_pixels=2000, pairs=3, body_bytes=100_000)
LARGE = picture(*[RED] * 3)
"""3,072 pixels in few bytes."""


def as_file(image: bytes) -> Sent:
    return multipart(file("image", image), field("indexKey", b"g")), FORM


def as_bytes(image: bytes) -> Sent:
    return packed({"image": image, "indexKey": "g"})


def bare(image: bytes) -> Sent:
    return image, IMAGE


@pytest.mark.parametrize("form", [as_file, as_bytes, bare])
async def test_the_limits_of_an_image_hold_in_every_form(form: Callable[[bytes], Sent]) -> None:
    api = Api(limits=SMALL)
    for image, message in [(bytes(4001), "limit of 4000 bytes"), (LARGE, "limit of 0.002 mega")]:
        body, headers = form(image)
        path = f"{INFER}?indexKey=g"
        told = failure(await api.send("POST", path, content=body, headers=headers), 413)
        assert message in told


async def test_the_limits_of_an_image_hold_for_arrays() -> None:
    api = Api(limits=SMALL)
    for shape, dtype in [((20, 70, 3), "uint8"), ((18, 19, 3), "float32"), ((45, 45, 3), "uint8")]:
        data = np.zeros(shape, dtype).tobytes()
        array = {"shape": shape, "dtype": dtype, "data": data}
        body = msgpack.packb({"image": array, "indexKey": "g"})
        told = failure(await api.send("POST", INFER, content=body, headers=MSGPACK), 413)
        assert told.startswith("array ")


async def test_the_count_of_images_and_pairs_is_limited_in_every_form() -> None:
    api = Api(limits=SMALL)
    files = [file("image", PROBE)] * 65
    labels = [field("label", b"a")] * 65
    pairs = [{"image": PROBE, "label": "a"}] * 65
    sent: list[tuple[str, Sent]] = [
        (BATCH, (multipart(*files), FORM)),
        (BATCH, (multipart(*files * 2), FORM)),
        (BATCH, packed({"images": [PROBE] * 65})),
        (BUILD, (multipart(*files[:4], *labels[:4]), FORM)),
        (BUILD, (multipart(*files, *labels), FORM)),
        (BUILD, packed({"imageLabelPairs": pairs[:4]})),
        (BUILD, packed({"imageLabelPairs": pairs})),
    ]
    for path, (body, headers) in sent:
        failure(await api.send("POST", path, content=body, headers=headers), 413)
    assert api.detector.calls == 0


async def test_no_content_of_a_refused_body_comes_back(api: Api) -> None:
    secret = "c2VjcmV0" * 20
    sent: list[tuple[str, Sent]] = [
        (INFER, (multipart(file("image", secret.encode()), field("indexKey", b"g")), FORM)),
        (INFER, (multipart(field(secret, secret.encode())), FORM)),
        (INFER, (multipart(file("image", b"x"), field("topk", secret.encode())), FORM)),
        (INFER, (multipart(field("request", secret.encode())), FORM)),
        (BUILD, (multipart(field("label", secret.encode())), FORM)),
        (INFER, (secret.encode(), FORM)),
        (INFER, packed({"image": {secret: secret}})),
        (INFER, packed({"image": {"shape": [1, 1, 3], "dtype": secret, "data": secret}})),
        (INFER, packed({"image": [secret]})),
        (INFER, packed({secret.encode(): secret})),
        (BUILD, packed({"imageLabelPairs": {secret: secret}})),
        (BUILD, packed({"imageLabelPairs": [{"image": secret + "!", "label": secret}]})),
        (INFER + f"?topk={secret}", (PROBE, IMAGE)),
    ]
    for path, (body, headers) in sent:
        response = await api.send("POST", path, content=body, headers=headers)
        assert response.status_code == 422, response.text
        assert "c2VjcmV0" not in response.text


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9**9) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["image", "images", "imageLabelPairs", "label", "topk", "indexKey", "logId", "request", "data"]
)
ARRAY = st.fixed_dictionaries(
    {
        "shape": st.lists(st.integers(-1, 4), max_size=4) | VALUE,
        "dtype": st.sampled_from(["uint8", "float32"]) | VALUE,
        "data": st.binary(max_size=64) | VALUE,
    },
    optional={"order": st.sampled_from(["RGB", "BGR"]) | VALUE},
)


def consistent(height: int, width: int, dtype: str) -> st.SearchStrategy[dict[str, Any]]:
    """Arrays whose data is as long as it must be, of any bytes: infinities and what is no number
    among them."""
    size = height * width * 3 * np.dtype(dtype).itemsize
    return st.binary(min_size=size, max_size=size).map(
        lambda data: {"shape": [height, width, 3], "dtype": dtype, "data": data}
    )


SIDE = st.integers(1, 4)
GOOD = st.sampled_from([PROBE, wire(PROBE), array_of(PROBE, "BGR"), floats_of(PROBE)]) | st.tuples(
    SIDE, SIDE, st.sampled_from(["uint8", "float32"])
).flatmap(lambda drawn: consistent(*drawn))
PAIR = st.fixed_dictionaries({"image": GOOD | ARRAY | VALUE, "label": st.text(max_size=3)})
OBJECT = st.dictionaries(NAMES, VALUE | ARRAY, max_size=4) | st.fixed_dictionaries(
    {
        "image": GOOD | ARRAY,
        "images": st.lists(GOOD | ARRAY, max_size=3),
        "imageLabelPairs": st.lists(PAIR, max_size=3),
        "indexKey": st.just("g"),
    },
    optional={"onError": st.just("skip"), "topk": VALUE, "visualize": VALUE},
)
PARTS = st.lists(
    st.builds(field, NAMES, st.binary(max_size=20))
    | st.builds(file, NAMES, st.binary(max_size=20) | st.just(PROBE))
    | st.builds(lambda v: field("request", json.dumps(v, default=str).encode()), OBJECT),
    max_size=6,
).map(lambda parts: multipart(*parts))
SENT = st.one_of(
    OBJECT.map(packed),
    st.tuples(PARTS, st.just(FORM)),
    st.tuples(st.binary(), st.sampled_from([*FORMS, JSON])),
)


@pytest.fixture(scope="module")
def send() -> Iterator[Callable[[str, Sent], httpx.Response]]:
    """One service for thousands of requests."""
    with asyncio.Runner() as runner:
        api = Api()
        runner.run(api.build((picture(RED), "red"), indexKey="g"))

        def post(path: str, sent: Sent) -> httpx.Response:
            return runner.run(api.send("POST", path, content=sent[0], headers=sent[1]))

        yield post


@settings(deadline=None, max_examples=300)
@given(path=st.sampled_from([INFER, BATCH, BUILD, ADD]), sent=SENT)
def test_no_body_is_a_failure_of_ours(
    send: Callable[[str, Sent], httpx.Response], path: str, sent: Sent
) -> None:
    response = send(path, sent)
    assert response.status_code in {200, 404, 409, 413, 422}, response.text
    if response.status_code == 200:
        # Nor behind the envelope of several images.
        errors = [r.get("error") for r in result(response).get("results", [])]
        assert {error["errorCode"] for error in errors if error} <= {413, 422}
