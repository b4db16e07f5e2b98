"""What the service tells of itself: metrics, traces, a log line for each request."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from serve_app.config.strict import StrictModel
from serve_app.errors import ConfigError

OTLP_MODULE = "opentelemetry.exporter.otlp"


class MetricsConfig(StrictModel):
    """Through Ray's exporter. ``interval_s``: seconds between two looks at what is not counted but
    measured (queues, galleries, lag). ``largest``: so many of the largest galleries are told by
    their rank; keys are no label, as nothing bounds how many there are."""

    enabled: bool = True
    interval_s: float = Field(10, ge=1)
    largest: int = Field(10, ge=0, le=100)


class TracingConfig(StrictModel):
    """OpenTelemetry spans. ``exporter``: ``otlp`` sends them to ``endpoint`` (a collector's
    ``http://HOST:4318/v1/traces``; left out, the environment variables of OpenTelemetry say where),
    ``console`` writes them to the replica's output, ``file`` to a file for each process in the
    directory ``path``. ``sample_ratio``: of the requests that come without a ``traceparent``; one
    that has it says itself whether it is sampled."""

    exporter: Literal["none", "otlp", "console", "file"] = "none"
    endpoint: str | None = Field(None, repr=False)  # it may hold credentials
    path: Path | None = None
    sample_ratio: float = Field(0.01, ge=0, le=1)

    @field_validator("path")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if (self.exporter == "file") != (self.path is not None):
            raise ValueError("path belongs to exporter: file, which needs it")
        if self.endpoint is not None and self.exporter != "otlp":
            raise ValueError("endpoint belongs to exporter: otlp")
        return self


class ObservabilityConfig(StrictModel):
    """``request_log``: one JSON line for each answer, in the output of the API's replicas."""

    metrics: MetricsConfig = MetricsConfig()
    tracing: TracingConfig = TracingConfig()
    request_log: bool = False


def check_observability(config: ObservabilityConfig) -> None:
    """Raises ConfigError for an exporter that is not installed."""
    if config.tracing.exporter == "otlp" and not _is_installed(OTLP_MODULE):
        raise ConfigError(
            "args.observability.tracing.exporter: otlp needs a package that is not installed: "
            "install the extra otlp, on every node"
        )


def _is_installed(module: str) -> bool:
    try:
        return find_spec(f"{module}.proto.http") is not None
    except ModuleNotFoundError:  # of what it is part of
        return False
