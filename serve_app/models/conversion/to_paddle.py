"""ONNX files in Paddle's inference form, so that the dense detectors and SFace run on every device
that Paddle knows, and with oneDNN on a CPU."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

from serve_app.errors import ModelError
from serve_app.models.child import ChildError, run_child
from serve_app.models.conversion import paddle_export
from serve_app.models.conversion.cached import cached_directory, digest_of

CONVERTER_VERSION = 1
"""Part of the directory's name: raise it when the conversion's result changes."""

DEADLINE_S = 300.0
"""Takes seconds; importing Paddle with a cold disk cache alone took a minute."""


def to_paddle(source: Path, cache_dir: Path) -> Path:
    """The directory in Paddle's form, converted at the first call on this machine.

    Dimensions that vary in ``source`` vary there. Its answers are those of the ONNX file, by
    numbers in place of names: ``output_names`` tells them. Raises ModelError.
    """
    name = f"{source.stem}-paddle-{digest_of(source)[:12]}-v{CONVERTER_VERSION}-{_paddle()}"

    def build(target: Path) -> None:
        try:
            run_child(paddle_export.__name__, [str(source), str(target)], DEADLINE_S)
        except ChildError as error:
            raise ModelError(f"{source.name} is not converted to Paddle's form: {error}") from None

    return cached_directory(cache_dir / name, build)


def output_names(directory: Path) -> tuple[str, ...]:
    """Names of the outputs in the file that ``directory`` was made of, in their order."""
    return tuple(json.loads((directory / paddle_export.OUTPUTS).read_text(encoding="utf-8")))


def _paddle() -> str:
    """Its version: a newer Paddle may not read what an older one wrote, and the reverse."""
    for package in ("paddlepaddle", "paddlepaddle-gpu"):
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    raise ModelError("converting to Paddle's form needs paddlepaddle; install it")
