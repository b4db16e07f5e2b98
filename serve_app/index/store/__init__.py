"""The truth about galleries: a relational database, one transaction a mutation.

``GalleryStore`` is all that others see. SQL stays in this package: ``schema`` and ``migrations``
say what there is, ``writing`` what mutations do, ``reading`` what is asked, ``upkeep`` what is kept
beside; ``transactions`` runs them, ``engine`` opens SQLite or PostgreSQL.
"""

from serve_app.index.store.engine import sqlite_url
from serve_app.index.store.store import GalleryStore

__all__ = ["GalleryStore", "sqlite_url"]
