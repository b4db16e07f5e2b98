"""What CUDA's driver is asked for, by a stand-in whose memory is the process's own."""

from __future__ import annotations

import ctypes
import gc
import logging
from typing import Any

import numpy as np
import pytest

from serve_app.config.device import Device
from serve_app.models.canvas import Canvas
from serve_app.models.runtime.pinned import PinnedMemory, input_memory
from serve_app.models.runtime.session import plain_memory


class Driver:
    """The calls that are used, and no other; ``fails``: one that does not succeed. Memory is asked
    for and given back inside the context alone, as CUDA demands."""

    def __init__(self, fails: str = "") -> None:
        self._fails = fails
        self.calls: list[str] = []
        self.current: list[int | None] = []
        self.blocks: dict[int, Any] = {}

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self._done(f"init {flags}", "cuInit")

    def cuDeviceGet(self, device: Any, number: int) -> int:  # noqa: N802
        device._obj.value = number + 40
        return self._done(f"device {number}", "cuDeviceGet")

    def cuDevicePrimaryCtxRetain(self, context: Any, device: ctypes.c_int) -> int:  # noqa: N802
        context._obj.value = device.value + 100
        return self._done(f"retain {device.value}", "cuDevicePrimaryCtxRetain")

    def cuCtxPushCurrent_v2(self, context: ctypes.c_void_p) -> int:  # noqa: N802
        self.current.append(context.value)
        return 0

    def cuCtxPopCurrent_v2(self, context: Any) -> int:  # noqa: N802
        context._obj.value = self.current.pop()
        return 0

    def cuMemHostAlloc(self, address: Any, size: ctypes.c_size_t, flags: int) -> int:  # noqa: N802
        assert self.current == [141]
        block = ctypes.create_string_buffer(size.value)
        address._obj.value = ctypes.addressof(block)
        self.blocks[ctypes.addressof(block)] = block
        return self._done(f"allocate {size.value} {flags}", "cuMemHostAlloc")

    def cuMemFreeHost(self, address: ctypes.c_void_p) -> int:  # noqa: N802
        assert self.current == [141]
        assert address.value is not None
        self.calls.append(f"free {len(self.blocks.pop(address.value))}")
        return 0

    def _done(self, call: str, name: str) -> int:
        self.calls.append(call)
        return 2 if name == self._fails else 0


def test_memory_is_the_drivers_until_the_last_view_of_it_is_gone() -> None:
    driver = Driver()
    memory = PinnedMemory(1, lambda: driver)
    assert driver.calls == []
    array = memory(6)
    assert driver.calls == ["init 0", "device 1", "retain 41", "allocate 24 1"]
    assert (array.shape, array.flags.writeable) == ((6,), True)
    assert array.dtype == np.float32
    assert array.ctypes.data in driver.blocks
    view = array[2:].reshape(2, 2)
    view[:] = 7
    del array
    gc.collect()
    assert driver.calls[4:] == []
    assert view.tolist() == [[7, 7], [7, 7]]
    del view
    gc.collect()
    assert driver.calls[4:] == ["free 24"]
    assert driver.current == []


def test_a_canvas_grows_in_it() -> None:
    driver = Driver()
    canvas = Canvas(PinnedMemory(1, lambda: driver))
    assert canvas.shaped(0, 5).shape == (0, 5)
    assert driver.calls == []
    for shape in ((1, 2), (2, 3), (1, 3)):
        array = canvas.shaped(*shape)
        array[:] = 1
    assert array.ctypes.data in driver.blocks
    del array
    gc.collect()
    assert driver.calls[3:] == ["allocate 8 1", "allocate 24 1", "free 8"]


@pytest.mark.parametrize("fails", ["cuInit", "cuDeviceGet", "cuMemHostAlloc"])
def test_without_it_memory_is_plain_which_is_said_once(
    fails: str, caplog: pytest.LogCaptureFixture
) -> None:
    driver = Driver(fails)
    memory = PinnedMemory(1, lambda: driver)
    with caplog.at_level(logging.WARNING):
        arrays = [memory(4), memory(5)]
    assert [array.shape for array in arrays] == [(4,), (5,)]
    assert not any(array.ctypes.data in driver.blocks for array in arrays)
    assert [entry.getMessage() for entry in caplog.records] == [
        f"inputs are not in page-locked memory: {fails} gives CUDA error 2"
    ]


def test_without_a_driver_memory_is_plain(caplog: pytest.LogCaptureFixture) -> None:
    def no_driver() -> Any:
        raise OSError("libcuda.so.1: cannot open shared object file")

    memory = PinnedMemory(0, no_driver)
    assert memory(4).shape == (4,)
    assert "inputs are not in page-locked memory: libcuda.so.1: cannot open" in caplog.text


def test_for_whom() -> None:
    assert isinstance(input_memory(Device("gpu", 1)), PinnedMemory)
    for kind in ("cpu", "npu", "xpu", "mlu"):
        assert input_memory(Device(kind)) is plain_memory
