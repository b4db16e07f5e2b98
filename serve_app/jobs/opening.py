"""The store of a service, for a process that runs its jobs."""

from __future__ import annotations

from collections.abc import Mapping

from serve_app.config import ServiceArgs, database_url, open_vault
from serve_app.index.store import GalleryStore


def open_store(service: ServiceArgs, environ: Mapping[str, str]) -> GalleryStore:
    """With the service's master keys, which are read here. Raises ConfigError; DatabaseAwayError
    where the database's server does not answer."""
    return GalleryStore(
        database_url(service, environ),
        create=False,
        audited=service.audit.enabled,
        vault=open_vault(service.encryption.keys, environ),
    )
