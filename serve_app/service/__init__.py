"""The online driver: identify, build, add and remove over the three ports.

``recognition`` is the service; ``enrolment`` makes templates of images and labels; ``embedding``
makes vectors of crops; ``concurrency`` bounds what one request has under way. Knows ports, types,
errors, policy and the pipeline's configuration; must not know HTTP, Ray, models or FAISS.
"""

from serve_app.service.concurrency import in_flight
from serve_app.service.enrolment import Pair, Rejection
from serve_app.service.recognition import Enrolment, Recognition, RecognitionService

__all__ = [
    "Enrolment",
    "Pair",
    "Recognition",
    "RecognitionService",
    "Rejection",
    "in_flight",
]
