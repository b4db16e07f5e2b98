"""Wrapped data keys in a file of their own, beside a backup that is sealed by them: whoever has
both, and a master key, reads it; whoever destroys this file erases what it opens."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from serve_app.encryption import WrappedKey
from serve_app.errors import ConfigError
from serve_app.index.copies.placing import new_file

FORMAT = "face-serve data keys 1"


def write_keys(file: Path, keys: list[WrappedKey], *, force: bool = False) -> None:
    """Mode 0600. Raises InvalidRequestError if ``file`` exists, unless ``force``."""
    content = {
        "format": FORMAT,
        "keys": [
            {
                "tenant": key.tenant,
                "version": key.version,
                "wrapped": base64.b64encode(key.wrapped).decode(),
                "wrapped_by": key.wrapped_by,
            }
            for key in keys
        ],
    }
    with new_file(file, force=force) as made:
        made.touch(mode=0o600)
        made.write_text(json.dumps(content, indent=1) + "\n")


def read_keys(file: Path) -> list[WrappedKey]:
    """Raises ConfigError that names the file."""
    try:
        content = json.loads(file.read_bytes())
        if content["format"] != FORMAT:
            raise ValueError("another format")
        return [
            WrappedKey(
                str(key["tenant"]),
                int(key["version"]),
                base64.b64decode(key["wrapped"], validate=True),
                str(key["wrapped_by"]),
            )
            for key in content["keys"]
        ]
    except OSError as error:
        raise ConfigError(f"{file.name} can't be read ({type(error).__name__})") from None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"{file.name} is no file of data keys") from None
