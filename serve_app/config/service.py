"""What the Serve file holds for our code: its ``args`` and the batching in ``user_config``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from pydantic import Field, field_validator

from serve_app.config.access import AccessConfig
from serve_app.config.encryption import EncryptionConfig
from serve_app.config.observability import ObservabilityConfig
from serve_app.config.strict import StrictModel, validate
from serve_app.errors import ConfigError
from serve_app.imaging import ImageLimits
from serve_app.locations import location_of

FROM_ENVIRONMENT = "env:"


class Limits(StrictModel):
    """What one request may cost. ``request_timeout_s``: from a request's head to its answer, or to
    504; a request may ask for less with the header Request-Timeout."""

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
    one batch; a dearer item goes alone. ``max_queue_cost``: what may wait at all, which bounds
    memory; what is over is refused with 429. ``overtake_s``: a dear item lets cheaper ones pass
    that come up to twice its own time later, but never later than this; 0 is first come, first
    served. Cost is counted in faces (extractor, index) or 256 KiB of image (detector).
    """

    slots: int = Field(1, ge=1)
    max_cost: int = Field(8, ge=1)
    max_queue_cost: int = Field(1024, ge=1)
    overtake_s: float = Field(1.0, ge=0)


class AdmissionSettings(StrictModel):
    """When an ingress replica refuses new requests with 429, before it reads their bodies.

    ``max_wait_s``: seconds that a new request may be expected to wait for its turns, by what was
    measured of the stages. ``overload_wait_s``: the same while requests are being refused, and
    until a second after. What is let in takes about so much longer than alone: a lower bound keeps
    latency flat under overload, a higher one serves more clients that wait for each other.
    Neither counts while no more waits than the next batch of each slot (``slots * max_cost``).
    ``max_in_flight``: requests of all kinds but /health at once; keep ``max_ongoing_requests`` and
    ``max_queued_requests`` of the deployment above it, so that Ray's own refusal never comes first.
    """

    max_wait_s: float = Field(0.8, gt=0)
    overload_wait_s: float = Field(0.2, gt=0)
    max_in_flight: int = Field(1024, ge=1)


class IngressBatching(StrictModel):
    """``user_config`` of the Ingress: how it gathers the calls to each stage, whom it lets in."""

    detector: BatchSettings = BatchSettings()
    extractor: BatchSettings = BatchSettings(max_cost=16)
    index: BatchSettings = BatchSettings(max_cost=64)
    admission: AdmissionSettings = AdmissionSettings()


class FetchConfig(StrictModel):
    """URLs in requests. ``enabled``: whether any is read (what bulk jobs may read is in
    ``jobs.inputs``). ``allow``: private hosts or networks that may be read too."""

    enabled: bool = True
    allow: tuple[str, ...] = ()
    timeout_s: float = Field(10.0, gt=0)


class SnapshotConfig(StrictModel):
    """``url``: a directory or an object store of fsspec (``s3://bucket/prefix``), of this database
    only; left out, a directory in ``data_dir``. ``keep``: snapshots of a gallery.
    ``erase_within_s``: seconds after a removal until no snapshot holds what was removed."""

    url: str | None = Field(None, repr=False)  # it may hold credentials
    keep: int = Field(2, ge=1, le=100)
    erase_within_s: float = Field(86_400, gt=0)

    @field_validator("url")
    @classmethod
    def _absolute(cls, value: str | None) -> str | None:
        if value is None or "://" in value:
            return value
        return str(Path(value).expanduser().absolute())


class IndexConfig(StrictModel):
    """How galleries are searched and kept.

    ``exact_until``: up to so many templates a gallery is searched exactly, whatever its type.
    ``growth``, ``dead``: shares of a built index that may be newer, or removed, before it is built
    anew beside. ``threads``: cores of a search; ``build_threads``: of a build. ``device``: where
    FAISS computes, ``cpu``, ``gpu`` or ``gpu:N``. ``idempotency_s``: how long answers are kept for
    requests that are sent again. ``upkeep_s``: seconds between two looks at what is to be done.
    """

    exact_until: int = Field(20_000, ge=1)
    growth: float = Field(0.25, gt=0)
    dead: float = Field(0.2, gt=0)
    threads: int = Field(1, ge=1, le=256)
    build_threads: int = Field(1, ge=1, le=256)
    device: str = "cpu"
    idempotency_s: float = Field(86_400, gt=0)
    upkeep_s: float = Field(5, gt=0)

    @field_validator("device")
    @classmethod
    def _device_string(cls, value: str) -> str:
        if not re.fullmatch(r"cpu|gpu(:\d+)?", value):
            raise ValueError("write cpu, gpu or gpu:N")
        return value


