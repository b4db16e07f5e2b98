"""Queues before the stages: what is sent together, in which order, what is dropped, who is let in.

``batcher`` gathers and sends; ``fair_queue`` is its order; ``drain`` measures how fast it is worked
off; ``admission`` turns new requests away while that takes too long. Knows nothing of Ray, HTTP or
models. Everything runs on one event loop; nothing here blocks it.
"""

from serve_app.batching.admission import Admission, Forecast
from serve_app.batching.batcher import Batcher, BatchEvent, BatchRecord, Dropped
from serve_app.batching.fair_queue import Piece

__all__ = ["Admission", "BatchEvent", "BatchRecord", "Batcher", "Dropped", "Forecast", "Piece"]
