"""Where FAISS computes: on the CPU with so many threads, or on a GPU. Decided here only."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from typing import Any

import faiss

from serve_app.errors import ConfigError

logger = logging.getLogger(__name__)

DEVICE = re.compile(r"cpu|gpu(?::(?P<number>\d+))?")
ON_GPU = ("IndexFlat", "IndexFlatIP", "IndexFlatL2", "IndexIVFFlat", "IndexIVFPQ")
"""With IVF scalar quantizers, what FAISS has a GPU index for. A name is enough: a stand-in for
FAISS has no classes."""


@dataclass(frozen=True, slots=True)
class FaissDevice:
    """``number`` of the GPU, or None for the CPU. ``resources``: FAISS's memory on that GPU."""

    number: int | None = None
    resources: Any = None
    faiss_module: Any = faiss

    def __str__(self) -> str:
        return "cpu" if self.number is None else f"gpu:{self.number}"


def choose_device(device: str, faiss_module: Any = faiss) -> FaissDevice:
    """Of "cpu", "gpu" (the first) or "gpu:N". Raises ConfigError if it is not there."""
    match = DEVICE.fullmatch(device)
    if match is None:
        raise ConfigError(f"index.device is cpu, gpu or gpu:N, not {device}")
    if device == "cpu":
        return FaissDevice(faiss_module=faiss_module)
    number = int(match["number"] or 0)
    if not hasattr(faiss_module, "StandardGpuResources"):
        raise ConfigError(
            f"device gpu:{number}: the installed FAISS is for CPUs: "
            "install the extra gpu, or set index.device: cpu"
        )
    there = faiss_module.get_num_gpus()
    if number >= there:
        names = ", ".join(f"gpu:{each}" for each in range(there)) or "no GPU"
        raise ConfigError(f"device gpu:{number}: there is {names}")
    return FaissDevice(number, faiss_module.StandardGpuResources(), faiss_module)


def to_device(index: Any, device: FaissDevice) -> Any:
    """The index on the device: itself on the CPU, and where FAISS has no GPU index of its type.

    A copy otherwise. It takes no selector and gives at most 2048 candidates: ``Segment`` knows.
    """
    if device.number is None:
        return index
    kind = type(index).__name__
    if kind not in ON_GPU and kind != "IndexIVFScalarQuantizer":
        logger.warning("FAISS has no %s for GPUs: it is searched on the CPU", kind)
        return index
    moved = device.faiss_module.index_cpu_to_gpu(device.resources, device.number, index)
    # FAISS only points to its memory; its classes take no attribute of another name.
    moved.referenced_objects = [device.resources]
    return moved


def set_faiss_threads(count: int) -> None:
    """OpenMP threads of FAISS calls by the calling thread: each thread has a setting of its own."""
    faiss.omp_set_num_threads(count)
