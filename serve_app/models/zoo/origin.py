"""Where the official archives come from: Baidu's host, or a mirror inside a closed network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from serve_app.errors import ConfigError

OFFICIAL = "https://paddle-model-ecology.bj.bcebos.com/paddlex/official_inference_model/paddle3.0.0"
VARIABLE = "FACE_SERVE_MODEL_MIRROR"

Origin = str | Path
"""A URL without a slash at its end, or a directory; archives lie directly below either."""


def origin(mirror: str | None, environ: Mapping[str, str]) -> Origin:
    """``mirror``, else what FACE_SERVE_MODEL_MIRROR names, else the official host.

    A mirror is ``http(s)://...``, ``file:///...`` or a directory. Raises ConfigError for others.
    """
    chosen = mirror or environ.get(VARIABLE)
    if not chosen:
        return OFFICIAL
    if "://" not in chosen:
        return Path(chosen).expanduser()
    try:
        parts = urlsplit(chosen)
    except ValueError:
        raise ConfigError("mirror: the URL can't be read; check it") from None
    if parts.scheme in ("http", "https") and parts.hostname:
        return chosen.rstrip("/")
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(url2pathname(parts.path))
    raise ConfigError("mirror: write http://..., https://..., file:///... or a directory")
