from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from serve_app.errors import InvalidRequestError, ModelError
from serve_app.evaluation.embedding import Embedded, embed_images
from serve_app.evaluation.figures.all_pairs import Progress, silent
from serve_app.pipeline import FacePipeline
from serve_app.types import Embeddings

from .written_vectors import WrittenVectors, write

Step = TypeVar("Step")


def embed(
    root: Path,
    *names: str,
    pipeline: WrittenVectors | None = None,
    workers: int = 2,
    progress: Progress = silent,
) -> Embedded:
    pipeline = pipeline or WrittenVectors()
    return embed_images(root, names, pipeline.open, workers=workers, progress=progress)


@pytest.mark.parametrize("workers", [1, 5])
def test_each_image_is_embedded_once_and_progress_is_told(tmp_path: Path, workers: int) -> None:
    names = [f"{number}.jpg" for number in range(20)]
    write(tmp_path, {name: f"{number + 1} 0 1" for number, name in enumerate(names)})
    told: list[object] = []

    def progress(steps: Sequence[Step], what: str, /) -> Iterator[Step]:
        for step in steps:
            told.append((what, step))
            yield step

    pipeline = WrittenVectors()
    found = embed(tmp_path, *names, pipeline=pipeline, workers=workers, progress=progress)
    assert sorted(pipeline.seen) == sorted(f"{number + 1} 0 1".encode() for number in range(20))
    assert told == [("images", name) for name in names]
    assert found.model_id == "toy@1"
    assert found.failures == {}
    for number, name in enumerate(names):
        expected = np.array([number + 1, 0, 1]) / np.hypot(number + 1, 1)
        np.testing.assert_allclose(found.vectors[name], expected, rtol=1e-6)


def test_what_is_wrong_with_an_image_is_kept(tmp_path: Path) -> None:
    write(tmp_path, {"a": "1 0 0", "b": "", "c": "rubbish"})
    found = embed(tmp_path, "a", "b", "c")
    assert list(found.vectors) == ["a"]
    assert found.failures == {"b": "no face found", "c": "not an image"}


def test_what_is_wrong_with_the_pipeline_is_raised(tmp_path: Path) -> None:
    write(tmp_path, {"a": "1 0 0", "b": "1 0 0"})

    class Broken(WrittenVectors):
        def embed_for_enrolment(self, image: bytes) -> Embeddings:
            raise ModelError("the weights don't fit")

    with pytest.raises(ModelError, match="the weights don't fit"):
        embed(tmp_path, "a", "b", pipeline=Broken())

    def open_pipeline() -> FacePipeline:
        raise ModelError("no weights")

    with pytest.raises(ModelError, match="no weights"):
        embed_images(tmp_path, ["a"], open_pipeline, workers=1, progress=silent)


def test_no_image_with_a_face(tmp_path: Path) -> None:
    write(tmp_path, {"a": "", "b": ""})
    message = "none of the 2 images can be enrolled; a: no face found"
    with pytest.raises(InvalidRequestError, match=message):
        embed(tmp_path, "a", "b")


def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(InvalidRequestError, match=r"^a can't be read: Is a directory$"):
        embed(tmp_path, "a")


def test_an_error_does_not_wait_for_the_rest(tmp_path: Path) -> None:
    write(tmp_path, {f"{number:03}": "1 0 0" for number in range(200)})
    (tmp_path / "000").unlink()
    pipeline = WrittenVectors()
    with pytest.raises(InvalidRequestError, match="000 can't be read: No such file"):
        embed(tmp_path, *(f"{number:03}" for number in range(200)), pipeline=pipeline, workers=1)
    assert len(pipeline.seen) < 200
