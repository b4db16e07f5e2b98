from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest

from serve_app.errors import InvalidRequestError
from serve_app.evaluation.figures.all_pairs import silent
from serve_app.evaluation.precision.embedding import CHUNK, Timed, crops_of, embed_at_each
from serve_app.models.extractor import ExtractStage
from serve_app.pipeline import FacePipeline
from tests.evaluation.precision.toy_extractors import UNUSABLE, ToyPipeline, ToyStage
from tests.evaluation.written_vectors import write

PIPELINE = cast(FacePipeline, ToyPipeline(ToyStage("toy@1")))


def embed(root: Path, names: list[str], *stages: ToyStage) -> list[Timed]:
    given = [cast(ExtractStage, stage) for stage in stages]
    return embed_at_each(root, names, PIPELINE, given, silent)


def test_every_stage_sees_every_crop_in_chunks(tmp_path: Path) -> None:
    names = [f"{number:02}" for number in range(2 * CHUNK + 3)]
    write(tmp_path, {name: f"{number + 1} 1 0" for number, name in enumerate(names)})
    write(tmp_path, {names[1]: ""})
    plain, tilted = ToyStage("toy@1"), ToyStage("toy@1+bf16", lambda v: np.array([0, 0, 1.0]))
    one, other = embed(tmp_path, names, plain, tilted)
    assert plain.sizes == tilted.sizes == [CHUNK - 1, CHUNK, 3]
    assert (one.embedded.model_id, other.embedded.model_id) == ("toy@1", "toy@1+bf16")
    assert one.embedded.failures == other.embedded.failures == {names[1]: "no face found"}
    assert list(one.embedded.vectors) == [name for name in names if name != names[1]]
    np.testing.assert_allclose(one.embedded.vectors["00"], np.array([1, 1, 0]) / np.sqrt(2))
    np.testing.assert_allclose(other.embedded.vectors["00"], np.ones(3) / np.sqrt(3), rtol=1e-6)
    assert one.ms > 0
    assert other.ms > 0


def test_a_crop_that_one_can_not_embed(tmp_path: Path) -> None:
    write(tmp_path, {"a": "1 0 0", "b": f"{UNUSABLE} 0 0"})
    (found,) = embed(tmp_path, ["a", "b"], ToyStage("toy@1"))
    assert list(found.embedded.vectors) == ["a"]
    assert found.embedded.failures == {"b": "face can't be embedded: its crop is blank"}


def test_no_face_at_all(tmp_path: Path) -> None:
    write(tmp_path, {"a": "", "b": ""})
    with pytest.raises(InvalidRequestError, match="none of the 2 images can be enrolled"):
        embed(tmp_path, ["a", "b"], ToyStage("toy@1"))


def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(InvalidRequestError, match=r"^a can't be read: Is a directory$"):
        crops_of(tmp_path, ["a"], PIPELINE)
