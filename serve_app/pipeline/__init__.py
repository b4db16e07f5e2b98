"""The in-process driver: the same stages that the service runs, in the calling process, no Ray.

``from serve_app import create_pipeline`` is its front door.
"""

from serve_app.pipeline.stages import FacePipeline, open_pipeline

__all__ = ["FacePipeline", "open_pipeline"]
