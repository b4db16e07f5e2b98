from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from serve_app.api.visualise import DRAWINGS_AT_ONCE, Visualiser
from serve_app.errors import InvalidImageError, TooLargeError
from serve_app.imaging import ImageLimits, decode
from serve_app.service import Recognition
from serve_app.types import Candidate
from tests.fakes import BLACK, RED, picture

WIDE = picture(*[BLACK] * 10)
BOX = (40.0, 5.0, 90.0, 30.0)


async def drawn(recognitions: list[Recognition]) -> np.ndarray:
    return decode(await Visualiser(ImageLimits()).picture(WIDE, recognitions), ImageLimits())


async def test_it_is_a_jpeg_of_the_images_size_with_the_faces_drawn() -> None:
    known = Recognition(BOX, 0.9, [Candidate(0, "anna", 0.8), Candidate(1, "ben", 0.7)])
    plain, boxed = await drawn([]), await drawn([known])
    assert plain.shape == boxed.shape == (32, 320, 3)
    assert plain.max() < 10
    assert boxed.max() > 100


async def test_the_nearest_candidate_is_named_and_a_stranger_is_not() -> None:
    anna = Candidate(0, "anna", 0.8)
    ben = Candidate(1, "ben", 0.8)
    pictures = [
        await drawn([Recognition(BOX, 0.9, candidates)])
        for candidates in ([anna], [anna, ben], [ben], [])
    ]
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])
    assert not np.array_equal(pictures[0], pictures[3])


async def test_drawing_is_off_the_event_loop_and_a_few_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    under_way, most, threads = 0, 0, set()
    lock, release = threading.Lock(), threading.Event()

    def slow(*_: object) -> np.ndarray:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
            threads.add(threading.current_thread())
        release.wait(5)
        with lock:
            under_way -= 1
        return np.zeros((8, 8, 3), dtype=np.uint8)

    monkeypatch.setattr("serve_app.api.visualise.draw", slow)
    visualiser = Visualiser(ImageLimits())
    tasks = [asyncio.create_task(visualiser.picture(picture(RED), [])) for _ in range(6)]
    await asyncio.sleep(0.05)  # the loop runs while they draw
    release.set()
    await asyncio.gather(*tasks)
    assert most == DRAWINGS_AT_ONCE
    assert threading.main_thread() not in threads


async def test_what_cant_be_decoded_cant_be_drawn() -> None:
    with pytest.raises(InvalidImageError):
        await Visualiser(ImageLimits()).picture(b"no image", [])
    with pytest.raises(TooLargeError):
        await Visualiser(ImageLimits(max_pixels=100)).picture(WIDE, [])
