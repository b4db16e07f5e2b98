"""Networks in int8: made of an ONNX file and typical inputs by the library NNCF, where it is
installed, and kept in the cache. Which one was made says the digest in its name."""

from __future__ import annotations

import hashlib
import tempfile
from importlib import metadata
from pathlib import Path

import numpy as np

from serve_app.errors import ModelError
from serve_app.models.child import ChildError, run_child
from serve_app.models.conversion import int8_export
from serve_app.models.conversion.cached import cached_directory, is_whole
from serve_app.models.runtime.session import Tensors

QUANTISER_VERSION = 1
"""Part of the digest: raise it when the way of quantising changes."""

DEADLINE_S = 1800.0
INSTALL = "pip install 'face-serve[calibrate]'"
FILE = "model.onnx"


def to_int8(network: Path, weights_digest: str, inputs: Tensors, cache_dir: Path) -> str:
    """Digest, eight hex digits, of the int8 form of the ONNX file ``network``, made unless the
    cache has it: of its weights, of ``inputs`` (one array of N typical ones, by name) and of the
    quantiser. Takes a minute. Raises ModelError.
    """
    ((name, values),) = inputs.items()
    quantiser = f"v{QUANTISER_VERSION} {version()}"
    found = hashlib.sha256(f"{weights_digest} {quantiser} {values.shape}".encode())
    found.update(np.ascontiguousarray(values).tobytes())
    digest = found.hexdigest()[:8]

    def build(target: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="face-serve-") as folder:
            file = Path(folder) / "inputs.npy"
            np.save(file, values)
            arguments = [str(network), name, str(file), str(target / FILE)]
            try:
                run_child(int8_export.__name__, arguments, DEADLINE_S)
            except ChildError as error:
                raise ModelError(f"no int8 network is made: NNCF {error}") from None

    cached_directory(_directory(weights_digest, digest, cache_dir), build)
    return digest


def int8_file(weights_digest: str, digest: str, cache_dir: Path) -> Path | None:
    """What ``to_int8`` made; None if it is not in the cache, or changed since."""
    directory = _directory(weights_digest, digest, cache_dir)
    return directory / FILE if is_whole(directory) else None


def newest_int8(weights_digest: str, cache_dir: Path) -> str | None:
    """Digest of the int8 network that was made last of these weights, here or where the cache came
    from."""
    prefix = _directory(weights_digest, "", cache_dir).name
    made = [
        (directory.stat().st_mtime_ns, directory.name.removeprefix(prefix))
        for directory in cache_dir.glob(f"{prefix}*")
        if directory.is_dir() and is_whole(directory)
    ]
    return max(made)[1] if made else None


def version() -> str:
    """Of NNCF. Raises ModelError where it is not installed."""
    try:
        return metadata.version("nncf")
    except metadata.PackageNotFoundError:
        raise ModelError(f"int8 needs NNCF: {INSTALL}") from None


def _directory(weights_digest: str, digest: str, cache_dir: Path) -> Path:
    return cache_dir / f"int8-{weights_digest[:12]}-{digest}"
