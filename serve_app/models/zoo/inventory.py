"""What of the zoo is on this machine, and how the rest comes here. Loads nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from serve_app.errors import ModelError
from serve_app.models.zoo.cache import ModelCache
from serve_app.models.zoo.origin import OFFICIAL as OFFICIAL_HOST
from serve_app.models.zoo.packaged import packaged_file
from serve_app.models.zoo.table import OfficialModel, PackagedModel, ZooModel


@dataclass(frozen=True, slots=True)
class Holding:
    """``sha256``: of the file that a wheel must hold, or of the archive recorded at its first
    download. ``origin``: the wheel, or where the archive is published. ``get``: the command that
    brings it. ``directory``: of an official model, in the cache."""

    model: ZooModel
    here: bool
    sha256: str | None
    origin: str
    get: str
    directory: str | None = None


def holding(model: ZooModel, cache_dir: Path) -> Holding:
    """Raises ModelError where the cache's record of the model can't be read."""
    if isinstance(model, PackagedModel):
        return Holding(
            model, _is_installed(model), model.digest, f"wheel {model.package}", model.install
        )
    assert isinstance(model, OfficialModel)
    cache = ModelCache(cache_dir)
    record, there = cache.record(model.name), cache.installed(model.name)
    return Holding(
        model,
        there is not None,
        record.archive_sha256 if record else None,
        f"{OFFICIAL_HOST}/{model.archive}",
        f"face-serve models fetch {model.name}",
        f"models/{there.name}" if there else None,
    )


def _is_installed(model: PackagedModel) -> bool:
    try:
        packaged_file(model)
    except ModelError:
        return False
    return True
