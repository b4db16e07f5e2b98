"""The seam to a model runtime: arrays in, arrays out.

The only package that runs Paddle Inference, ONNX Runtime or OpenVINO, and imports only the one that
is used: Paddle's import alone takes three seconds.
"""

from serve_app.models.runtime.opening import is_installed, open_session
from serve_app.models.runtime.session import Session, Tensors

__all__ = ["Session", "Tensors", "is_installed", "open_session"]
