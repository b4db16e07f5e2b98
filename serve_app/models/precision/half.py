"""fp16: which runtime of a GPU computes in it. Nothing here ever ran on one (docs/decisions/0026).

Weights, inputs and outputs stay fp32; the runtime casts them. A file that is in fp16 itself is
something else: a network of its own, with an id of its own.
"""

from __future__ import annotations

from serve_app.config.pipeline import FP16_RUNTIMES
from serve_app.errors import ConfigError
from serve_app.models.network import Network
from serve_app.models.runtime import runs_on
from serve_app.models.selection.choice import RunOptions
from serve_app.models.selection.forms import lack
from serve_app.models.selection.machine import version

TYPED_TENSORRT = 11
"""From this one on TensorRT has no switch for fp16: it computes as the file says, and would do so
in fp32 unnoticed."""


def why_not_fp16(options: RunOptions) -> str | None:
    """Why fp16 can't be had on the device of ``options``, in its runtime or, where that is ``auto``
    or ``fastest``, in any; None: it can."""
    if options.device.kind != "gpu":
        return f"precision fp16 is for NVIDIA's GPUs, the device is {options.device}"
    reasons = {name: _lack_of(name, options) for name in _candidates(options)}
    if not reasons:
        return f"runtime {options.runtime} does not compute in fp16"
    if None in reasons.values():
        return None
    said = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    return f"no runtime here computes in fp16 ({said})"


def fp16_runtime(network: Network, options: RunOptions) -> str:
    """The runtime that is named, else the first of FP16_RUNTIMES that can: they are not measured
    against each other. Raises ConfigError where there is none."""
    lacks = {}
    for name in _candidates(options):
        lacks[name] = _lack_of(name, options) or lack(network, name, options.device)
        if lacks[name] is None:
            return name
    said = "; ".join(f"{name}: {reason}" for name, reason in lacks.items())
    raise ConfigError(f"{network.name}: no runtime for precision fp16 ({said}); choose fp32")


def _candidates(options: RunOptions) -> tuple[str, ...]:
    if options.runtime in ("auto", "fastest"):
        return FP16_RUNTIMES
    return tuple(name for name in FP16_RUNTIMES if name == options.runtime)


def _lack_of(runtime: str, options: RunOptions) -> str | None:
    if not runs_on(runtime, options.device):
        return f"not for {options.device} as installed"
    found = version("tensorrt") if runtime.endswith("-tensorrt") else None
    if found is not None and int(found.partition(".")[0]) >= TYPED_TENSORRT:
        return f"TensorRT {found} computes as the file says; install tensorrt<{TYPED_TENSORRT}"
    return None
