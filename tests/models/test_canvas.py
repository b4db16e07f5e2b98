from __future__ import annotations

import numpy as np

from serve_app.models.canvas import Canvas


def test_memory_is_used_again() -> None:
    canvas = Canvas()
    large = canvas.shaped(2, 3, 40, 50)
    large[:] = 7
    small = canvas.shaped(1, 3, 20, 30)
    assert small.shape == (1, 3, 20, 30)
    assert small.dtype == np.float32
    assert small.flags.c_contiguous
    assert np.shares_memory(large, small)
    assert (small == 7).all()


def test_it_grows() -> None:
    canvas = Canvas()
    assert canvas.shaped(1, 2).shape == (1, 2)
    assert canvas.shaped(100, 200).shape == (100, 200)
    assert canvas.shaped(0, 5).shape == (0, 5)
