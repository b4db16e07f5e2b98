"""Encryption at rest: who may read what lies in the database and in snapshots (docs/encryption.md).

``master`` gets the master keys from where the configuration says, ``data_keys`` are what they wrap,
one a tenant and version; ``pairs`` seals rows, ``files`` whole files; ``vault`` keeps unwrapped
keys for seconds. Nothing here knows the database.
"""

from serve_app.encryption.data_keys import DataKey, TenantKeys, UnreadableError, WrappedKey
from serve_app.encryption.master import MasterKeys, check_source
from serve_app.encryption.vault import Vault

__all__ = [
    "DataKey",
    "MasterKeys",
    "TenantKeys",
    "UnreadableError",
    "Vault",
    "WrappedKey",
    "check_source",
]
