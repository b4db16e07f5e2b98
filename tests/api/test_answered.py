from __future__ import annotations

from typing import Any

import pytest

from serve_app.api.answered import OTHER, Answered, each_of, method_of, nobody, route_of
from serve_app.api.gate import COSTLY
from serve_app.api.watching import Watching
from tests.api.harness import INFER, Api, result, wire
from tests.fakes import RED, picture


def test_the_routes_pattern_is_told_and_never_the_path() -> None:
    class Route:
        path = "/v1/galleries/{key}"

    assert route_of({"route": Route(), "path": "/v1/galleries/staff"}, COSTLY) == Route.path
    assert route_of({"path": "/face/face-recognition-infer"}, COSTLY) == "/face-recognition-infer"
    assert route_of({"path": "/anna"}, COSTLY) == OTHER


@pytest.mark.parametrize(("method", "told"), [("POST", "POST"), ("BREW", OTHER)])
def test_methods_are_those_of_our_routes(method: str, told: str) -> None:
    assert method_of({"method": method}) == told


def test_each_observer_is_told() -> None:
    seen: list[Any] = []
    answered = Answered("GET", "/x", 200, 0.1, {})
    each_of(seen.append, nobody, seen.append)(answered)
    assert seen == [answered, answered]


async def test_what_is_told_of_answers_names_nobody() -> None:
    seen: list[Answered] = []
    api = Api(watching=Watching(observe=seen.append))
    result(await api.build((picture(RED), "anna"), indexKey="house", logId="mine"))
    await api.send("GET", "/v1/galleries/house/templates?label=anna")
    await api.post(INFER, {"image": wire(picture(RED)), "indexKey": "nobody", "logId": "second"})
    await api.post(INFER, {"image": "!", "indexKey": "house"})
    await api.send("GET", "/anna/house")
    await api.send("GET", "/health")
    await api.send("GET", "/ready")
    assert [(a.method, a.route, a.status, a.failure) for a in seen] == [
        ("POST", "/face-recognition-index-build", 200, ""),
        ("GET", "/v1/galleries/{key}/templates", 200, ""),
        ("POST", INFER, 404, "gallery_not_found"),
        ("POST", INFER, 422, "invalid_image"),
        ("GET", OTHER, 404, ""),
    ]
    assert [a.log_id for a in seen][::2][:2] == ["mine", "second"]
    assert all(a.log_id for a in seen)
    assert "anna" not in repr(seen)
    assert "house" not in repr(seen)
    assert all(0 < a.seconds < 60 for a in seen)


async def test_a_gallery_may_be_called_as_a_probe_is() -> None:
    seen: list[Answered] = []
    api = Api(watching=Watching(observe=seen.append))
    assert (await api.send("GET", "/v1/galleries/ready")).status_code == 404
    assert [a.route for a in seen] == ["/v1/galleries/{key}"]


async def test_an_answer_does_not_fail_for_its_observer() -> None:
    def full(_: Answered) -> None:
        raise OSError("no space left")

    api = Api(watching=Watching(observe=full))
    assert result(await api.send("GET", "/v1/galleries"))["galleries"] == []
