"""What a measurement depends on besides the network: the machine, and the runtimes' versions."""

from __future__ import annotations

import hashlib
import os
import platform
from importlib import metadata
from pathlib import Path

from serve_app.config.device import Device

PACKAGES = {
    "paddle": ("paddlepaddle", "paddlepaddle-gpu"),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "openvino": ("openvino",),
    "paddle2onnx": ("paddle2onnx",),
    "tensorrt": ("tensorrt", "tensorrt-cu12", "tensorrt-cu13"),
}
"""Modules to the packages they may come from: versions are read without importing anything."""

CPU_FACTS = (
    "model name", "cpu family", "model", "stepping", "flags",
    "CPU implementer", "CPU architecture", "CPU part", "CPU revision", "Features",
)  # fmt: skip
"""Of Linux's list of processors, x86 and Arm: clouds call different ones "AMD EPYC" alike."""


def facts(device: Device, threads: int, proc: Path = Path("/proc")) -> dict[str, str]:
    """Whatever changes the times, as text by name. Measurements elsewhere than with the same facts
    say nothing."""
    found = {
        "cpu": _cpu(proc / "cpuinfo"),
        "cores": str(_cores()),
        "threads": str(threads),
        "device": str(device),
    }
    if device.kind == "gpu":
        found["gpus"] = ", ".join(_gpus(proc / "driver/nvidia/gpus")) or "unknown"
    return found | {f"{module} version": version(module) or "none" for module in PACKAGES}


def version(module: str) -> str | None:
    for package in PACKAGES[module]:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return None


def _cpu(cpuinfo: Path) -> str:
    """The processor's name and a digest of what it is able to do."""
    try:
        first = cpuinfo.read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    except OSError:
        return platform.processor() or platform.machine()
    parts = (line.partition(":") for line in first.splitlines())
    known = {name.strip(): value.strip() for name, _, value in parts if name.strip() in CPU_FACTS}
    digest = hashlib.sha256(repr(sorted(known.items())).encode()).hexdigest()[:12]
    return f"{known.get('model name', platform.machine())} ({digest})"


def _cores() -> int:
    """Those that this process may use: a container's share, where it is pinned."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _gpus(folder: Path) -> list[str]:
    """Names that NVIDIA's driver lists."""
    names = []
    for file in sorted(folder.glob("*/information")):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("Model:"):
                names.append(line.partition(":")[2].strip())
    return names
