from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from serve_app.config import (
    ObservabilityConfig,
    TracingConfig,
    check_observability,
    observability,
    parse_service_args,
)
from serve_app.errors import ConfigError


def test_metrics_are_on_and_the_rest_is_off() -> None:
    config = parse_service_args({}).observability
    assert (config.metrics.enabled, config.request_log, config.tracing.exporter) == (
        True, False, "none",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"tracing": {"exporter": "jaeger"}}, "args.observability.tracing.exporter"),
        ({"tracing": {"sample_ratio": 2}}, "args.observability.tracing.sample_ratio"),
        ({"tracing": {"exporter": "file"}}, "path belongs to exporter: file"),
        ({"tracing": {"path": "/tmp/x"}}, "path belongs to exporter: file"),
        ({"tracing": {"endpoint": "http://x"}}, "endpoint belongs to exporter: otlp"),
        ({"metrics": {"intervals": 5}}, "did you mean interval_s?"),
        ({"metrics": {"interval_s": 0.1}}, "args.observability.metrics.interval_s"),
        ({"request_logs": True}, "did you mean request_log?"),
    ],
)
def test_what_can_not_work_is_refused_by_its_key(given: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_service_args({"observability": given})
    assert key in str(refused.value)


def test_paths_are_absolute_and_an_endpoint_is_not_shown(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    config = TracingConfig(exporter="file", path=Path("traces"))
    assert config.path == tmp_path / "traces"
    assert "secret" not in repr(TracingConfig(exporter="otlp", endpoint="http://secret@x"))


def test_an_exporter_that_is_not_installed_is_refused(monkeypatch: Any) -> None:
    config = ObservabilityConfig(tracing=TracingConfig(exporter="otlp"))
    for missing in ("opentelemetry.nothing", "nothing"):
        monkeypatch.setattr(observability, "OTLP_MODULE", missing)
        with pytest.raises(ConfigError, match=r"tracing\.exporter: otlp .* the extra otlp"):
            check_observability(config)
    check_observability(ObservabilityConfig())
