"""The judge itself: what it lets pass, and what it must not."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.conformance.replay import RELEASES, Reply, differences, in_short, judge, load

THREE = RELEASES[1]


def golden(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    (request,) = [r for r in load("requests.json") if r["golden"] == name]
    (recorded,) = [g for g in load(f"{THREE}.json") if g["golden"] == name]
    return request, recorded


def test_both_releases_have_all_74() -> None:
    names = [request["golden"] for request in load("requests.json")]
    assert len(names) == len(set(names)) == 74
    for release in RELEASES:
        assert [recorded["golden"] for recorded in load(f"{release}.json")] == names


def test_a_reply_as_recorded_is_no_difference_and_may_hold_more() -> None:
    request, recorded = golden("03_add_ok")
    reply = copy.deepcopy(recorded["reply"])
    reply["result"]["idMap"] = {"0": "a"}
    assert differences(request, recorded, Reply(200, reply)) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda faces: faces.reverse(), "bbox"),
        (lambda faces: faces.pop(), "bbox"),
        (lambda faces: faces[0]["bbox"].__setitem__(0, 10.6), "bbox"),
        (lambda faces: faces[0].__setitem__("score", 0.9), "score 0.9"),
        (lambda faces: faces[0]["recResults"].reverse(), "labels"),
        (lambda faces: faces[0]["recResults"].pop(), "labels"),
        (lambda faces: faces[0]["recResults"][0].__setitem__("score", 0.9), "scores differ"),
    ],
)
def test_every_change_of_the_faces_is_seen(change: Any, expected: str) -> None:
    request, recorded = golden("04_infer_2face_ok")
    reply = copy.deepcopy(recorded["reply"])
    assert differences(request, recorded, Reply(200, reply)) == []
    change(reply["result"]["faces"])
    (found,) = differences(request, recorded, Reply(200, reply))
    assert expected in found


@pytest.mark.parametrize("field", ["errorCode", "errorMsg", "logId", "result"])
def test_every_change_of_the_envelope_is_seen(field: str) -> None:
    request, recorded = golden("63_err_unknown_route_logId")
    reply = {**recorded["reply"], field: "other"}
    assert differences(request, recorded, Reply(404, reply)) != []
    assert differences(request, recorded, Reply(500, recorded["reply"])) != []


def test_an_entry_explains_our_answer_and_no_other() -> None:
    replies = {g["golden"]: Reply(g["status"], g["reply"]) for g in load(f"{THREE}.json")}
    name = "40_err_add_empty_list"
    problem = {"type": "too_short", "loc": "body.imageLabelPairs", "msg": "at least 1"}
    body = {"logId": "x" * 36, "errorCode": 422, "errorMsg": json.dumps([problem])}
    body["logId"] = replies[name].content["logId"]
    outcome = judge(THREE, {**replies, name: Reply(422, body)})
    assert name in outcome.explained
    outcome = judge(THREE, {**replies, name: Reply(404, {**body, "errorMsg": "gone"})})
    assert name in outcome.unexplained


def test_an_entry_that_is_not_needed_is_stale() -> None:
    replies = {g["golden"]: Reply(g["status"], g["reply"]) for g in load(f"{THREE}.json")}
    outcome = judge(THREE, replies)
    assert "40_err_add_empty_list" in outcome.stale
    assert outcome.explained == []
    # The recorded reply has a log id of its own: that is the one thing we never do.
    assert outcome.unexplained == {"21_infer_extra_field": ["logId is not echoed"]}


def test_a_difference_without_an_entry_is_unexplained() -> None:
    replies = {g["golden"]: Reply(g["status"], g["reply"]) for g in load(f"{THREE}.json")}
    replies["01_health"] = Reply(200, {**replies["01_health"].content, "errorMsg": "Fine"})
    assert "01_health" in judge(THREE, replies).unexplained


def test_replies_in_short() -> None:
    results = [{"label": "a", "score": 1.0}, {"label": "b", "score": 0.5}]
    faces = {"faces": [{"recResults": results}, {"recResults": []}], "image": "/9j/"}
    assert in_short(Reply(200, {"result": faces})) == "200 2 faces [a b | ], picture"
    gallery = {"idMap": {"0": "a", "2": "b"}, "imageCount": 2}
    assert in_short(Reply(200, {"result": gallery})) == "200 idMap {0 a, 2 b}, imageCount 2"
    rejected = "nothing was enrolled: position 3: no face; position 10: junk"
    assert in_short(Reply(422, {"errorMsg": rejected})) == "422 position 3 position 10"
