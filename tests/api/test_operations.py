from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from serve_app.config import Limits, PipelineConfig
from serve_app.errors import TooLargeError
from tests.api.harness import ADD, BUILD, INFER, REMOVE, Api, failure, result, wire, wire_pairs
from tests.fakes import BLACK, BLUE, GREEN, RED, FakeFetcher, picture

PAIRS = [(picture(RED), "red"), (picture(GREEN), "green"), (picture(BLUE), "blue")]


@pytest.fixture
async def api() -> Api:
    api = Api()
    result(await api.build(*PAIRS, indexKey="g"))
    return api


async def infer(api: Api, image: bytes, **fields: Any) -> dict[str, Any]:
    body = {"image": wire(image), "indexKey": "g", "visualize": False, **fields}
    return result(await api.post(INFER, body))


def labels(answer: dict[str, Any]) -> list[list[str]]:
    return [[r["label"] for r in face["recResults"]] for face in answer["faces"]]


async def test_a_key_of_the_servers_is_a_uuid4() -> None:
    built = result(await Api().build(*PAIRS))
    assert uuid.UUID(built["indexKey"]).version == 4


async def test_a_key_of_the_clients_is_kept_and_a_second_build_is_a_conflict(api: Api) -> None:
    assert "exists" in failure(await api.build(*PAIRS, indexKey="g"), 409)
    assert labels(await infer(api, picture(RED))) == [["red"]]


async def test_ids_are_never_given_out_again(api: Api) -> None:
    result(await api.post(REMOVE, {"ids": [2], "indexKey": "g"}))
    added = await api.post(ADD, {"imageLabelPairs": wire_pairs(PAIRS[2]), "indexKey": "g"})
    assert result(added)["idMap"] == {"0": "red", "1": "green", "3": "blue"}


@pytest.mark.parametrize("path", [BUILD, ADD, REMOVE])
async def test_the_id_map_is_left_out_on_request(api: Api, path: str) -> None:
    bodies: dict[str, dict[str, Any]] = {
        BUILD: {"imageLabelPairs": wire_pairs(*PAIRS)},
        ADD: {"imageLabelPairs": wire_pairs(PAIRS[0]), "indexKey": "g"},
        REMOVE: {"ids": [], "indexKey": "g"},
    }
    answer = result(await api.post(path, {**bodies[path], "returnIdMap": False}))
    assert "idMap" not in answer
    assert answer["imageCount"] == (4 if path == ADD else 3)


async def test_l2_scores_are_squared_distances_and_smaller_is_closer() -> None:
    api = Api()
    result(await api.build(*PAIRS, indexKey="g", metricType="L2", indexType="IVF"))
    assert labels(await infer(api, picture(RED))) == [["red"]]
    (face,) = (await infer(api, picture(RED), recThreshold=4))["faces"]
    scores = [r["score"] for r in face["recResults"]]
    assert scores == [
        pytest.approx(0, abs=1e-6),
        pytest.approx(1.84, abs=0.01),
        pytest.approx(1.84, abs=0.01),
    ]


async def test_a_threshold_of_the_request_is_in_the_gallerys_metric(api: Api) -> None:
    assert labels(await infer(api, picture(RED), recThreshold=0.999)) == [["red"]]
    assert labels(await infer(api, picture(RED), recThreshold=1.001)) == [[]]
    assert len(labels(await infer(api, picture(RED), recThreshold=-1))[0]) == 3


async def test_topk(api: Api) -> None:
    assert len(labels(await infer(api, picture(RED), recThreshold=-1, topk=2))[0]) == 2
    assert labels(await infer(api, picture(RED), topk=0)) == [[]]


async def test_det_threshold(api: Api) -> None:
    assert labels(await infer(api, picture(RED, BLUE), detThreshold=1)) == []


@pytest.mark.parametrize(("visualize", "drawn"), [(True, True), (None, True), (False, False)])
async def test_the_picture_is_there_unless_refused(
    api: Api, visualize: bool | None, drawn: bool
) -> None:
    assert ("image" in await infer(api, picture(RED), visualize=visualize)) is drawn


async def test_an_image_without_a_face(api: Api) -> None:
    assert (await infer(api, picture(BLACK)))["faces"] == []


async def test_on_error_skip_enrols_the_rest(api: Api) -> None:
    pairs = [*wire_pairs((picture(BLACK), "nobody"), *PAIRS), {"image": "!", "label": "junk"}]
    built = result(await api.post(BUILD, {"imageLabelPairs": pairs, "onError": "skip"}))
    assert built["idMap"] == {"0": "red", "1": "green", "2": "blue"}
    assert built["rejected"] == [
        {
            "position": 0,
            "reason": "no face found: send an image that shows the face larger and sharper",
        },
        {"position": 4, "reason": "image is neither an http(s) URL nor valid base64"},
    ]
    added = await api.post(
        ADD, {"imageLabelPairs": wire_pairs(*PAIRS), "indexKey": "g", "onError": "skip"}
    )
    assert result(added)["rejected"] == []


