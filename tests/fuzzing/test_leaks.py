from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from tests.fuzzing.leaks import leaks_of, leaks_of_text, marks_of

EMBEDDING = [0.01 * n for n in range(128)]

TOLD = {
    "traceback": 'Traceback (most recent call last):\n  File "a", line 3',
    "object": "<Pool object at 0x7f00deadbeef>",
    "class of an error": "sqlite said OperationalError",
    "library": "Error in faiss::Index* index_factory",
    "path": "can't open /srv/faces/galleries.sqlite",
    "address": "no answer of 10.0.0.7",
    "credentials": "postgresql://face:secret@db/faces",
    "long text": base64.b64encode(np.ones(512, np.float32).tobytes()).decode(),
}


def failure(message: str) -> dict[str, Any]:
    return {"logId": "1", "errorCode": 500, "errorMsg": message}


@pytest.mark.parametrize("kind", TOLD)
def test_tells_of(kind: str) -> None:
    assert f"{kind} in reply.errorMsg" in leaks_of(failure(TOLD[kind]), "")


def test_tells_of_an_embedding_wherever_it_stands() -> None:
    assert leaks_of({"result": {"faces": [{"score": EMBEDDING}]}}, "") == [
        "embedding in reply.result.faces[].score"
    ]
    packed = np.ones(128, np.float32).tobytes()
    assert leaks_of({"result": {"face": packed}}, "") == ["bytes in reply.result.face"]


def test_the_audit_log_tells_its_clients_addresses_and_no_other() -> None:
    row = {"address": "10.0.0.7", "action": "build"}
    assert leaks_of({"result": {"rows": [row]}}, "") == []
    assert leaks_of({"result": {"rows": [row | {"action": "10.0.0.7"}]}}, "") == [
        "address in reply.result.rows[].action"
    ]
    assert leaks_of({"result": {"address": "10.0.0.7"}}, "") == ["address in reply.result.address"]
    assert leaks_of({"result": {"rows": [{"address": "/srv/faces/a"}]}}, "") == [
        "path in reply.result.rows[].address"
    ]


def test_usual_replies_tell_nothing() -> None:
    face = {"bbox": [1.5, 2.0, 3.5, 4.0], "recResults": [{"label": "/a/b.py", "score": 0.5}]}
    picture = base64.b64encode(bytes(3000)).decode()
    reply = {"logId": "x", "errorCode": 0, "result": {"faces": [face], "image": picture}}
    assert leaks_of(reply, "") == []
    assert leaks_of({"result": {"idMap": {"0": "/a/b"}, "ids": list(range(100))}}, "") == []
    told = '[{"type": "missing", "loc": "body.images", "msg": "Field required"}]'
    assert leaks_of(failure(told), "") == []
    assert leaks_of(failure("no such address: POST /v1/jobs"), "") == []


def test_a_log_id_may_be_what_was_sent_and_nothing_else() -> None:
    reply = failure("") | {"logId": "/a/b"}
    assert leaks_of(reply, '{"logId": "/a/b"}') == []
    assert leaks_of(reply, "{}") == ["path in reply.logId"]


def test_headers_are_searched_too() -> None:
    assert leaks_of_text("http://127.0.0.1:8001/docs", "header location") != []
    assert leaks_of_text("application/json", "header content-type") == []


def test_marked_data_is_found_as_text_and_in_pictures() -> None:
    assert marks_of(b'{"errorMsg": "not a mark"}', failure("not a mark"), ["the-mark"]) == []
    assert marks_of(b"... the-mark ...", None, ["other", "the-mark"]) == ["marked data"]
    picture = b"\xff\xd8 the-mark"
    for image in (picture, base64.b64encode(picture).decode()):
        assert marks_of(b"", {"result": {"image": image}}, ["the-mark"]) == ["marked data"]


def test_what_administrators_are_told_is_theirs() -> None:
    """Of the audit log and of a person's data: there, and nowhere else."""
    blob = base64.b64encode(np.ones(512, np.float32).tobytes()).decode()
    assert leaks_of({"result": {"rows": [{"address": "192.0.2.7"}]}}, "") == []
    assert leaks_of({"result": {"templates": [{"embedding": blob}]}}, "") == []
    assert leaks_of({"result": {"rows": [{"actor": "192.0.2.7"}]}}, "") != []
