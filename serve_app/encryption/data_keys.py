"""Data keys: what seals a tenant's rows and files. A master key wraps them; deleting them makes
everything that they sealed unreadable, with the master key in hand too."""

from __future__ import annotations

import hmac
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from serve_app.encryption.master import KEY_BYTES, MasterKeys

DIGEST_BYTES = 16
SALT_BYTES = 32


class UnreadableError(Exception):
    """Something is sealed by a key that is not here, or was changed since. Its message tells
    neither what it is nor what it says."""


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A row of the table ``data_key``; ``wrapped_by`` is the master key's id."""

    tenant: str
    version: int
    wrapped: bytes
    wrapped_by: str


class DataKey:
    """One version of a tenant's key. Rows, files and look-ups each have a key derived from it.

    ``rows`` takes a random nonce of 96 bits each time, so it may seal 2**32 rows before two are
    likely (2**-32) to share one; files have keys of their own.
    """

    def __init__(self, tenant: str, version: int, material: bytes) -> None:
        self.tenant = tenant
        self.version = version
        self.rows = AESGCM(_expanded(material, b"face-serve data key: rows"))
        self._files = _expanded(material, b"face-serve data key: files")
        self._digests = _expanded(material, b"face-serve data key: digests")

    def digest(self, owner: bytes, content: bytes) -> bytes:
        """What ``content`` of ``owner`` (a generation, a job) is looked up by, 16 bytes: HMAC, so
        that it tells nothing without the key, and another in every gallery."""
        return hmac.digest(self._digests, owner + b"\0" + content, "sha256")[:DIGEST_BYTES]

    def of_file(self, salt: bytes) -> AESGCM:
        """For one file: ``salt`` is random and no other file's."""
        return AESGCM(HKDF(SHA256(), KEY_BYTES, salt, b"face-serve file").derive(self._files))


@dataclass(frozen=True, slots=True)
class TenantKeys:
    """Every version that a tenant has; the newest seals."""

    versions: dict[int, DataKey]

    @property
    def newest(self) -> DataKey:
        """Raises UnreadableError if there is none."""
        if not self.versions:
            raise UnreadableError("the tenant has no data key")
        return self.versions[max(self.versions)]

    def of(self, version: int) -> DataKey:
        """Raises UnreadableError."""
        found = self.versions.get(version)
        if found is None:
            raise UnreadableError("the data key is not here")
        return found


def new_key(master: MasterKeys, tenant: str, version: int) -> WrappedKey:
    """A random one."""
    return _wrapped(master, tenant, version, os.urandom(KEY_BYTES))


def unwrapped(master: MasterKeys, key: WrappedKey) -> DataKey:
    """Raises UnreadableError."""
    return DataKey(key.tenant, key.version, _material(master, key))


def rewrapped(master: MasterKeys, key: WrappedKey) -> WrappedKey:
    """The same, wrapped by the first master key. Raises UnreadableError."""
    return _wrapped(master, key.tenant, key.version, _material(master, key))


def unreadable(master: MasterKeys, keys: Sequence[WrappedKey]) -> list[WrappedKey]:
    """Those that none of the master keys unwraps."""
    return [
        key
        for key in keys
        if master.unwrap(key.wrapped, key.wrapped_by, _context(key.tenant, key.version)) is None
    ]


def _wrapped(master: MasterKeys, tenant: str, version: int, material: bytes) -> WrappedKey:
    wrapped = master.first.wrap(material, _context(tenant, version))
    return WrappedKey(tenant, version, wrapped, master.first.id)


def _material(master: MasterKeys, key: WrappedKey) -> bytes:
    found = master.unwrap(key.wrapped, key.wrapped_by, _context(key.tenant, key.version))
    if found is None:
        raise UnreadableError("the data key can't be unwrapped")
    return found


def _context(tenant: str, version: int) -> bytes:
    """So that a wrapped key put in another's place opens nothing."""
    return b"face-serve data key\0" + struct.pack("<q", version) + tenant.encode()


def _expanded(material: bytes, purpose: bytes) -> bytes:
    return HKDFExpand(SHA256(), KEY_BYTES, purpose).derive(material)
