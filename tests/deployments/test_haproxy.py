from __future__ import annotations

import re

import pytest
from ray.serve._private.haproxy_templates import HAPROXY_CONFIG_TEMPLATE

from serve_app.deployments.haproxy import HEADER_TIMEOUT, harden

RENDERED = """global
    maxconn 4096
defaults
    mode http
    option log-health-checks
frontend prometheus
    bind :9101
    mode http
frontend http_frontend
    bind 0.0.0.0:8080
listen stats
  bind *:8404
  stats enable
"""


def test_side_listeners_move_to_loopback_and_nothing_else_does() -> None:
    hardened = harden(RENDERED)
    assert re.findall(r"bind (\S+)", hardened) == [
        "127.0.0.1:9101",
        "0.0.0.0:8080",
        "127.0.0.1:8404",
    ]
    assert hardened.count(HEADER_TIMEOUT) == 1


def test_is_idempotent() -> None:
    assert harden(harden(RENDERED)) == harden(RENDERED)


@pytest.mark.parametrize(
    ("line", "other"),
    [
        ("    bind :9101", "    bind :9101 v4v6"),
        ("  bind *:8404", "  bind 0.0.0.0:8404"),
        ("listen stats", "listen statistics"),
        ("defaults\n    mode http", "defaults web\n    mode http"),
    ],
)
def test_refuses_a_template_that_it_does_not_know(line: str, other: str) -> None:
    with pytest.raises(ValueError, match="no "):
        harden(RENDERED.replace(line, other))


def test_rays_template_still_looks_so() -> None:
    filled = HAPROXY_CONFIG_TEMPLATE.replace("{{ config.metrics_port }}", "9101").replace(
        "{{ config.stats_port }}", "8404"
    )
    hardened = harden(filled)
    assert "frontend prometheus\n    bind 127.0.0.1:9101" in hardened
    assert "listen stats\n  bind 127.0.0.1:8404" in hardened