async def test_otherwise_all_or_nothing(api: Api) -> None:
    pairs = wire_pairs(*PAIRS, (picture(BLACK), "nobody"))
    message = failure(await api.post(ADD, {"imageLabelPairs": pairs, "indexKey": "g"}), 422)
    assert message.startswith(
        "nothing was enrolled, 1 of 4 pairs failed: position 3: no face found"
    )
    assert result(await api.post(REMOVE, {"ids": [], "indexKey": "g"}))["imageCount"] == 3


async def test_urls_in_pairs_and_probes() -> None:
    url = "http://photos.example/red.png"
    api = Api(fetcher=FakeFetcher({url: picture(RED)}))
    body = {"imageLabelPairs": [{"image": url, "label": "red"}], "indexKey": "g"}
    result(await api.post(BUILD, body))
    found = await api.post(INFER, {"image": url, "indexKey": "g", "visualize": False})
    assert labels(result(found)) == [["red"]]
    gone = await api.post(INFER, {"image": url + "x", "indexKey": "g"})
    assert failure(gone, 422) == "the host did not answer"


async def test_a_fetched_image_over_the_limit() -> None:
    url = "http://photos.example/large.png"
    api = Api(fetcher=FakeFetcher({url: TooLargeError("sent an image of more than 9 bytes")}))
    body = {"imageLabelPairs": [{"image": url, "label": "red"}]}
    assert "position 0: sent an image" in failure(await api.post(BUILD, body), 413)


async def test_more_pairs_than_the_limit(api: Api) -> None:
    few = Api(limits=Limits(pairs=2))
    assert "over the limit of 2" in failure(await few.build(*PAIRS), 413)
    assert few.detector.calls == 0


@pytest.mark.parametrize("path", [ADD, REMOVE])
async def test_without_a_default_gallery_add_and_remove_need_a_key(api: Api, path: str) -> None:
    body: dict[str, Any] = (
        {"ids": [0]} if path == REMOVE else {"imageLabelPairs": wire_pairs(*PAIRS)}
    )
    (missing,) = json.loads(failure(await api.post(path, body), 422))
    assert missing == {"type": "missing", "loc": "body.indexKey", "msg": "Field required"}
    (null,) = json.loads(failure(await api.post(path, {**body, "indexKey": None}), 422))
    assert (null["type"], null["loc"]) == ("string_type", "body.indexKey")


async def test_without_a_default_gallery_infer_says_so(api: Api) -> None:
    message = failure(await api.post(INFER, {"image": wire(picture(RED))}), 404)
    assert "no default gallery is configured" in message


async def test_the_default_gallery_serves_requests_without_a_key() -> None:
    api = Api(PipelineConfig(index="house"))
    result(await api.build(PAIRS[0], indexKey="house"))
    result(await api.post(ADD, {"imageLabelPairs": wire_pairs(*PAIRS[1:])}))
    assert labels(await infer(api, picture(BLUE), indexKey=None)) == [["blue"]]
    assert result(await api.post(REMOVE, {"ids": [0], "indexKey": None}))["imageCount"] == 2


@pytest.mark.parametrize("path", [ADD, REMOVE, INFER])
async def test_an_unknown_gallery(api: Api, path: str) -> None:
    body: dict[str, Any] = {
        "ids": [0],
        "imageLabelPairs": wire_pairs(*PAIRS),
        "image": wire(picture(RED)),
        "indexKey": "nope",
    }
    assert "does not exist" in failure(await api.post(path, body), 404)


async def test_an_eventual_search_says_that_it_is_stale(api: Api) -> None:
    body = {"image": wire(picture(RED)), "indexKey": "g", "visualize": False}
    eventual = {**body, "consistency": "eventual"}
    fresh = result(await api.post(INFER, eventual))
    assert "stale" not in fresh
    api.index.down = True
    assert result(await api.post(INFER, eventual)) == {**fresh, "stale": True}
    for strong in (body, {**body, "consistency": "strong"}):
        assert "unavailable" in failure(await api.post(INFER, strong), 503)
    empty = {**eventual, "image": wire(picture(BLACK))}
    assert result(await api.post(INFER, empty)) == {"faces": [], "stale": True}
    assert "unavailable" in failure(await api.post(REMOVE, {"ids": [0], "indexKey": "g"}), 503)


async def test_index_types_reach_the_index_as_they_are(api: Api) -> None:
    result(await api.build(*PAIRS, indexKey="other", indexType="IVF4,SQ8"))
    assert (await api.index.describe("other")).index_type == "IVF4,SQ8"
