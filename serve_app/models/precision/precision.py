"""Precisions by name: what a model id says of the arithmetic behind its embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from serve_app.models.network import Network

Kind = Literal["fp32", "fp16", "bf16", "int8"]
LOWER_ON: dict[str, tuple[Kind, ...]] = {"cpu": ("bf16", "int8"), "gpu": ("fp16",)}
"""By kind of device, the most exact first."""


@dataclass(frozen=True, slots=True)
class Precision:
    """``digest``: which int8 network it is, eight hex digits; of the others None. fp16 and bf16
    are the same network on every machine, int8 is made of somebody's photographs."""

    kind: Kind = "fp32"
    digest: str | None = None

    def __str__(self) -> str:
        return self.kind if self.digest is None else f"{self.kind}-{self.digest}"


FP32 = Precision()
FP16 = Precision("fp16")
BF16 = Precision("bf16")


def parse_precision(text: str) -> Precision:
    """What ``str`` of one gives: ``fp32``, ``fp16``, ``int8-1a2b3c4d``. Raises ValueError."""
    kind, _, digest = text.partition("-")
    if kind == "int8" and digest:
        return Precision("int8", digest)
    for known in (FP32, FP16, BF16):
        if text == str(known):
            return known
    raise ValueError(f"{text} is no precision")


def model_id(network: Network, precision: Precision = FP32) -> str:
    """A name and the start of the weights' SHA-256, and how they are run unless that is fp32."""
    plain = f"{network.name}@{network.digest[:12]}"
    return plain if precision == FP32 else f"{plain}+{precision}"
