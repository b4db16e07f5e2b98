"""Drawing: how an answer looks. Knows nothing of models, galleries, files or HTTP."""

from serve_app.drawing.picture import draw

__all__ = ["draw"]
