from __future__ import annotations

import pytest

from serve_app.config.device import Device, parse_device
from serve_app.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("cpu", Device("cpu", 0)),
        ("gpu", Device("gpu", 0)),
        ("gpu:0", Device("gpu", 0)),
        ("gpu:3", Device("gpu", 3)),
        ("npu:1", Device("npu", 1)),
        ("xpu", Device("xpu", 0)),
        ("mlu:0", Device("mlu", 0)),
    ],
)
def test_device_strings(text: str, device: Device) -> None:
    assert parse_device(text) == device
    assert parse_device(str(device)) == device


@pytest.mark.parametrize("text", ["", "cuda:0", "gpu:", "gpu:x", "cpu:0", "GPU", "gpu:0,1", "tpu"])
def test_no_device_string(text: str) -> None:
    with pytest.raises(ConfigError, match=r"device: .* is not known; write cpu, gpu:0"):
        parse_device(text)
