from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import cast

import pytest

from serve_app.errors import ModelError, UnavailableError
from serve_app.pipeline.pool import StagePool
from serve_app.pipeline.stages import FacePipeline


class Opened:
    def __init__(self) -> None:
        self.count = 0
        self.model_id = "toy@1"

    def __call__(self) -> FacePipeline:
        self.count += 1
        extractor = SimpleNamespace(
            model_id=self.model_id, dimension=3, compatible_with=frozenset({"toy@1+bf16"})
        )
        return cast(FacePipeline, SimpleNamespace(extractor=extractor, number=self.count))


def test_the_first_is_loaded_at_once_and_lent_again() -> None:
    opened = Opened()
    pool = StagePool(opened)
    assert (opened.count, pool.model_id, pool.dimension) == (1, "toy@1", 3)
    assert pool.compatible_with == {"toy@1+bf16"}
    for _ in range(3):
        with pool.borrow():
            pass
    assert opened.count == 1


def test_one_more_for_each_that_is_in_use() -> None:
    opened = Opened()
    pool = StagePool(opened)
    meeting = threading.Barrier(3, timeout=20)
    lent: list[FacePipeline] = []

    def use() -> None:
        with pool.borrow() as stages:
            lent.append(stages)
            meeting.wait()

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(stages) for stages in lent}) == 3
    assert opened.count == 3


def test_an_error_gives_the_networks_back() -> None:
    opened = Opened()
    pool = StagePool(opened)
    for _ in range(3):
        with pytest.raises(KeyError), pool.borrow():
            raise KeyError
    assert opened.count == 1


def test_a_model_that_can_not_be_loaded_shows_at_once() -> None:
    def broken() -> FacePipeline:
        raise ModelError("no such file")

    with pytest.raises(ModelError):
        StagePool(broken)


def test_a_model_that_is_another_by_now_is_not_lent() -> None:
    """Somebody calibrated between the first thread's start and the second one's."""
    opened = Opened()
    pool = StagePool(opened)
    opened.model_id = "toy@1+bf16"
    with (
        pool.borrow(),
        pytest.raises(UnavailableError, match=r"now loads toy@1\+bf16, before it was toy@1:"),
        pool.borrow(),
    ):
        pass
    with pool.borrow() as stages:
        assert stages.extractor.model_id == "toy@1"
