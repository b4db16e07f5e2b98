"""Paddle directories in fp16, as a float32 copy in the cache: Paddle's CPU kernels know no fp16.

Three forms were tried with paddlepaddle 3.2.2 on a CPU (docs/decisions/0017): a program that casts
its fp16 parameters itself loads as it is; a program that declares fp32 with fp16 parameters in the
file fails when it is loaded; one that computes in fp16 fails when it is loaded (``.json``) or first
run (``.pdmodel``). All three are copied alike. Nothing is lost: fp32 holds every fp16 number.
"""

from __future__ import annotations

from pathlib import Path

from serve_app.models.conversion.cached import cached_directory, digest_of
from serve_app.models.conversion.pdiparams import stored_tensors, write_float32
from serve_app.models.conversion.program import float32_program

CONVERTER_VERSION = 1
"""Part of the cached directory's name: raise it when the conversion's result changes."""


def as_float32(network: Path, parameters: Path, cache_dir: Path) -> tuple[Path, Path]:
    """Network and parameter file of the same network in fp32: the given ones if there is no fp16
    in them (decided from the descriptions alone, the values are not read), else a copy, made at
    the first call on this machine.

    Safe with several processes at once (``cached_directory``). Raises ModelError where a file is
    cut short or damaged.
    """
    half = any(tensor.type == "FP16" for tensor in stored_tensors(parameters))
    program = float32_program(network)
    if program is None and not half:
        return network, parameters
    content = network.read_bytes() if program is None else program

    def build(directory: Path) -> None:
        (directory / network.name).write_bytes(content)
        with (directory / parameters.name).open("wb") as target:
            write_float32(parameters, target)

    digest = digest_of(network, parameters)[:12]
    name = f"{network.parent.name}-{digest}-fp32-v{CONVERTER_VERSION}"
    directory = cached_directory(cache_dir / name, build)
    return directory / network.name, directory / parameters.name


def check_whole(network: Path, parameters: Path) -> None:
    """Raises ModelError where a file is cut short or damaged in a way that Paddle doesn't notice,
    or does not survive. ``as_float32`` checks the same."""
    stored_tensors(parameters)
    float32_program(network)
