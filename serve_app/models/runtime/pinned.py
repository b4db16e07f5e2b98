"""Page-locked ("pinned") host memory, from which a GPU fetches inputs by itself.

CUDA copies other memory page by page into a page-locked buffer of its own first: for a batch of 64
crops 10 MB, on the core that should prepare the next one. CUDA's driver knows page-locked memory by
its address, whoever passes it, so the runtimes' plain ways (``InferenceSession.run``,
``copy_from_cpu``) gain by it with no binding of their own. Their own ways do not serve, as far as
Python reaches (docs/decisions/0026): ONNX Runtime 1.32 gives host memory of a device only to
plug-in providers, and Paddle 3.2.2 takes a tensor of ``CUDAPinnedPlace`` for one on the CPU.

Safe to write again once a run is over: both runtimes wait for the outputs, and those for the copy.
Never run: there was no GPU. What the driver is asked for was tested with a stand-in.
"""

from __future__ import annotations

import ctypes
import logging
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serve_app.config.device import Device
from serve_app.models.runtime.session import Memory, plain_memory

logger = logging.getLogger(__name__)

PORTABLE = 1
"""CU_MEMHOSTALLOC_PORTABLE: page-locked for every CUDA context, not for the current one alone."""

FLOAT_BYTES = 4


def input_memory(device: Device) -> Memory:
    """Where a runtime that uses CUDA wants its inputs: page-locked for GPUs, else plain."""
    return PinnedMemory(device.number) if device.kind == "gpu" else plain_memory


class CudaError(Exception):
    """A call of the driver that did not succeed; its message is the call and CUDA's number."""


class PinnedMemory:
    """Plain memory where the driver has no page-locked, said once in the log."""

    def __init__(
        self, gpu: int, driver: Callable[[], Any] = lambda: ctypes.CDLL("libcuda.so.1")
    ) -> None:
        """``gpu``: number among those that this process sees. Nothing is asked of it yet."""
        self._gpu = gpu
        self._load = driver
        self._context: Context | None = None
        self._able = True

    def __call__(self, size: int) -> NDArray[np.float32]:
        if self._able and size > 0:
            try:
                return self._pinned(size)
            except (OSError, CudaError) as error:
                self._able = False
                logger.warning("inputs are not in page-locked memory: %s", error)
        return plain_memory(size)

    def _pinned(self, size: int) -> NDArray[np.float32]:
        if self._context is None:
            self._context = Context(self._load(), self._gpu)
        address = self._context.allocate(size * FLOAT_BYTES)
        memory = (ctypes.c_float * size).from_address(address)
        # The array and its views keep ``memory`` alive. At exit the driver may be gone before us.
        weakref.finalize(memory, self._context.free, address).atexit = False
        return np.frombuffer(memoryview(memory), dtype=np.float32)


class Context:
    """The primary context of a GPU: the one that runtimes use. The calls are CUDA's driver API."""

    def __init__(self, driver: Any, gpu: int) -> None:
        """Raises CudaError."""
        self._driver = driver
        device = ctypes.c_int()
        self._handle = ctypes.c_void_p()
        self._call("cuInit", 0)
        self._call("cuDeviceGet", ctypes.byref(device), gpu)
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(self._handle), device)

    def allocate(self, size: int) -> int:
        """Address of ``size`` bytes. Raises CudaError."""
        address = ctypes.c_void_p()
        with self._current():
            self._call("cuMemHostAlloc", ctypes.byref(address), ctypes.c_size_t(size), PORTABLE)
        assert address.value is not None
        return address.value

    def free(self, address: int) -> None:
        with self._current():
            self._call("cuMemFreeHost", ctypes.c_void_p(address))

    @contextmanager
    def _current(self) -> Iterator[None]:
        self._call("cuCtxPushCurrent_v2", self._handle)
        try:
            yield
        finally:
            self._call("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))

    def _call(self, name: str, *arguments: Any) -> None:
        code = getattr(self._driver, name)(*arguments)
        if code != 0:
            raise CudaError(f"{name} gives CUDA error {code}")
