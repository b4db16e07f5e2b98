from __future__ import annotations

import asyncio
import threading

from serve_app.deployments.sampler import SamplerThread, sampling


def test_a_thread_looks_until_it_is_stopped_whatever_fails() -> None:
    looks, enough = [0], threading.Event()

    def look() -> None:
        looks[0] += 1
        if looks[0] == 3:
            enough.set()
        raise ValueError("nothing to see")

    sampler = SamplerThread(look, 0.01)
    sampler.start()
    assert enough.wait(10)
    sampler.stop()
    seen = looks[0]
    assert not enough.wait(0.05) or looks[0] == seen


async def test_a_task_looks_while_the_application_runs() -> None:
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        raise ValueError("nothing to see")

    async with sampling(look, 0.01):
        while len(looks) < 3:
            await asyncio.sleep(0.01)
    seen = len(looks)
    await asyncio.sleep(0.05)
    assert len(looks) == seen
