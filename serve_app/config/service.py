"""What the Serve file holds for our code: its ``args`` and the batching in ``user_config``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from serve_app.config.strict import StrictModel, validate
from serve_app.imaging import ImageLimits


class Limits(StrictModel):
    """What one request may cost."""

    body_bytes: int = Field(64 * 1024 * 1024, gt=0)
    image_bytes: int = Field(10 * 1024 * 1024, gt=0)
    image_pixels: int = Field(40_000_000, gt=0)
    pairs: int = Field(1000, gt=0)
    request_timeout_s: float = Field(60.0, gt=0)
    body_timeout_s: float = Field(30.0, gt=0)

    @property
    def image(self) -> ImageLimits:
        return ImageLimits(self.image_bytes, self.image_pixels)


class BatchSettings(StrictModel):
    """How a stage gathers work; part of ``user_config``, so it changes without a restart.

    ``slots``: batches under way at once, as many as there are replicas to send to. ``max_cost``: of
    one batch; a dearer item goes alone. ``max_queue_cost``: what may wait before new items are
    refused with 429. Cost is counted in faces (extractor, index) or 256 KiB of image (detector).
    """

    slots: int = Field(1, ge=1)
    max_cost: int = Field(8, ge=1)
    max_queue_cost: int = Field(1024, ge=1)


class IngressBatching(StrictModel):
    """``user_config`` of the Ingress: how it gathers the calls to each stage."""

    detector: BatchSettings = BatchSettings()
    extractor: BatchSettings = BatchSettings(max_cost=16)
    index: BatchSettings = BatchSettings(max_cost=64)


class FetchConfig(StrictModel):
    """URLs in requests. ``allow``: private hosts or networks that may be read too."""

    allow: tuple[str, ...] = ()
    timeout_s: float = Field(10.0, gt=0)


class ServiceArgs(StrictModel):
    """``pipeline`` is ``face_recognition`` (the embedded default) or the path of a pipeline file;
    ``data_dir`` holds the galleries; ``cache_dir`` the converted models."""

    pipeline: str = "face_recognition"
    data_dir: Path = Path("data")
    cache_dir: Path | None = None
    fetch: FetchConfig = FetchConfig()
    limits: Limits = Limits()

    @field_validator("data_dir", "cache_dir")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        # A replica's working directory need not be the one the file was written for.
        return None if value is None else value.expanduser().absolute()


def parse_service_args(args: Mapping[str, Any]) -> ServiceArgs:
    """Raises ConfigError naming each bad key and the nearest known one."""
    return validate(ServiceArgs, args, "args")


def default_cache_dir(environ: Mapping[str, str]) -> Path:
    """Where converted models lie: FACE_SERVE_CACHE, else the user's cache directory."""
    if chosen := environ.get("FACE_SERVE_CACHE"):
        return Path(chosen).expanduser().absolute()
    root = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(root).expanduser().absolute() / "face-serve"
