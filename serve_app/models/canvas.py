"""Memory for a network's input that is written anew for each run.

A megabyte that is new each time costs three hundred page faults: as much as preparing an image.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


class Canvas:
    """Belongs to one thread, like the session that reads it: an array it gave is overwritten by
    the next use."""

    def __init__(self) -> None:
        self._memory = np.empty(0, dtype=np.float32)

    def shaped(self, *shape: int) -> NDArray[np.float32]:
        """A C-contiguous float32 array of ``shape``, holding whatever was there."""
        size = math.prod(shape)
        if size > len(self._memory):
            self._memory = np.empty(size, dtype=np.float32)
        return self._memory[:size].reshape(shape)
