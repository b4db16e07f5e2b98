"""Master keys and data keys for tests."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from serve_app.encryption import MasterKeys, Vault, WrappedKey
from serve_app.encryption.data_keys import DataKey, new_key, unwrapped

FIRST, SECOND = bytes(range(32)), bytes(range(1, 33))


def text(material: bytes) -> str:
    return base64.b64encode(material).decode()


def master(*materials: bytes) -> MasterKeys:
    environ = {f"KEY{n}": text(material) for n, material in enumerate(materials or (FIRST,))}
    return MasterKeys.read([f"env:{name}" for name in environ], environ)


def vault(*materials: bytes, fixed: Sequence[WrappedKey] | None = None) -> Vault:
    return Vault(master(*materials), fixed=fixed)


def data_key(tenant: str = "acme", version: int = 1) -> DataKey:
    keys = master()
    return unwrapped(keys, new_key(keys, tenant, version))
