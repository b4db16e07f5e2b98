"""Memory for a network's input that is written anew for each run.

A megabyte that is new each time costs three hundred page faults: as much as preparing an image.
Where it comes from is the session's to say (``runtime.session.memory_of``).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from serve_app.models.runtime.session import Memory, plain_memory


class Canvas:
    """Belongs to one thread, like the session that reads it: an array it gave is overwritten by
    the next use."""

    def __init__(self, memory: Memory = plain_memory) -> None:
        self._new = memory
        self._memory = np.empty(0, dtype=np.float32)

    def shaped(self, *shape: int) -> NDArray[np.float32]:
        """A C-contiguous float32 array of ``shape``, holding whatever was there."""
        size = math.prod(shape)
        if size > len(self._memory):
            self._memory = self._new(size)
        return self._memory[:size].reshape(shape)
