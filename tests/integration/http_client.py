"""A client of one gallery over HTTP, as the linearizability scenario wants it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any
from urllib.parse import quote

import httpx

from tests.integration.pictures import gallery_image, scene
from tests.integration.service import Service
from tests.linearizability.models import Gallery, GalleryModel
from tests.linearizability.scenario import LABELS, Absent, Refused, Unknown

SAME = 0.999
"""Score of two pictures of one stand-in person; of two persons it is far below."""


class Names:
    """Answers name labels, histories ids: each enrolled label is unique, and here its id is."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._labels: dict[int, str] = {}
        self._numbers = count()

    def unique(self, label: str) -> str:
        return f"{label}#{next(self._numbers)}"

    def learn(self, id_map: dict[str, str]) -> None:
        for number, label in id_map.items():
            self._ids[label] = int(number)
            self._labels[int(number)] = label

    def id_of(self, label: str) -> int | None:
        return self._ids.get(label)

    def label_of(self, number: int) -> str | None:
        return self._labels.get(number)


class HttpClient:
    """One client of one gallery; ``services`` are asked in turn."""

    def __init__(self, services: Sequence[Service], names: Names, key: str) -> None:
        self._services = services
        self._names = names
        self._key = key
        self._turn = 0
        self._http = httpx.Client(timeout=60, trust_env=False)

    def add(self, labels: Sequence[str]) -> tuple[Sequence[int], int]:
        named = [self._names.unique(label) for label in labels]
        pairs = [
            {"image": gallery_image(LABELS.index(label)), "label": name}
            for label, name in zip(labels, named, strict=True)
        ]
        result = self._post("index-add", {"imageLabelPairs": pairs}, Unknown)
        self._names.learn(result["idMap"])
        ids = [self._names.id_of(name) for name in named]
        assert None not in ids, "an enrolment that was acknowledged is not in its own answer"
        return [number for number in ids if number is not None], result["imageCount"]

    def remove(self, ids: Sequence[int]) -> tuple[Sequence[int], int]:
        """Through the label, which is unique: only that route tells which ids were there."""
        names = [self._names.label_of(number) for number in ids]
        if len(names) != 1 or names[0] is None:
            raise Refused
        result = self._ask("DELETE", f"labels/{quote(names[0], safe='')}", Unknown)
        return result["ids"], result["imageCount"]

    def search(self, label: str | None) -> Iterable[int]:
        number = 0 if label is None else LABELS.index(label)
        body = {"image": scene(number), "visualize": False, "topk": 1000, "recThreshold": -1}
        (face,) = self._post("infer", body, Refused)["faces"]
        found = [
            candidate["label"]
            for candidate in face["recResults"]
            if label is None or candidate["score"] >= SAME
        ]
        return [self._id_of(name) for name in found]

    def _id_of(self, name: str) -> int:
        """Of a template whose enrolment is not answered yet, the store tells it."""
        number = self._names.id_of(name)
        if number is None:
            listed = self._ask("GET", "templates?limit=1000", Refused)["templates"]
            self._names.learn({str(one["id"]): one["label"] for one in listed})
            number = self._names.id_of(name)
        if number is None:
            raise Refused  # removed before anybody could say its id
        return number

    def _ask(self, method: str, path: str, lost: type[Exception]) -> Any:
        return self._call(method, f"/v1/galleries/{self._key}/{path}", None, lost)

    def _post(self, route: str, body: dict[str, Any], lost: type[Exception]) -> Any:
        path = f"/face-recognition-{route}"
        return self._call("POST", path, {**body, "indexKey": self._key}, lost)

    def _call(self, method: str, path: str, body: Any, lost: type[Exception]) -> Any:
        self._turn += 1
        service = self._services[self._turn % len(self._services)]
        try:
            reply = self._http.request(method, service.url + path, json=body)
        except httpx.ConnectError:  # nobody was there to do it
            raise Refused from None
        except httpx.HTTPError:
            raise lost from None
        if reply.status_code == 404:
            raise Absent
        if reply.status_code == 429:
            raise Refused
        if reply.status_code != 200:
            assert reply.status_code in (500, 502, 503, 504), reply.text
            raise lost
        return reply.json()["result"]


def build_empty(service: Service, key: str) -> None:
    """A gallery without templates: one is needed to build it."""
    pairs = [{"image": gallery_image(99), "label": "first"}]
    reply = service.post(
        "/face-recognition-index-build", {"imageLabelPairs": pairs, "indexKey": key}
    )
    assert reply.status_code == 200, reply.text
    service.post("/face-recognition-index-remove", {"ids": [0], "indexKey": key})


class EmptiedModel(GalleryModel):
    """Starts as ``build_empty`` leaves it."""

    start = Gallery(frozenset(), 1)
