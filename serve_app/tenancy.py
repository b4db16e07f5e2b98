"""Whose a gallery or a job is, told by its name: ``TENANT/KEY``, or the key alone for the default
tenant.

Below the services every name is whole, so what belongs to another tenant is another name: nothing
has to be remembered to keep them apart (docs/decisions/0035). A key that a user gives never has a
slash (``policy.KEY_RULE``).
"""

from __future__ import annotations

DEFAULT = ""
"""The tenant of a service without API keys, and of keys that were made for no other."""
SEPARATOR = "/"


def owned(tenant: str, key: str) -> str:
    """The whole name of ``key`` of ``tenant``."""
    return f"{tenant}{SEPARATOR}{key}" if tenant else key


def tenant_of(name: str) -> str:
    """Whose ``name`` is. (A prefix of the store's own, as in ``previous:TENANT/KEY``, is not the
    tenant's: it ends with a colon, which no tenant's name has.)"""
    tenant, found, _ = name.rpartition(":")[2].partition(SEPARATOR)
    return tenant if found else DEFAULT


def bare(name: str) -> str:
    """``name`` as its tenant knows it."""
    return name.partition(SEPARATOR)[2] if SEPARATOR in name else name
