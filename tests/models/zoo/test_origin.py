from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.errors import ConfigError
from serve_app.models.zoo.origin import OFFICIAL, VARIABLE, origin


def test_the_official_host_unless_something_is_said() -> None:
    assert origin(None, {}) == OFFICIAL
    assert origin("", {VARIABLE: ""}) == OFFICIAL
    assert OFFICIAL.startswith("https://")
    assert OFFICIAL.endswith("/paddle3.0.0")


def test_the_option_goes_before_the_variable() -> None:
    environ = {VARIABLE: "http://inside.example/models/"}
    assert origin(None, environ) == "http://inside.example/models"
    assert origin("mirror", environ) == Path("mirror")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://inside.example:8443/a%20b/", "https://inside.example:8443/a%20b"),
        ("file:///srv/a%20b", Path("/srv/a b")),
        ("file://localhost/srv", Path("/srv")),
        ("./here", Path("here")),
        ("C:\\models", Path("C:\\models")),
    ],
)
def test_forms(text: str, expected: str | Path) -> None:
    assert origin(text, {}) == expected


def test_the_users_home() -> None:
    assert origin("~/models", {}) == Path("~/models").expanduser()


@pytest.mark.parametrize(
    "text", ["ftp://inside.example/x", "file://elsewhere/srv", "http:///x", "s3://bucket/x"]
)
def test_others_are_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ConfigError, match="write http") as caught:
        origin(text, {})
    assert text not in str(caught.value)
    with pytest.raises(ConfigError, match="check it"):
        origin("http://[half", {})
