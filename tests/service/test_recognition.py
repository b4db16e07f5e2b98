from __future__ import annotations

import uuid

import pytest

from serve_app.config import CompatConfig, PipelineConfig
from serve_app.errors import (
    FaceServeError,
    GalleryExistsError,
    GalleryMismatchError,
    GalleryNotFoundError,
    InvalidImageError,
    InvalidRequestError,
    RejectedPairsError,
    UnavailableError,
)
from serve_app.service import Identification, Pair, RecognitionService
from serve_app.types import Consistency, Embeddings, IndexType, Metric, SearchResult
from tests.fakes import (
    BLACK,
    BLANK,
    BLUE,
    DIM_RED,
    GREEN,
    RED,
    FakeDetector,
    FakeExtractor,
    MemoryIndex,
    picture,
)

PAIRS = [(picture(RED), "red"), (picture(GREEN), "green"), (picture(BLUE), "blue")]


class Rig:
    """A service over fakes, and the fakes."""

    def __init__(self, config: PipelineConfig | None = None) -> None:
        self.detector = FakeDetector()
        self.extractor = FakeExtractor()
        self.index = MemoryIndex()
        self.service = RecognitionService(
            self.detector, self.extractor, self.index, config or PipelineConfig()
        )


@pytest.fixture
async def rig() -> Rig:
    rig = Rig()
    await rig.service.build(PAIRS, "g")
    rig.extractor.calls.clear()
    rig.index.described.clear()
    return rig


def labels(found: Identification) -> list[list[str]]:
    return [[candidate.label for candidate in r.candidates] for r in found.faces]


async def test_every_face_is_recognised_with_one_call_a_stage(rig: Rig) -> None:
    found = await rig.service.identify(picture(BLUE, BLACK, RED), "g")
    assert labels(found) == [["blue"], ["red"]]
    assert [r.box for r in found.faces] == [(0, 0, 32, 32), (64, 0, 96, 32)]
    assert found.faces[0].score == pytest.approx(250 / 255)
    assert found.faces[0].candidates[0].score == pytest.approx(1)
    assert rig.extractor.calls == [2]
    assert rig.index.searches == 1


async def test_an_image_without_a_face_is_no_error_if_the_gallery_exists(rig: Rig) -> None:
    assert await rig.service.identify(picture(BLACK), "g") == Identification([])
    assert rig.extractor.calls == []
    with pytest.raises(GalleryNotFoundError):
        await rig.service.identify(picture(BLACK), "other")


async def test_an_unknown_gallery_is_an_error(rig: Rig) -> None:
    with pytest.raises(GalleryNotFoundError):
        await rig.service.identify(picture(RED), "other")


async def test_thresholds_of_the_request_replace_the_pipelines(rig: Rig) -> None:
    assert await rig.service.identify(picture(DIM_RED), "g") == Identification([])
    found = await rig.service.identify(picture(DIM_RED), "g", det_threshold=0.1)
    assert labels(found) == [["red"]]
    found = await rig.service.identify(picture(RED), "g", rec_threshold=-1)
    assert labels(found)[0][0] == "red"
    assert len(labels(found)[0]) == 3
    found = await rig.service.identify(picture(RED), "g", rec_threshold=1.1)
    assert labels(found) == [[]]


async def test_top_k_of_the_request_replaces_the_pipelines(rig: Rig) -> None:
    found = await rig.service.identify(picture(RED), "g", rec_threshold=-1, top_k=2)
    assert len(found.faces[0].candidates) == 2


async def test_top_k_of_zero_asks_nobody_but_whether_the_gallery_exists(rig: Rig) -> None:
    found = await rig.service.identify(picture(RED, BLUE), "g", top_k=0)
    assert labels(found) == [[], []]
    assert rig.extractor.calls == []
    with pytest.raises(GalleryNotFoundError):
        await rig.service.identify(picture(RED), "other", top_k=0)


async def test_l2_galleries_keep_the_close_ones() -> None:
    rig = Rig()
    await rig.service.build(PAIRS, "g", metric=Metric.L2)
    # Different colours have a cosine of 0.08, a squared distance of 1.84.
    assert labels(await rig.service.identify(picture(RED), "g")) == [["red"]]
    far = await rig.service.identify(picture(RED), "g", rec_threshold=1.9)
    assert labels(far)[0][0] == "red"
    assert len(labels(far)[0]) == 3
    assert far.faces[0].candidates[0].score == pytest.approx(0, abs=1e-6)
    none = await rig.service.identify(picture((250, 30, 10)), "g", rec_threshold=0.0)
    assert labels(none) == [[]]


async def test_top1_of_the_pipeline_lets_weak_candidates_ride_along() -> None:
    rig = Rig(PipelineConfig(compat=CompatConfig(threshold="top1")))
    await rig.service.build(PAIRS, "g")
    assert len(labels(await rig.service.identify(picture(RED), "g"))[0]) == 3


async def test_a_face_that_cant_be_embedded_stays_as_one_nobody_knows(rig: Rig) -> None:
    found = await rig.service.identify(picture(RED, BLANK, GREEN), "g")
    assert labels(found) == [["red"], [], ["green"]]
    assert labels(await rig.service.identify(picture(BLANK), "g")) == [[]]
    with pytest.raises(GalleryNotFoundError):
        await rig.service.identify(picture(BLANK), "other")


async def test_a_broken_image_is_an_error(rig: Rig) -> None:
    with pytest.raises(InvalidImageError):
        await rig.service.identify(picture(RED)[:60], "g")


