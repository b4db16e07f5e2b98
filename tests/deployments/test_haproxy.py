from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ray.serve._private.haproxy_templates import HAPROXY_CONFIG_TEMPLATE

from serve_app.api.client_address import HEADER
from serve_app.deployments.haproxy import HEADER_TIMEOUT, LOG_FORMAT, harden, proxy_proof

RENDERED = """global
    stats socket /tmp/admin.sock mode 666 level admin expose-fd listeners
    maxconn 4096
defaults
    mode http
    option log-health-checks
    log global
    option httplog
frontend prometheus
    bind :9101
    mode http
frontend http_frontend
    bind 0.0.0.0:8080
    default_backend face
backend face
    server replica 127.0.0.1:8081
listen stats
  bind *:8404
  stats enable
"""

PROOF = "5f" * 32
TOKEN = "0123456789abcdef" * 4


def filled(template: str) -> str:
    for name, value in (
        ("metrics_port", "9101"),
        ("stats_port", "8404"),
        ("frontend_host", "0.0.0.0"),
        ("frontend_port", "8080"),
    ):
        template = template.replace(f"{{{{ config.{name} }}}}", value)
    return template


HAPROXY_CONFIG_TEMPLATE_FILLED = filled(HAPROXY_CONFIG_TEMPLATE)


def test_side_listeners_move_to_loopback_and_nothing_else_does() -> None:
    hardened = harden(RENDERED)
    assert re.findall(r"bind (\S+)", hardened) == [
        "127.0.0.1:9101",
        "0.0.0.0:8080",
        "127.0.0.1:8404",
    ]
    assert hardened.count(HEADER_TIMEOUT) == 1


def test_no_path_and_no_client_is_logged() -> None:
    assert "httplog" not in harden(RENDERED)
    assert harden(RENDERED).count(LOG_FORMAT) == 1
    assert not {"%r", "%HU", "%HP", "%ci", "%{+Q}r"} & set(LOG_FORMAT.replace('"', " ").split())


def test_is_idempotent() -> None:
    assert harden(harden(RENDERED)) == harden(RENDERED)
    assert harden(harden(RENDERED, PROOF), PROOF) == harden(RENDERED, PROOF)


def test_rays_own_socket_is_for_its_user_alone() -> None:
    assert "mode 600 level admin expose-fd" in harden(RENDERED)
    assert "mode 666" not in harden(HAPROXY_CONFIG_TEMPLATE_FILLED)
    assert "mode 600" in harden(HAPROXY_CONFIG_TEMPLATE_FILLED)


def test_a_client_writes_no_address() -> None:
    """Who wrote it is tried with HAProxy itself (test_smuggling)."""
    assert f'http-request set-header {HEADER} "%[src] {PROOF}"' in harden(RENDERED, PROOF)
    assert f"http-request del-header {HEADER}" in harden(RENDERED)


def test_the_proof_is_of_rays_token_and_does_not_tell_it(tmp_path: Path) -> None:
    file = tmp_path / "auth_token"
    file.write_text("token\n", encoding="utf-8")
    by_value = proxy_proof({"RAY_AUTH_TOKEN": "token"})
    assert by_value == proxy_proof({"RAY_AUTH_TOKEN_PATH": str(file)})
    assert re.fullmatch("[0-9a-f]{64}", by_value or "")
    assert by_value != proxy_proof({"RAY_AUTH_TOKEN": "another"})
    for none in ({}, {"RAY_AUTH_TOKEN": ""}, {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "nowhere")}):
        assert proxy_proof(none) is None
    file.write_text(" \n", encoding="utf-8")
    assert proxy_proof({"RAY_AUTH_TOKEN_PATH": str(file)}) is None


@pytest.mark.parametrize(
    ("line", "other"),
    [
        ("    bind :9101", "    bind :9101 v4v6"),
        ("  bind *:8404", "  bind 0.0.0.0:8404"),
        ("listen stats", "listen statistics"),
        ("defaults\n    mode http", "defaults web\n    mode http"),
        ("option httplog", "option httplog clf"),
        ("frontend http_frontend", "frontend http"),
        ("    bind 0.0.0.0:8080", "    bind 0.0.0.0:8080 ssl"),
    ],
)
def test_refuses_a_template_that_it_does_not_know(line: str, other: str) -> None:
    with pytest.raises(ValueError, match="no "):
        harden(RENDERED.replace(line, other))


def test_rays_template_still_looks_so() -> None:
    hardened = harden(HAPROXY_CONFIG_TEMPLATE_FILLED)
    assert "frontend prometheus\n    bind 127.0.0.1:9101" in hardened
    assert "listen stats\n  bind 127.0.0.1:8404" in hardened


def test_ray_opens_no_listener_that_is_not_known_here() -> None:
    """Those of the requests have hosts of their own in the Serve file, the others are hardened."""
    assert re.findall(r"^\s*bind (\S+(?: \S+ }})?\S*)", HAPROXY_CONFIG_TEMPLATE, re.M) == [
        ":{{ config.metrics_port }}",
        "{{ config.frontend_host }}:{{",
        "{{ config.grpc_frontend_host }}:{{",
        "*:{{ config.stats_port }}",
    ]


def start(file: Path) -> subprocess.CompletedProcess[str]:
    """The program as Ray starts it, but only to check (-c) the file."""
    program = Path(sys.executable).parent / "face-serve-haproxy"
    environment = os.environ | {
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(program),
        "RAY_AUTH_TOKEN": TOKEN,
    }
    return subprocess.run(
        [program, "-c", "-f", file],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_program_hardens_the_file_and_becomes_haproxy(tmp_path: Path) -> None:
    file = tmp_path / "haproxy.cfg"
    file.write_text(RENDERED)
    checked = start(file)
    assert checked.returncode == 0, checked.stderr
    assert file.read_text() == harden(RENDERED, proxy_proof({"RAY_AUTH_TOKEN": TOKEN}))
    assert file.stat().st_mode & 0o777 == 0o600
    assert TOKEN not in file.read_text()


def test_the_program_refuses_to_start_with_an_unknown_file(tmp_path: Path) -> None:
    file = tmp_path / "haproxy.cfg"
    unknown = RENDERED.replace("listen stats", "listen statistics")
    file.write_text(unknown)
    checked = start(file)
    assert checked.returncode == 1
    assert checked.stderr == (
        "face-serve-haproxy: this Ray's HAProxy template is not known: "
        "no bind line under 'listen stats'\n"
    )
    assert file.read_text() == unknown
