"""Networks in Paddle's form as ONNX files, so that ONNX Runtime and OpenVINO run them. The library
paddle2onnx does it, where it is installed (docs/decisions/0018)."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from serve_app.errors import ModelError
from serve_app.models.child import ChildError, run_child
from serve_app.models.conversion import onnx_export
from serve_app.models.conversion.cached import cached_directory, digest_of
from serve_app.models.conversion.parameters import as_float32

CONVERTER_VERSION = 1
"""Part of the directory's name: raise it when the conversion's result changes."""

DEADLINE_S = 300.0
INSTALL = "pip install --no-deps paddle2onnx==2.1.0"


def to_onnx(network: Path, parameters: Path, cache_dir: Path) -> Path:
    """The ONNX file of ``inference.json`` (or ``.pdmodel``) and ``inference.pdiparams``, converted
    at the first call on this machine.

    Inputs keep their names and the dimensions that vary; outputs keep their order. Networks with
    suppression inside take one image at a time from then on. fp16 weights are made fp32. Raises
    ModelError.
    """
    network, parameters = as_float32(network, parameters, cache_dir)
    directory = network.parent.name
    digest = digest_of(network, parameters)[:12]
    name = f"{directory}-onnx-{digest}-v{CONVERTER_VERSION}-{_version()}"

    def build(target: Path) -> None:
        arguments = [str(network), str(parameters), str(target / "model.onnx")]
        try:
            run_child(onnx_export.__name__, arguments, DEADLINE_S)
        except ChildError as error:
            raise ModelError(f"{directory} is not converted to ONNX: {error}") from None

    return cached_directory(cache_dir / name, build) / "model.onnx"


def _version() -> str:
    try:
        return metadata.version("paddle2onnx")
    except metadata.PackageNotFoundError:
        raise ModelError(f"converting to ONNX needs paddle2onnx: {INSTALL}") from None
