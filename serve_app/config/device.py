"""Device strings as PaddleX writes them: ``cpu``, ``gpu``, ``gpu:1``. Knows no runtime: whether a
device is there is for ``models.runtime`` to say."""

from __future__ import annotations

import re
from dataclasses import dataclass

from serve_app.errors import ConfigError

KINDS = ("cpu", "gpu", "npu", "xpu", "mlu")
_FORM = re.compile(r"([a-z]+)(?::(\d{1,3}))?")


@dataclass(frozen=True, slots=True)
class Device:
    """``number`` counts from 0 among the devices of a kind; a CPU has none."""

    kind: str = "cpu"
    number: int = 0

    def __str__(self) -> str:
        return self.kind if self.kind == "cpu" else f"{self.kind}:{self.number}"


def parse_device(text: str) -> Device:
    """``gpu`` is ``gpu:0``. Raises ConfigError for what is no device string."""
    found = _FORM.fullmatch(text)
    kind, number = (found[1], found[2]) if found else ("", None)
    if kind not in KINDS or (kind == "cpu" and number is not None):
        others = ", ".join(f"{kind}:0" for kind in KINDS[1:])
        raise ConfigError(f"device: {text} is not known; write cpu, {others}, or another number")
    return Device(kind, int(number or 0))
