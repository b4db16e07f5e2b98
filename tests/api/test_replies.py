from __future__ import annotations

import base64
import json
import uuid
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.api.replies import JSON, reply_kind, success_response
from serve_app.api.schemas import GalleryResult, InferResult, RecognisedFace, RecResult
from tests.api.harness import BATCH, INFER, Api, failure, wire
from tests.fakes import BLACK, RED, picture

MSGPACK = "application/msgpack"
FACE = RecognisedFace(bbox=[1, 2, 3, 4], rec_results=[RecResult(label="ä", score=0.5)], score=1)
PICTURE = bytes(range(256))


def told(result: Any, accept: str) -> Any:
    response = success_response(result, "seven", 202, accept=accept)
    assert response.status_code == 202
    assert response.media_type == (accept or JSON)
    content = bytes(response.body)
    return msgpack.unpackb(content) if accept else json.loads(content)


def test_a_picture_is_base64_in_json_and_bytes_in_msgpack() -> None:
    result = InferResult(faces=[FACE], image=PICTURE)
    in_json, in_msgpack = told(result, ""), told(result, MSGPACK)
    assert base64.b64decode(in_json["result"].pop("image"), validate=True) == PICTURE
    assert in_msgpack["result"].pop("image") == PICTURE
    assert in_json == in_msgpack
    assert in_json["result"]["faces"][0]["recResults"] == [{"label": "ä", "score": 0.5}]


def test_ids_are_text_and_what_is_absent_is_left_out_in_both() -> None:
    result = GalleryResult(id_map={0: "a", 7: "b"}, image_count=2)
    expected = {"idMap": {"0": "a", "7": "b"}, "imageCount": 2}
    assert told(result, "")["result"] == told(result, MSGPACK)["result"] == expected


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (MSGPACK, MSGPACK),
        ("Application/MsgPack", MSGPACK),
        ("application/vnd.msgpack", "application/vnd.msgpack"),
        ("application/msgpack, application/json", MSGPACK),
        ("application/json, application/msgpack;q=0.9", JSON),
        ("application/json;q=0.5, application/msgpack; q=0.9, */*", MSGPACK),
        ("application/msgpack;q=0", JSON),
        ("application/msgpack;q=x", JSON),
        ("application/msgpack;q=0.1, application/x-msgpack", "application/x-msgpack"),
    ],
)
def test_msgpack_is_sent_to_those_who_name_it(accept: str, kind: str) -> None:
    assert reply_kind(accept) == kind


@given(st.text())
def test_any_accept_header_has_an_answer(accept: str) -> None:
    assert reply_kind(accept) in {JSON, MSGPACK, "application/x-msgpack", "application/vnd.msgpack"}


@pytest.mark.parametrize("path", [INFER, BATCH])
async def test_over_the_api(path: str) -> None:
    api = Api()
    await api.build((picture(RED), "red"), indexKey="g")
    image = wire(picture(RED, BLACK))
    body = {"image": image, "images": [image, "!"], "indexKey": "g", "visualize": True}
    in_json = (await api.post(path, body)).json()["result"]
    response = await api.post(path, body, {"Accept": MSGPACK})
    assert response.headers["content-type"] == MSGPACK
    envelope = msgpack.unpackb(response.content)
    uuid.UUID(envelope.pop("logId"))
    unpacked = envelope.pop("result")
    assert envelope == {"errorCode": 0, "errorMsg": "Success"}
    pictures = [unpacked] if path == INFER else unpacked["results"][:1]
    for drawn in pictures:
        assert drawn["image"].startswith(b"\xff\xd8")
        drawn["image"] = wire(drawn["image"])
    assert unpacked == in_json


async def test_failures_are_json() -> None:
    response = await Api().post(INFER, {"image": "!"}, {"Accept": MSGPACK})
    failure(response, 422)
