from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from serve_app.config import PipelineConfig
from serve_app.errors import RejectedPairsError
from serve_app.imaging import ImageLimits
from serve_app.pipeline.annotation import GalleryImage, read_gallery
from serve_app.pipeline.enrolment import embed_gallery
from serve_app.pipeline.inputs import InputReader
from serve_app.pipeline.pool import StagePool
from tests.pipeline.networks import BLUE, GREEN, RED, UNUSABLE, bgr, open_stages, png, tiles


def no_urls(url: str) -> bytes:
    raise AssertionError(url)


READER = InputReader(ImageLimits(), no_urls)


def gallery(*images: object) -> list[GalleryImage]:
    labels = [f"person {number}" for number in range(len(images))]
    return list(read_gallery(list(images), labels, READER))


def pool(**config: object) -> StagePool:
    return StagePool(lambda: open_stages(PipelineConfig.model_validate(config)))


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("chunk", [1, 2, 8])
def test_labels_and_vectors_in_order(workers: int, chunk: int) -> None:
    colours = [RED, GREEN, BLUE, GREEN, RED]
    images = gallery(*(bgr(tiles(colour)) for colour in colours))
    labels, embeddings = embed_gallery(images, pool(), workers=workers, chunk=chunk)
    assert labels == [f"person {number}" for number in range(5)]
    assert embeddings.model_id == "colour@1"
    np.testing.assert_allclose(
        embeddings.vectors,
        [np.array(colour) / np.linalg.norm(colour) for colour in colours],
        rtol=1e-5,
    )


def test_every_image_that_fails_is_named_and_nothing_is_enrolled(tmp_path: Path) -> None:
    (tmp_path / "good.png").write_bytes(png(tiles(RED)))
    (tmp_path / "black.png").write_bytes(png(tiles((0, 0, 0))))
    (tmp_path / "torn.png").write_bytes(png(tiles(RED))[:60])
    (tmp_path / "blank.png").write_bytes(png(tiles(UNUSABLE)))
    (tmp_path / "gallery.txt").write_text(
        "good.png A\nblack.png B\n\ntorn.png C\nblank.png D\ngood.png\tE\n".replace(
            "good.png\tE\n", ""
        )
    )
    images = read_gallery(str(tmp_path), str(tmp_path / "gallery.txt"), READER)
    with pytest.raises(RejectedPairsError) as failure:
        embed_gallery(images, pool(), workers=2, chunk=2)
    first, *lines = str(failure.value).splitlines()
    assert first == "nothing was enrolled, 3 of 4 images failed:"
    for line, (number, name, why) in zip(
        lines,
        [
            (2, "black.png", "no face found"),
            (4, "torn.png", "truncated"),
            (5, "blank.png", "blank"),
        ],
        strict=True,
    ):
        assert f"gallery.txt, line {number}: {name}" in line
        assert why in line
    assert str(tmp_path) not in str(failure.value)


def test_several_faces_where_one_is_asked_for() -> None:
    image = bgr(tiles(RED, BLUE))
    labels, _ = embed_gallery(gallery(image), pool(), workers=1, chunk=1)
    assert labels == ["person 0"], "the largest, the first of equals"
    with pytest.raises(RejectedPairsError, match="several faces found"):
        embed_gallery(gallery(image), pool(enrol={"faces": "single"}), workers=1, chunk=1)


def test_paddlex_way_embeds_the_whole_image() -> None:
    whole = pool(enrol={"detect": False})
    _, embeddings = embed_gallery(gallery(bgr(tiles(RED, BLUE))), whole, workers=1, chunk=1)
    both = np.array([105, 10, 105]) / np.linalg.norm([105, 10, 105])
    np.testing.assert_allclose(embeddings.vectors, [both], atol=1e-2)


def test_a_long_list_of_failures_is_cut() -> None:
    black = [bgr(tiles((0, 0, 0)))] * 30
    with pytest.raises(RejectedPairsError) as failure:
        embed_gallery(gallery(*black), pool(), workers=2, chunk=4)
    assert "30 of 30 images failed" in str(failure.value)
    assert "10 more" in str(failure.value)
    assert len(str(failure.value).splitlines()) == 22
