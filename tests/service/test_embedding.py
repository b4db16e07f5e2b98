from __future__ import annotations

import numpy as np
import pytest

from serve_app.errors import FaceServeError, InvalidImageError, UnavailableError
from serve_app.service.embedding import embed
from serve_app.types import CROP_SIZE, Crop, Crops, Embeddings
from tests.fakes import BLANK, BLUE, GREEN, RED, Colour, FakeExtractor


def crop(colour: Colour) -> Crop:
    return np.full((CROP_SIZE, CROP_SIZE, 3), colour, dtype=np.uint8)


async def test_crops_of_one_chunk_take_one_call() -> None:
    extractor = FakeExtractor()
    embedded = await embed(extractor, [crop(RED), crop(GREEN), crop(BLUE)], 64)
    assert extractor.calls == [3]
    assert embedded.embeddings is not None
    assert embedded.embeddings.model_id == "fake@1"
    assert embedded.embeddings.vectors.argmax(axis=1).tolist() == [0, 1, 2]
    assert embedded.failures == {}


async def test_more_crops_take_more_calls_in_their_order() -> None:
    extractor = FakeExtractor()
    embedded = await embed(extractor, [crop(RED), crop(GREEN), crop(BLUE)], 2)
    assert extractor.calls == [2, 1]
    assert embedded.embeddings is not None
    assert embedded.embeddings.vectors.argmax(axis=1).tolist() == [0, 1, 2]


async def test_a_bad_crop_fails_alone() -> None:
    colours = [RED, GREEN, BLANK, BLUE, BLANK]
    embedded = await embed(FakeExtractor(), [crop(colour) for colour in colours], 3)
    assert embedded.embeddings is not None
    assert embedded.embeddings.vectors.argmax(axis=1).tolist() == [0, 1, 2]
    assert sorted(embedded.failures) == [2, 4]
    assert all(isinstance(error, InvalidImageError) for error in embedded.failures.values())


@pytest.mark.parametrize("colours", [[], [BLANK], [BLANK, BLANK]])
async def test_nothing_that_can_be_embedded_gives_no_embeddings(colours: list[Colour]) -> None:
    embedded = await embed(FakeExtractor(), [crop(colour) for colour in colours], 8)
    assert embedded.embeddings is None
    assert list(embedded.failures) == list(range(len(colours)))


async def test_vectors_of_two_models_are_never_mixed() -> None:
    class Upgrading(FakeExtractor):
        async def extract(self, crops: Crops) -> Embeddings:
            self.model_id = f"fake@{len(self.calls)}"
            return await super().extract(crops)

    with pytest.raises(UnavailableError, match="try again"):
        await embed(Upgrading(), [crop(RED), crop(GREEN)], 1)


class OfSeveralPrecisions(FakeExtractor):
    """Each call is answered by the next of its replicas: an id, and what it may be mixed with."""

    def __init__(self, *replicas: tuple[str, set[str]]) -> None:
        super().__init__()
        self._replicas = iter(replicas)

    async def extract(self, crops: Crops) -> Embeddings:
        model_id, others = next(self._replicas)
        vectors = (await super().extract(crops)).vectors
        return Embeddings(model_id, vectors, frozenset(others))


async def test_precisions_that_may_be_mixed_answer_together_for_what_all_of_them_fit() -> None:
    extractor = OfSeveralPrecisions(("m", {"m+bf16", "m+int8-1"}), ("m+bf16", {"m"}))
    embedded = await embed(extractor, [crop(RED), crop(GREEN)], 1)
    assert embedded.embeddings is not None
    assert embedded.embeddings.model_id == "m"
    assert embedded.embeddings.compatible_with == {"m+bf16"}
    assert embedded.embeddings.vectors.argmax(axis=1).tolist() == [0, 1]


async def test_a_precision_that_knows_of_no_other_joins_none() -> None:
    knowing = ("m", {"m+bf16"})
    unknowing: tuple[str, set[str]] = ("m+bf16", set())
    with pytest.raises(UnavailableError, match="try again"):
        await embed(OfSeveralPrecisions(knowing, unknowing), [crop(RED), crop(GREEN)], 1)


async def test_an_answer_of_another_length_is_an_error() -> None:
    class Forgetful(FakeExtractor):
        async def extract(self, crops: Crops) -> Embeddings:
            return await super().extract(crops[1:])

    with pytest.raises(FaceServeError, match="another number"):
        await embed(Forgetful(), [crop(RED), crop(GREEN)], 2)
