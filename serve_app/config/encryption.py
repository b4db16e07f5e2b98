"""``args.encryption`` of the Serve file: which master keys there are, by where they come from."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, field_validator

from serve_app.config.strict import StrictModel
from serve_app.encryption import MasterKeys, Vault, check_source


class EncryptionConfig(StrictModel):
    """``keys``: sources of master keys, ``file:PATH``, ``env:NAME`` or ``command:PROGRAM
    ARGUMENTS`` (run without a shell), each of which gives 32 bytes in base64. The first wraps new
    data keys, all unwrap. None: nothing is encrypted."""

    keys: tuple[str, ...] = Field((), repr=False)  # a command's arguments may say too much

    @field_validator("keys")
    @classmethod
    def _sources(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(check_source, value))


def open_vault(keys: tuple[str, ...], environ: Mapping[str, str]) -> Vault | None:
    """The vault of these sources, None without any. Raises ConfigError that names the source."""
    return Vault(MasterKeys.read(keys, environ)) if keys else None
