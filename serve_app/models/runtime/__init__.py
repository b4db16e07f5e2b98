"""The seam to a model runtime: arrays in, arrays out.

The only package that runs Paddle Inference, ONNX Runtime or OpenVINO, and imports only the one that
is used: Paddle's import alone takes three seconds.
"""

from serve_app.models.runtime.opening import RUNTIMES, is_installed, open_session, runs_on
from serve_app.models.runtime.session import Session, Tensors, memory_of

__all__ = ["RUNTIMES", "Session", "Tensors", "is_installed", "memory_of", "open_session", "runs_on"]