async def test_probes_of_another_model_are_refused_with_both_names(rig: Rig) -> None:
    rig.extractor.model_id = "fake@2"
    with pytest.raises(GalleryMismatchError, match=r"fake@1.*fake@2"):
        await rig.service.identify(picture(RED), "g")


async def test_an_index_that_answers_other_probes_is_an_error(rig: Rig) -> None:
    class Forgetful(MemoryIndex):
        async def search(
            self,
            key: str,
            probes: Embeddings,
            top_k: int,
            *,
            consistency: Consistency = Consistency.STRONG,
        ) -> SearchResult:
            return SearchResult(Metric.IP, [])

    service = RecognitionService(rig.detector, rig.extractor, Forgetful(), PipelineConfig())
    with pytest.raises(FaceServeError, match="another number of probes"):
        await service.identify(picture(RED), "g")


async def test_the_default_gallery_is_that_of_the_pipeline() -> None:
    rig = Rig(PipelineConfig(index="house"))
    await rig.service.build(PAIRS[:1], "house")
    await rig.service.add(PAIRS[1:])
    assert labels(await rig.service.identify(picture(GREEN))) == [["green"]]
    assert (await rig.service.remove([0])).count == 2


async def test_without_a_default_gallery_one_must_be_named(rig: Rig) -> None:
    with pytest.raises(GalleryNotFoundError, match="no default gallery is configured"):
        await rig.service.identify(picture(RED))


async def test_a_gallery_without_a_key_gets_a_uuid4() -> None:
    rig = Rig()
    made = await rig.service.build(PAIRS)
    assert uuid.UUID(made.key).version == 4
    assert made.receipt.ids == [0, 1, 2]
    assert made.receipt.labels == {0: "red", 1: "green", 2: "blue"}
    assert (await rig.index.describe(made.key)).index_type == IndexType.FLAT


async def test_index_type_and_metric_reach_the_index() -> None:
    rig = Rig()
    await rig.service.build(PAIRS, "g", index_type=IndexType.HNSW32, metric=Metric.L2)
    info = await rig.index.describe("g")
    assert (info.index_type, info.metric) == (IndexType.HNSW32, Metric.L2)


async def test_a_key_that_exists_is_refused_before_anything_is_embedded(rig: Rig) -> None:
    with pytest.raises(GalleryExistsError):
        await rig.service.build(PAIRS, "g")
    assert rig.extractor.calls == []


async def test_a_bad_key_is_refused() -> None:
    with pytest.raises(InvalidRequestError):
        await Rig().service.build(PAIRS, "../g")


async def test_adding_to_an_unknown_gallery_embeds_nothing(rig: Rig) -> None:
    with pytest.raises(GalleryNotFoundError):
        await rig.service.add(PAIRS, "other")
    assert rig.extractor.calls == []


async def test_a_failing_pair_leaves_the_gallery_as_it_was(rig: Rig) -> None:
    with pytest.raises(RejectedPairsError):
        await rig.service.add([(picture(RED), "more"), (picture(BLACK), "none")], "g")
    assert (await rig.service.remove([], "g")).labels == {0: "red", 1: "green", 2: "blue"}


async def test_a_build_that_fails_makes_no_gallery() -> None:
    rig = Rig()
    with pytest.raises(RejectedPairsError):
        await rig.service.build([(picture(BLACK), "none")], "g")
    with pytest.raises(GalleryNotFoundError):
        await rig.index.describe("g")


async def test_skipped_pairs_are_told(rig: Rig) -> None:
    added = await rig.service.add(
        [(picture(BLACK), "none"), (picture(RED), "more")], "g", skip=True
    )
    assert added.receipt.ids == [3]
    assert [rejection.position for rejection in added.rejected] == [0]


async def test_removal_ignores_what_is_not_there(rig: Rig) -> None:
    receipt = await rig.service.remove([1, 1, -1, 99, 2**63, 10**30], "g", with_labels=False)
    assert (receipt.ids, receipt.count, receipt.labels) == ([1], 2, None)


@pytest.mark.parametrize("image", [picture(RED), picture(BLACK), picture(BLANK)])
async def test_with_the_store_down_a_strong_search_fails_and_an_eventual_one_says_so(
    rig: Rig, image: bytes
) -> None:
    fresh = await rig.service.identify(image, "g", consistency=Consistency.EVENTUAL)
    assert not fresh.stale
    rig.index.down = True
    with pytest.raises(UnavailableError):
        await rig.service.identify(image, "g")
    found = await rig.service.identify(image, "g", consistency=Consistency.EVENTUAL)
    assert found == Identification(fresh.faces, stale=True)


async def test_an_eventual_search_of_an_unknown_gallery_is_an_error_while_the_store_answers(
    rig: Rig,
) -> None:
    for image in (picture(RED), picture(BLACK)):
        with pytest.raises(GalleryNotFoundError):
            await rig.service.identify(image, "other", consistency=Consistency.EVENTUAL)


async def test_any_string_may_be_an_index_type(rig: Rig) -> None:
    await rig.service.build(PAIRS, "other", index_type="IVF4,SQ8")
    assert (await rig.index.describe("other")).index_type == "IVF4,SQ8"


async def test_images_are_read_only_of_a_gallery_that_is_there(rig: Rig) -> None:
    async def pairs() -> list[Pair]:
        raise AssertionError("nobody needs them")

    with pytest.raises(GalleryNotFoundError):
        await rig.service.add(pairs, "other")
    with pytest.raises(GalleryExistsError):
        await rig.service.build(pairs, "g")
