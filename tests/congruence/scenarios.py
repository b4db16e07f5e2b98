"""The same scenarios through HTTP and through the Python API: both must say the same."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
import pytest

from serve_app.index.index_data import IndexData
from serve_app.pipeline.face_recognition import FaceRecognitionPipeline

TOLERANCE = 1e-5
PYTHON_NAMES = {
    "detThreshold": "det_threshold",
    "recThreshold": "rec_threshold",
    "topk": "rec_topk",
}


@dataclass(frozen=True)
class Seen:
    """A face in an answer; candidates nearest first."""

    box: list[float]
    score: float
    labels: list[str]
    scores: list[float]


@dataclass(frozen=True)
class Pictures:
    """Encoded images: of people to enrol by label, and to look at."""

    people: dict[str, bytes]
    probes: list[bytes]


class Driver(Protocol):
    """Every mutation answers with the gallery's labels by id after it."""

    def build(
        self, pairs: Sequence[tuple[bytes, str]], kind: str, metric: str
    ) -> dict[int, str]: ...

    def add(self, pairs: Sequence[tuple[bytes, str]]) -> dict[int, str]: ...

    def remove(self, ids: Sequence[int]) -> dict[int, str]: ...

    def infer(self, image: bytes, asked: dict[str, float | int]) -> list[Seen]: ...


class OverHttp:
    """``post(operation, body)`` answers with the envelope's result."""

    def __init__(self, post: Callable[[str, dict[str, Any]], Any]) -> None:
        self._post = post
        self._key = ""

    def build(self, pairs: Sequence[tuple[bytes, str]], kind: str, metric: str) -> dict[int, str]:
        body = {"imageLabelPairs": _encoded(pairs), "indexType": kind, "metricType": metric}
        result = self._post("index-build", body)
        self._key = result["indexKey"]
        return _labels(result)

    def add(self, pairs: Sequence[tuple[bytes, str]]) -> dict[int, str]:
        body = {"imageLabelPairs": _encoded(pairs), "indexKey": self._key}
        return _labels(self._post("index-add", body))

    def remove(self, ids: Sequence[int]) -> dict[int, str]:
        return _labels(self._post("index-remove", {"ids": list(ids), "indexKey": self._key}))

    def infer(self, image: bytes, asked: dict[str, float | int]) -> list[Seen]:
        body = {"image": _base64(image), "indexKey": self._key, "visualize": False, **asked}
        return [
            Seen(
                face["bbox"],
                face["score"],
                [candidate["label"] for candidate in face["recResults"]],
                [candidate["score"] for candidate in face["recResults"]],
            )
            for face in self._post("infer", body)["faces"]
        ]


class InProcess:
    """Python users have pixels: images are decoded as OpenCV does it."""

    def __init__(self, pipeline: FaceRecognitionPipeline) -> None:
        self._pipeline = pipeline
        self._index: IndexData

    def build(self, pairs: Sequence[tuple[bytes, str]], kind: str, metric: str) -> dict[int, str]:
        self._index = self._pipeline.build_index(*_arrays(pairs), metric, kind)
        return self._index.id_map

    def add(self, pairs: Sequence[tuple[bytes, str]]) -> dict[int, str]:
        self._index = self._pipeline.append_index(*_arrays(pairs), self._index)
        return self._index.id_map

    def remove(self, ids: Sequence[int]) -> dict[int, str]:
        self._index = self._pipeline.remove_index(list(ids), self._index)
        return self._index.id_map

    def infer(self, image: bytes, asked: dict[str, float | int]) -> list[Seen]:
        named: dict[str, Any] = {PYTHON_NAMES[key]: value for key, value in asked.items()}
        (result,) = self._pipeline.predict(_pixels(image), index=self._index, **named)
        return [
            Seen(box["coordinate"], box["det_score"], box["labels"] or [], box["rec_scores"] or [])
            for box in result["boxes"]
        ]


def assert_congruent(
    one: Driver, other: Driver, pictures: Pictures, *, seed: int, steps: int
) -> int:
    """Random operations on both. Returns how many faces were recognised by both."""
    chance = random.Random(seed)
    people = list(pictures.people.items())
    kind, metric = chance.choice(["Flat", "HNSW32", "IVF"]), chance.choice(["IP", "L2"])
    known = 0

    def some(most: int) -> list[tuple[bytes, str]]:
        return [
            (image, label) for label, image in chance.choices(people, k=chance.randint(1, most))
        ]

    first = some(6)
    ids = one.build(first, kind, metric)
    assert other.build(first, kind, metric) == ids
    for _ in range(steps):
        operation = chance.choices(["add", "remove", "infer"], [2, 1, 5])[0]
        if operation == "add":
            pairs = some(3)
            ids = one.add(pairs)
            assert other.add(pairs) == ids
        elif operation == "remove":
            gone = chance.sample([*ids, 10_000, -1], k=min(len(ids), 2))
            ids = one.remove(gone)
            assert other.remove(gone) == ids
        else:
            image, asked = chance.choice(pictures.probes), _asked(chance, metric)
            found = one.infer(image, asked)
            _assert_alike(found, other.infer(image, asked))
            known += sum(bool(face.labels) for face in found)
    return known


def _asked(chance: random.Random, metric: str) -> dict[str, float | int]:
    asked: dict[str, float | int] = {}
    if chance.random() < 0.5:
        asked["topk"] = chance.choice([0, 1, 3, 10, 100])
    if chance.random() < 0.4:
        asked["recThreshold"] = chance.choice([0.2, 0.5, 0.95] if metric == "IP" else [1.6, 1, 0.1])
    if chance.random() < 0.3:
        asked["detThreshold"] = chance.choice([0.3, 0.8])
    return asked


def _assert_alike(one: list[Seen], other: list[Seen]) -> None:
    assert len(one) == len(other)
    for first, second in zip(one, other, strict=True):
        assert first.box == pytest.approx(second.box, abs=TOLERANCE * 1000)  # pixels
        assert first.score == pytest.approx(second.score, abs=TOLERANCE)
        assert first.scores == pytest.approx(second.scores, abs=TOLERANCE)
        assert first.labels == second.labels


def _encoded(pairs: Sequence[tuple[bytes, str]]) -> list[dict[str, str]]:
    return [{"image": _base64(image), "label": label} for image, label in pairs]


def _arrays(pairs: Sequence[tuple[bytes, str]]) -> tuple[list[Any], list[str]]:
    return [_pixels(image) for image, _ in pairs], [label for _, label in pairs]


def _pixels(image: bytes) -> Any:
    return cv2.imdecode(np.frombuffer(image, np.uint8), cv2.IMREAD_COLOR)


def _base64(image: bytes) -> str:
    return base64.b64encode(image).decode("ascii")


def _labels(result: dict[str, Any]) -> dict[int, str]:
    assert result["imageCount"] == len(result["idMap"])
    return {int(number): label for number, label in result["idMap"].items()}
