"""Every error a caller can see, with a stable code.

``api.errors`` maps each code to an HTTP status; a test checks that none is missing. Messages say
what to do and never hold a path, an address, a traceback or biometric data.

Errors cross process boundaries, so every class takes exactly one message argument: others fail to
unpickle.
"""

from __future__ import annotations

import math
from typing import ClassVar, Self


class FaceServeError(Exception):
    """Base of all. Raised itself only for what nobody foresaw."""

    code: ClassVar[str] = "internal"

    def __init__(self, message: str = "internal error") -> None:
        super().__init__(message)


class InvalidRequestError(FaceServeError):
    """A field is missing, of the wrong type or out of range."""

    code = "invalid_request"


class InvalidImageError(FaceServeError):
    """The bytes are not an image that can be decoded whole."""

    code = "invalid_image"


class NoFaceError(FaceServeError):
    """An image to enrol shows no face."""

    code = "no_face"


class SeveralFacesError(FaceServeError):
    """An image to enrol shows several faces and the pipeline asks for a single one."""

    code = "several_faces"


class FetchError(FaceServeError):
    """An image URL may not be read, or could not be."""

    code = "fetch_failed"


class RejectedPairsError(FaceServeError):
    """Some image-label pairs can't be enrolled; none of the list was."""

    code = "rejected_pairs"


class TooLargeError(FaceServeError):
    """A body, an image or a list is over its limit."""

    code = "too_large"


class UnsupportedEncodingError(FaceServeError):
    """The request's body is compressed."""

    code = "unsupported_encoding"


class MisdirectedError(FaceServeError):
    """The request names a host that this service does not answer for."""

    code = "misdirected"


class SlowClientError(FaceServeError):
    """The request's body did not arrive in time."""

    code = "slow_client"


class GalleryNotFoundError(FaceServeError):
    code = "gallery_not_found"


class GalleryExistsError(FaceServeError):
    code = "gallery_exists"


class GalleryMismatchError(FaceServeError):
    """Embeddings of one model were offered to a gallery of another. The message names both."""

    code = "gallery_mismatch"


class OperationReusedError(FaceServeError):
    """An idempotency key came with another request than the one it was first used for."""

    code = "operation_reused"


class JobNotFoundError(FaceServeError):
    code = "job_not_found"


class JobConflictError(FaceServeError):
    """The job is run by another process, or is not the one that it was."""

    code = "job_conflict"


class JobChangedError(JobConflictError):
    """What the job was begun with is not what is there now: its input, or the model. What it staged
    is kept, for when it is again."""

    code = "job_changed"


class JobLostError(FaceServeError):
    """This process runs the job no more: it was cancelled, or another has taken it over."""

    code = "job_lost"


class OverloadedError(FaceServeError):
    """A queue is full or too slow. ``retry_after_s``: seconds until trying again may help."""

    code = "overloaded"
    retry_after_s: float = 1.0

    @classmethod
    def after(cls, reason: str, seconds: float) -> Self:
        """At most a minute is advised. Attributes travel along when it is pickled."""
        seconds = min(seconds, 60.0)
        error = cls(f"{reason}: try again in {max(1, math.ceil(seconds))} s")
        error.retry_after_s = seconds
        return error


class QuotaError(OverloadedError):
    """A key or its tenant has used up what it may."""

    code = "quota_exceeded"


class KeyNotFoundError(FaceServeError):
    """No API key of this id."""

    code = "key_not_found"


class UnauthorizedError(FaceServeError):
    """No API key, or none that opens anything."""

    code = "unauthorized"


class ForbiddenError(FaceServeError):
    """The API key's scopes don't cover what was asked."""

    code = "forbidden"


class UnavailableError(FaceServeError):
    """A stage does not answer."""

    code = "unavailable"


class DeadlineExceededError(FaceServeError):
    code = "deadline_exceeded"


class ConfigError(FaceServeError):
    """The configuration can't work. Raised at start, never while serving."""

    code = "invalid_config"


class DatabaseAwayError(ConfigError):
    """The database's server does not answer: perhaps it will, perhaps its URL is wrong."""

    code = "database_away"


class NewerSchemaError(ConfigError):
    """The database was written by a newer version."""

    code = "newer_schema"


class ModelError(FaceServeError):
    """A model's files are missing, of another digest, or don't fit the pipeline."""

    code = "invalid_model"
