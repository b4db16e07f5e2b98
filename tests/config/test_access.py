from __future__ import annotations

import pytest

from serve_app.config import parse_service_args
from serve_app.config.access import AccessConfig, check_access, is_loopback
from serve_app.errors import ConfigError

EVERYWHERE = "0.0.0.0"  # as Serve files have it


def test_no_keys_are_asked_for_unless_the_file_says_so() -> None:
    assert parse_service_args({}).access == AccessConfig(keys=False, anyone=False)
    assert parse_service_args({"access": {"keys": True}}).access.keys
    with pytest.raises(ConfigError, match=r"args\.access\.key is not a known key"):
        parse_service_args({"access": {"key": True}})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", None])
def test_loopback_needs_none(host: str | None) -> None:
    check_access(AccessConfig(), host)


@pytest.mark.parametrize(
    "host", [EVERYWHERE, "::", "192.0.2.7", "10.0.0.1", "face.example", "localhost.example", ""]
)
def test_where_others_reach_it_keys_are_asked_for_or_anyone_is_meant(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(ConfigError, match=r"args\.access.*access\.keys.*access\.anyone"):
        check_access(AccessConfig(), host)
    check_access(AccessConfig(keys=True), host)
    check_access(AccessConfig(anyone=True), host)
