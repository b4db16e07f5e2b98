from __future__ import annotations

import pytest

from serve_app.config import EnrolConfig, PipelineConfig
from serve_app.errors import (
    FaceServeError,
    FetchError,
    OverloadedError,
    RejectedPairsError,
    TooLargeError,
)
from serve_app.imaging import ImageLimits
from serve_app.service.concurrency import IMAGES_IN_FLIGHT
from serve_app.service.enrolment import (
    CROPS_A_CALL,
    Pair,
    Templates,
    make_templates,
)
from tests.fakes import (
    BLACK,
    BLANK,
    BLUE,
    GREEN,
    RED,
    FakeDetector,
    FakeExtractor,
    picture,
)

CONFIG = PipelineConfig()
FACE, NO_FACE, TWO_FACES = picture(RED), picture(BLACK), picture(RED, GREEN)


async def make(
    *pairs: Pair,
    skip: bool = False,
    config: PipelineConfig = CONFIG,
    detector: FakeDetector | None = None,
    extractor: FakeExtractor | None = None,
) -> Templates:
    return await make_templates(
        detector or FakeDetector(), extractor or FakeExtractor(), config, pairs, skip=skip
    )


async def test_labels_and_vectors_keep_the_order_of_the_pairs() -> None:
    made = await make((picture(BLUE), "b"), (picture(RED), "r"), (picture(GREEN), "g"))
    assert made.labels == ["b", "r", "g"]
    assert made.embeddings.vectors.argmax(axis=1).tolist() == [2, 0, 1]
    assert made.rejected == []


async def test_one_bad_pair_fails_all_and_every_bad_position_is_named() -> None:
    extractor = FakeExtractor()
    with pytest.raises(RejectedPairsError) as caught:
        await make(
            (FACE, "a"),
            (NO_FACE, "b"),
            (b"no image", "c"),
            (FACE, "d"),
            (FetchError("host did not answer"), "e"),
            extractor=extractor,
        )
    message = str(caught.value)
    assert message.startswith("nothing was enrolled, 3 of 5 pairs failed: position 1: no face")
    assert "; position 2: not an image" in message
    assert message.endswith("; position 4: host did not answer")
    assert extractor.calls == []


async def test_skip_enrols_the_rest_and_tells_what_it_left_out() -> None:
    made = await make((picture(BLANK), "a"), (FACE, "b"), (NO_FACE, "c"), skip=True)
    assert made.labels == ["b"]
    assert made.embeddings.vectors.shape == (1, 3)
    assert [rejection.position for rejection in made.rejected] == [0, 2]
    assert "blank" in made.rejected[0].reason
    assert "no face found" in made.rejected[1].reason


async def test_skip_with_nothing_left_is_an_error() -> None:
    with pytest.raises(RejectedPairsError, match=r"2 of 2 pairs failed: position 0.*position 1"):
        await make((picture(BLANK), "a"), (b"", "b"), skip=True)


async def test_a_crop_that_cant_be_embedded_fails_all_with_its_own_position() -> None:
    with pytest.raises(RejectedPairsError, match="1 of 3 pairs failed: position 1: face can't be"):
        await make((FACE, "a"), (picture(BLANK), "b"), (FACE, "c"))


async def test_too_large_images_only_are_too_large() -> None:
    limits = ImageLimits(max_bytes=len(FACE) + 30)
    large = FACE + bytes(100)
    with pytest.raises(TooLargeError, match=r"1 of 2 pairs failed: position 1: image of \d+ bytes"):
        await make((FACE, "a"), (large, "b"), detector=FakeDetector(limits))
    with pytest.raises(RejectedPairsError):
        await make((b"no image", "a"), (large, "b"), detector=FakeDetector(limits))


async def test_a_full_queue_is_not_a_bad_pair() -> None:
    detector = FakeDetector()
    detector.failure = OverloadedError("detector is over capacity")
    with pytest.raises(OverloadedError):
        await make((FACE, "a"), (FACE, "b"), skip=True, detector=detector)


async def test_the_pipeline_says_which_face_is_enrolled() -> None:
    assert (await make((TWO_FACES, "a"))).embeddings.vectors.argmax() == 0
    single = PipelineConfig(enrol=EnrolConfig(faces="single"))
    with pytest.raises(RejectedPairsError, match=r"several faces found \(2\)"):
        await make((TWO_FACES, "a"), config=single)


async def test_without_detection_the_whole_image_is_the_crop() -> None:
    whole = PipelineConfig(enrol=EnrolConfig(detect=False))
    made = await make((TWO_FACES, "a"), config=whole)
    red, green, _ = made.embeddings.vectors[0]
    assert red == pytest.approx(green, abs=0.02)


async def test_faces_below_the_pipelines_threshold_are_not_enrolled() -> None:
    strict = PipelineConfig(det_threshold=0.99)
    with pytest.raises(RejectedPairsError, match="no face found"):
        await make((FACE, "a"), config=strict)


async def test_a_long_list_keeps_few_images_in_flight_and_few_calls() -> None:
    detector, extractor = FakeDetector(), FakeExtractor()
    pairs: list[tuple[bytes | FaceServeError, str]] = [(FACE, "a")] * (CROPS_A_CALL + 5)
    made = await make(*pairs, detector=detector, extractor=extractor)
    assert len(made.labels) == CROPS_A_CALL + 5
    assert detector.most_under_way == IMAGES_IN_FLIGHT
    assert extractor.calls == [CROPS_A_CALL, 5]