class JobsConfig(StrictModel):
    """Bulk jobs that are asked for over HTTP. ``inputs``: prefixes of the paths, buckets and hosts
    that they may read (``/photos``, ``s3://bucket/people``); with none they may read nothing.
    ``detectors``, ``extractors``: actors of a job, each with so many ``cpus`` and ``gpus``
    (extractors only) of the cluster."""

    inputs: tuple[str, ...] = ()
    detectors: int = Field(1, ge=1)
    extractors: int = Field(2, ge=1)
    cpus: float = Field(0.1, ge=0)
    gpus: float = Field(0, ge=0)

    @field_validator("inputs")
    @classmethod
    def _located(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        inputs = tuple(
            prefix if "://" in prefix else str(Path(prefix).expanduser().absolute())
            for prefix in value
        )
        if not all(map(location_of, inputs)):
            raise ValueError("write paths, buckets (s3://bucket/people) or URLs, without '..'")
        return inputs


class AuditConfig(StrictModel):
    """The audit log. ``enabled``: False tells of nothing, to measure what it costs. ``keep_days``:
    older rows are pruned; None: they are kept for ever."""

    enabled: bool = True
    keep_days: float | None = Field(None, gt=0)

    @property
    def keep_s(self) -> float | None:
        return None if self.keep_days is None else self.keep_days * 86_400


class ServiceArgs(StrictModel):
    """``pipeline`` is ``face_recognition`` (the embedded default) or the path of a pipeline file;
    ``data_dir`` holds the galleries unless ``database_url`` names another SQLite file or a
    PostgreSQL database, or ``env:NAME`` the environment variable that does, which must then be set;
    ``cache_dir`` the converted models. ``shards``: parts of every gallery,
    each searched by a deployment of its own. ``hosts``: names and addresses by which clients call
    the service, beside those of loopback; ``*``: any, as it is where API keys are asked for and
    none is listed."""

    pipeline: str = "face_recognition"
    data_dir: Path = Path("data")
    cache_dir: Path | None = None
    database_url: str | None = Field(None, repr=False)  # it may hold a password
    shards: int = Field(1, ge=1, le=64)
    hosts: tuple[str, ...] = ()
    index: IndexConfig = IndexConfig()
    snapshots: SnapshotConfig = SnapshotConfig()
    fetch: FetchConfig = FetchConfig()
    limits: Limits = Limits()
    jobs: JobsConfig = JobsConfig()
    access: AccessConfig = AccessConfig()
    encryption: EncryptionConfig = EncryptionConfig()
    audit: AuditConfig = AuditConfig()
    observability: ObservabilityConfig = ObservabilityConfig()

    @field_validator("data_dir", "cache_dir")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        # A replica's working directory need not be the one the file was written for.
        return None if value is None else value.expanduser().absolute()

    @field_validator("database_url")
    @classmethod
    def _absolute_file(cls, value: str | None) -> str | None:
        prefix = "sqlite:///"
        if value is not None and value.startswith(FROM_ENVIRONMENT):
            if not re.fullmatch(r"[A-Za-z_]\w*", value.removeprefix(FROM_ENVIRONMENT)):
                raise ValueError("write env: and the name of an environment variable")
            return value
        if value is None or not value.startswith(prefix) or value.startswith(prefix + "/"):
            return value
        return prefix + quote(str(Path(unquote(value.removeprefix(prefix))).absolute()))


def parse_service_args(args: Mapping[str, Any]) -> ServiceArgs:
    """Raises ConfigError naming each bad key and the nearest known one."""
    return validate(ServiceArgs, args, "args")


def database_url(service: ServiceArgs, environ: Mapping[str, str]) -> str:
    """Where the galleries are: FACE_SERVE_DATABASE_URL, else ``database_url`` of the Serve file,
    else a SQLite file in its data directory.

    Raises ConfigError if the file names a variable that is not set: galleries in a file of one
    node, because a secret is missing, would look like an empty service.
    """
    configured = service.database_url
    if configured is not None and configured.startswith(FROM_ENVIRONMENT):
        name = configured.removeprefix(FROM_ENVIRONMENT)
        if not environ.get(name):
            raise ConfigError(
                f"args.database_url: the environment variable {name} is not set: set it to the "
                "database's URL (on a cluster: from a secret, on the head and on every worker)"
            )
        return environ[name]
    chosen = environ.get("FACE_SERVE_DATABASE_URL") or configured
    # Characters that mean something in a URL, as a path may have them.
    return chosen or f"sqlite:///{quote(str(service.data_dir / 'galleries.db'))}"


def index_names(shards: int) -> list[str]:
    """Names of the Index deployments, one a shard, as the Serve file has them."""
    return ["Index"] if shards == 1 else [f"Index{number}" for number in range(shards)]


def snapshots_url(service: ServiceArgs) -> str:
    return service.snapshots.url or str(service.data_dir / "snapshots")


def default_cache_dir(environ: Mapping[str, str]) -> Path:
    """Where converted models lie: FACE_SERVE_CACHE, else the user's cache directory."""
    if chosen := environ.get("FACE_SERVE_CACHE"):
        return Path(chosen).expanduser().absolute()
    root = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(root).expanduser().absolute() / "face-serve"
