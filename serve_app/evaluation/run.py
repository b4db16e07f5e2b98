"""Evaluate a pipeline on a directory with ``pairs.txt``, ``gallery.txt`` and ``probes.txt``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from serve_app.errors import FaceServeError, InvalidRequestError
from serve_app.evaluation.metrics import Identification, Verification, identification, verification
from serve_app.pipeline import FacePipeline

STRANGER = "-"
"""Label of a probe whose person is not in the gallery."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    model_id: str
    images: int
    without_face: int
    verification: Verification | None
    identification: Identification | None


def evaluate(
    root: Path,
    open_pipeline: Callable[[], FacePipeline],
    *,
    workers: int,
    fpir: float,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Evaluation:
    """Embed each image of the lists under ``root`` once, as enrolment would, and score.

    ``pairs.txt``: ``path path 1|0`` a line; ``gallery.txt``, ``probes.txt``: ``path label``, with
    the label ``-`` for strangers. Raises InvalidRequestError for a missing or malformed list.
    """
    pairs = _lines(root / "pairs.txt", 3)
    gallery, probes = _lines(root / "gallery.txt", 2), _lines(root / "probes.txt", 2)
    if not pairs and not (gallery and probes):
        raise InvalidRequestError(
            f"{root.name} holds neither pairs.txt nor gallery.txt with probes.txt"
        )
    named = [path for a, b, _ in pairs for path in (a, b)] + [p for p, _ in gallery + probes]
    names = sorted(set(named))
    table, model_id = _embed(root, names, open_pipeline, workers, progress)
    return Evaluation(
        model_id,
        len(names),
        sum(vector is None for vector in table.values()),
        _verify(pairs, table) if pairs else None,
        _identify(gallery, probes, table, fpir) if gallery and probes else None,
    )


Table = dict[str, NDArray[np.float32] | None]


def _embed(
    root: Path,
    names: list[str],
    open_pipeline: Callable[[], FacePipeline],
    workers: int,
    progress: Callable[[int, int], None],
) -> tuple[Table, str]:
    local = threading.local()  # a pipeline is not thread-safe: each worker opens its own
    model_ids = set()

    def embed(name: str) -> NDArray[np.float32] | None:
        if not hasattr(local, "pipeline"):
            local.pipeline = open_pipeline()
        file = root / name
        if not file.is_file():
            raise InvalidRequestError(f"{name} is listed but is not in {root.name}")
        try:
            embeddings = local.pipeline.embed_for_enrolment(file.read_bytes())
        except FaceServeError:
            return None
        model_ids.add(embeddings.model_id)
        return np.asarray(embeddings.vectors[0])

    table: Table = {}
    with ThreadPoolExecutor(workers) as pool:
        for name, vector in zip(names, pool.map(embed, names), strict=True):
            table[name] = vector
            progress(len(table), len(names))
    return table, ", ".join(sorted(model_ids))


def _verify(pairs: list[list[str]], table: Table) -> Verification:
    scores = []
    for a, b, _ in pairs:
        first, second = table[a], table[b]
        scores.append(np.nan if first is None or second is None else float(first @ second))
    return verification(np.array(scores), np.array([same == "1" for *_, same in pairs]))


def _identify(
    gallery: list[list[str]], probes: list[list[str]], table: Table, fpir: float
) -> Identification:
    enrolled = [(vector, label) for path, label in gallery if (vector := table[path]) is not None]
    if not enrolled:
        raise InvalidRequestError("no image of gallery.txt shows a face: nobody can be enrolled")
    templates = np.stack([vector for vector, _ in enrolled])
    scores, right = [], []
    for path, label in probes:
        probe = table[path]
        if probe is None:
            scores.append(np.nan)
            right.append(False)
            continue
        similarity = templates @ probe
        nearest = int(np.argmax(similarity))
        scores.append(float(similarity[nearest]))
        right.append(enrolled[nearest][1] == label)
    stranger = np.array([label == STRANGER for _, label in probes])
    return identification(np.array(scores), np.array(right), stranger, fpir)


def _lines(file: Path, fields: int) -> list[list[str]]:
    if not file.exists():
        return []
    return list(_split(file.name, file.read_text(encoding="utf-8-sig").splitlines(), fields))


def _split(name: str, lines: Iterable[str], fields: int) -> Iterable[list[str]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        parts = line.split() if fields == 3 else line.split(maxsplit=1)
        if len(parts) != fields:
            raise InvalidRequestError(f"{name}, line {number}: {fields} fields are expected")
        if fields == 3 and parts[2] not in ("0", "1"):
            raise InvalidRequestError(f"{name}, line {number}: the third field is 1 (same) or 0")
        yield [part.strip() for part in parts]
