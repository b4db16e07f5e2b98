from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest

from serve_app.errors import InvalidImageError, InvalidRequestError
from serve_app.evaluation.run import Evaluation, evaluate
from serve_app.pipeline import FacePipeline
from serve_app.types import Embeddings


class WrittenVectors:
    """Stands for a pipeline: an image file holds its vector as text, or nothing: no face."""

    def embed_for_enrolment(self, image: bytes) -> Embeddings:
        if not image:
            raise InvalidImageError("no face found")
        vector = np.array([float(value) for value in image.split()], dtype=np.float32)
        return Embeddings("toy@1", (vector / np.linalg.norm(vector))[np.newaxis])


def run(root: Path, *, fpir: float = 0.5, workers: int = 2) -> Evaluation:
    pipeline = cast(FacePipeline, WrittenVectors())
    return evaluate(root, lambda: pipeline, workers=workers, fpir=fpir)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, vector in {
        "ann1": "1 0 0", "ann2": "0.9 0.1 0", "bob1": "0 1 0", "bob2": "0.1 0.9 0",
        "eve": "0.4 0.4 1", "none": "",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(vector, encoding="utf-8")
    return tmp_path


def test_pairs_and_search(root: Path) -> None:
    (root / "pairs.txt").write_text("ann1 ann2 1\nbob1 bob2 1\nann1 bob1 0\n\nann1 eve 0\n")
    (root / "gallery.txt").write_text("\ufeffann1 Ann Lee\nbob1 Bob\n", encoding="utf-8")
    (root / "probes.txt").write_text("ann2 Ann Lee\nbob2 Ann Lee\neve -\nnone Bob\n")
    result = run(root)
    assert result.model_id == "toy@1"
    assert (result.images, result.without_face) == (6, 1)
    assert result.verification is not None
    assert result.verification.accuracy == 1
    assert result.identification is not None
    assert (result.identification.rank1, result.identification.probes) == (1, 3)


def test_only_pairs(root: Path) -> None:
    (root / "pairs.txt").write_text("ann1 ann2 1\nann1 bob1 0\n")
    assert run(root).identification is None


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("pairs.txt", "ann1 ann2\n", "pairs.txt, line 1: 3 fields"),
        ("gallery.txt", "ann1 Ann\nbob1\n", "gallery.txt, line 2: 2 fields"),
        ("pairs.txt", "ann1 nobody 1\n", "nobody is listed but is not"),
        ("pairs.txt", "ann1 ann2 1\nann1 bob1 no\n", "pairs.txt, line 2: the third field is 1"),
    ],
)
def test_mistakes_are_named(root: Path, file: str, content: str, message: str) -> None:
    (root / file).write_text(content)
    with pytest.raises(InvalidRequestError, match=message):
        run(root)


def test_no_list_at_all(root: Path) -> None:
    with pytest.raises(InvalidRequestError, match=r"neither pairs\.txt nor"):
        run(root)


def test_a_gallery_without_a_face(root: Path) -> None:
    (root / "gallery.txt").write_text("none Ann\n")
    (root / "probes.txt").write_text("ann1 Ann\n")
    with pytest.raises(InvalidRequestError, match=r"no image of gallery\.txt shows a face"):
        run(root)


@pytest.mark.parametrize("workers", [1, 5])
def test_each_image_is_embedded_once_and_progress_is_told(root: Path, workers: int) -> None:
    (root / "pairs.txt").write_text("ann1 ann2 1\nann1 bob1 0\nann2 bob1 0\n")
    calls: list[bytes] = []
    told: list[tuple[int, int]] = []

    class Counting(WrittenVectors):
        def embed_for_enrolment(self, image: bytes) -> Embeddings:
            calls.append(image)
            return super().embed_for_enrolment(image)

    pipeline = cast(FacePipeline, Counting())
    evaluate(
        root,
        lambda: pipeline,
        workers=workers,
        fpir=0,
        progress=lambda done, total: told.append((done, total)),
    )
    assert sorted(calls) == [b"0 1 0", b"0.9 0.1 0", b"1 0 0"]
    assert told == [(1, 3), (2, 3), (3, 3)]
