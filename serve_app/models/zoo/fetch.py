"""From an official model's name to its directory in the cache: download, digest, unpack, keep.

The first archive of a name is trusted and its SHA-256 recorded, as PaddleX publishes none; later
ones must have the same (docs/decisions/0019).
"""

from __future__ import annotations

import shutil
from pathlib import Path

from filelock import FileLock, Timeout

from serve_app.errors import ModelError
from serve_app.models.inference_yml import declared_name
from serve_app.models.zoo.archive import digest_of, unpack
from serve_app.models.zoo.cache import ModelCache, Record
from serve_app.models.zoo.download import Patience, download
from serve_app.models.zoo.origin import VARIABLE, Origin
from serve_app.models.zoo.progress import Progress
from serve_app.models.zoo.table import OfficialModel

PATIENCE = Patience()
COMPLETE = [
    {network, "inference.pdiparams", "inference.yml"}
    for network in ("inference.json", "inference.pdmodel")
]


def fetch(
    model: OfficialModel,
    cache: ModelCache,
    origin: Origin,
    progress: Progress,
    *,
    patience: Patience = PATIENCE,
    accept_new_digest: bool = False,
) -> Path:
    """The model's directory; what is there already is not fetched again.

    ``accept_new_digest``: fetch even so, and record what comes. Of several processes at once, one
    fetches and the others wait. Raises ModelError that says what to do instead, ConfigError where
    ``origin`` is no URL.
    """
    if not accept_new_digest and (there := cache.installed(model.name)):
        return there
    try:
        cache.root.mkdir(parents=True, exist_ok=True)
        with FileLock(cache.root / f"{model.name}.lock", timeout=patience.total):
            if not accept_new_digest and (there := cache.installed(model.name)):
                return there
            part = cache.root / f"{model.archive}.part"
            _bring(model, part, origin, patience, progress)
            return _take(model, cache, part, accept_new_digest)
    except Timeout:
        raise ModelError(
            f"{model.name}: another process is fetching it and has not finished within "
            f"{patience.total:.0f} s; see what it is doing"
        ) from None
    except OSError as error:
        raise ModelError(
            f"{model.name}: the cache can't be written: {error.strerror}. FACE_SERVE_CACHE names "
            "another directory"
        ) from None


def _bring(
    model: OfficialModel, part: Path, origin: Origin, patience: Patience, progress: Progress
) -> None:
    if isinstance(origin, Path):
        try:
            shutil.copyfile(origin / model.archive, part)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
            raise ModelError(
                f"{model.name}: {model.archive} is not in the mirror's directory or can't be read; "
                "put it there"
            ) from None
        return
    try:
        download(f"{origin}/{model.archive}", part, patience, progress)
    except ModelError as error:
        raise ModelError(
            f"{model.name} can't be downloaded: {error}. Without a network: put {model.archive} "
            f"(`face-serve models show {model.name}` says where it is from) into a directory and "
            f"name that with --mirror or {VARIABLE}, or unpack it and set model_dir in the "
            "pipeline file to the directory"
        ) from None


def _take(model: OfficialModel, cache: ModelCache, part: Path, accept_new_digest: bool) -> Path:
    """Check what was brought and store it. It goes in any case: going on with it can't help."""
    unpacked = cache.root / "unpacking" / model.name
    try:
        digest, known = digest_of(part), cache.record(model.name)
        if known and known.archive_sha256 == digest and (there := cache.installed(model.name)):
            return there
        if known and known.archive_sha256 != digest and not accept_new_digest:
            raise ModelError(
                f"{model.name}: SHA-256 of the archive is {digest}, at the first download it was "
                f"{known.archive_sha256}. Nothing was changed. If a new release is expected: "
                f"face-serve models fetch {model.name} --accept-new-digest"
            )
        shutil.rmtree(unpacked, ignore_errors=True)
        unpacked.mkdir(parents=True)
        files = _checked(model, unpacked, part)
        return cache.store(unpacked, Record(model.name, digest, files))
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
        part.unlink(missing_ok=True)
        part.with_name(f"{part.name}.json").unlink(missing_ok=True)


def _checked(model: OfficialModel, unpacked: Path, part: Path) -> dict[str, str]:
    """Unpack and see that it is the model that was asked for."""
    try:
        files = unpack(part, unpacked)
        if not any(files.keys() >= complete for complete in COMPLETE):
            raise ModelError(f"it holds {', '.join(sorted(files)) or 'no model'} only")
        name = declared_name(unpacked)
        if name not in (None, model.name):
            raise ModelError(f"it holds the model {name}")
    except ModelError as error:
        raise ModelError(f"{model.archive} is refused: {error}") from None
    return files
