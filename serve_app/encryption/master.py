"""Master keys: where they come from, and wrapping data keys with them.

What travels through configuration, Ray and process boundaries is a source's text; the key is read
where it is used, and is in no message.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from serve_app.errors import ConfigError

FILE, ENVIRONMENT, COMMAND = "file:", "env:", "command:"
FORMS = "write file:PATH, env:NAME or command:PROGRAM ARGUMENTS"
KEY_BYTES = 32
NONCE_BYTES = 12
ID_BYTES = 8
COMMAND_TIMEOUT_S = 30.0
MOST_BYTES = 4096
"""Of what a source gives; a key takes 44."""

WHERE = "args.encryption.keys"


def check_source(text: str) -> str:
    """``text`` if it has one of the forms; a file's path made absolute. Raises ValueError."""
    if text.startswith(FILE) and text != FILE:
        return FILE + str(Path(text.removeprefix(FILE)).expanduser().absolute())
    if text.startswith(ENVIRONMENT) and re.fullmatch(
        r"[A-Za-z_]\w*", text.removeprefix(ENVIRONMENT)
    ):
        return text
    if text.startswith(COMMAND):
        try:
            if shlex.split(text.removeprefix(COMMAND)):
                return text
        except ValueError:  # a quotation that does not end
            pass
    raise ValueError(FORMS)


class MasterKey:
    """32 bytes that wrap data keys. ``id`` names it and tells nothing of it."""

    def __init__(self, material: bytes) -> None:
        self.id = _derived(material, b"face-serve master key: id", ID_BYTES).hex()
        self._wrapping = AESGCM(_derived(material, b"face-serve master key: wrapping", KEY_BYTES))

    def wrap(self, material: bytes, context: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._wrapping.encrypt(nonce, material, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes | None:
        """None if it was not wrapped by this key, for this context."""
        try:
            return self._wrapping.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], context)
        except (InvalidTag, ValueError):
            return None


class MasterKeys:
    """The first wraps; all unwrap."""

    def __init__(self, keys: Sequence[MasterKey]) -> None:
        if not keys:
            raise ValueError("there is no master key")
        self._keys = {key.id: key for key in reversed(keys)}
        self.first = keys[0]

    @classmethod
    def read(cls, sources: Sequence[str], environ: Mapping[str, str]) -> MasterKeys:
        """Raises ConfigError that names the source's place in the configuration."""
        return cls(
            [
                MasterKey(_decoded(_content(source, environ, at), at))
                for source, at in ((each, f"{WHERE}[{n}]") for n, each in enumerate(sources))
            ]
        )

    @property
    def ids(self) -> list[str]:
        return list(self._keys)

    def unwrap(self, wrapped: bytes, by: str, context: bytes) -> bytes | None:
        """None if the key ``by`` is not here, or it was changed."""
        key = self._keys.get(by)
        return None if key is None else key.unwrap(wrapped, context)


def _derived(material: bytes, purpose: bytes, length: int) -> bytes:
    return HKDFExpand(SHA256(), length, purpose).derive(material)


def _content(source: str, environ: Mapping[str, str], at: str) -> bytes:
    kind, _, rest = source.partition(":")
    match kind + ":":
        case "file:":
            return _from_file(Path(rest), at)
        case "env:":
            if not environ.get(rest):
                raise ConfigError(
                    f"{at}: the environment variable {rest} is not set: set it to 32 bytes in "
                    "base64 (on a cluster: from a secret, on every node)"
                )
            return environ[rest].encode()
        case "command:":
            return _from_command(shlex.split(rest), environ, at)
    raise ConfigError(f"{at}: {FORMS}")


def _from_file(file: Path, at: str) -> bytes:
    try:
        with file.open("rb") as content:
            return content.read(MOST_BYTES)
    except OSError as error:
        raise ConfigError(
            f"{at}: the file {file.name} can't be read ({type(error).__name__})"
        ) from None


def _from_command(command: list[str], environ: Mapping[str, str], at: str) -> bytes:
    """Its standard error is shown nowhere: a key manager's may hold anything."""
    program = Path(command[0]).name
    try:
        done = subprocess.run(  # nosec B603 # the operator's own, without a shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(f"{at}: {program} did not answer in {COMMAND_TIMEOUT_S:.0f} s") from None
    except OSError as error:
        raise ConfigError(f"{at}: {program} can't be run ({type(error).__name__})") from None
    if done.returncode:
        raise ConfigError(f"{at}: {program} failed (exit code {done.returncode})")
    return done.stdout[:MOST_BYTES]


def _decoded(content: bytes, at: str) -> bytes:
    try:
        material = base64.b64decode(content.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"{at}: is not base64: `openssl rand -base64 32` makes a key") from None
    if len(material) != KEY_BYTES:
        raise ConfigError(f"{at}: has {len(material)} bytes instead of {KEY_BYTES}")
    return material
