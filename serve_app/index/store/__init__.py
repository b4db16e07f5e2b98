"""The truth about galleries: a relational database, one transaction a mutation.

``GalleryStore`` is what others see, with more faces of the same database: ``job_store``,
``people_store``, ``audit_store``, ``access_store``. SQL stays in this package: ``schema`` and
``migrations`` say what there is, ``writing`` what mutations do and ``performing`` a group of them,
``auditing`` what is told of each, ``reading`` what is asked, ``upkeep`` what is kept beside;
``transactions`` runs them, ``engine`` opens SQLite or PostgreSQL.
"""

from serve_app.index.store.engine import sqlite_url
from serve_app.index.store.store import GalleryStore

__all__ = ["GalleryStore", "sqlite_url"]
