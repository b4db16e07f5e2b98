"""Face recognition as a Ray Serve deployment graph, and in the calling process.

The folder order is the order of a request: ``api`` takes it, ``service`` runs it through the three
ports, ``models`` and ``index`` do the work, ``deployments`` put each stage on Ray. ``pipeline`` is
the same without Ray: ``from serve_app import create_pipeline``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from serve_app.index.index_data import IndexData
    from serve_app.pipeline.create import create_pipeline

__all__ = ["IndexData", "create_pipeline"]


def __getattr__(name: str) -> Any:
    """Networks, OpenCV and FAISS are imported when they are asked for: a replica of the API, and
    ``face-serve --help``, need none of them."""
    if name == "create_pipeline":
        from serve_app.pipeline.create import create_pipeline

        return create_pipeline
    if name == "IndexData":
        from serve_app.index.index_data import IndexData

        return IndexData
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
