"""The rules of recognition as pure functions: which candidates count, which face is enrolled, what
a gallery may be called, whose embeddings may be mixed.

Owns no state and must not know configuration files, HTTP, models or the index: callers pass plain
values. CONTRACT 1 to 3 is the source of every rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from serve_app.errors import InvalidRequestError, NoFaceError, SeveralFacesError
from serve_app.tenancy import SEPARATOR
from serve_app.types import Box, Candidate, Embeddings, Face, Metric

ThresholdRule = Literal["each", "top1"]
FaceRule = Literal["largest", "single"]

MAX_KEY_LENGTH = 128
MAX_NAME_LENGTH = 2 * MAX_KEY_LENGTH + 1
"""Of a gallery's whole name, TENANT/KEY."""
MAX_TEMPLATE_ID = 2**63 - 1
"""FAISS and the store hold ids as int64; none larger was ever given out."""

_NAME_RULE = (
    f"has 1 to {MAX_KEY_LENGTH} ASCII letters, digits, '.', '_' or '-', starts with a letter or "
    "digit and has no '..'"
)
KEY_RULE = f"a gallery key {_NAME_RULE}"
JOB_ID_RULE = f"a job id {_NAME_RULE}"
TENANT_RULE = f"a tenant's name {_NAME_RULE}"
NAME_PATTERN = r"^[A-Za-z0-9](\.?[A-Za-z0-9_-])*\.?$"
"""The same in the words of JSON schema, but for the length."""
_KEY = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_KEY_LENGTH - 1}}}")


def check_key(key: str) -> None:
    """Refuse gallery keys that could be mistaken for something else in a path, a log or a query.

    Raises InvalidRequestError with the rule, never with the key.
    """
    if not _is_name(key):
        raise InvalidRequestError(KEY_RULE)


def check_name(name: str) -> None:
    """As ``check_key``, of a gallery's whole name as commands take it: KEY or TENANT/KEY."""
    parts = name.split(SEPARATOR, 1)
    if not all(map(_is_name, parts)):
        raise InvalidRequestError(f"a gallery is named KEY or TENANT/KEY: {KEY_RULE}, a tenant too")


def check_tenant(tenant: str) -> None:
    """As ``check_key``, of a tenant's name."""
    if not _is_name(tenant):
        raise InvalidRequestError(TENANT_RULE)


def check_job_id(job_id: str) -> None:
    """As ``check_key``: a job's id names files and processes too."""
    if not _is_name(job_id):
        raise InvalidRequestError(JOB_ID_RULE)


def default_threshold(cosine: float, metric: Metric) -> float:
    """A threshold configured as a cosine, in the terms of ``metric``.

    For unit vectors the squared Euclidean distance is 2 - 2 cos, so the same faces pass.
    """
    return cosine if metric is Metric.IP else 2.0 - 2.0 * cosine


def is_close(score: float, threshold: float, metric: Metric) -> bool:
    """Whether ``score`` is at least as close as ``threshold``, both in the metric's own terms."""
    return score >= threshold if metric is Metric.IP else score <= threshold


def accepted(
    candidates: Sequence[Candidate], threshold: float, metric: Metric, rule: ThresholdRule
) -> list[Candidate]:
    """The candidates (nearest first) that a threshold lets through.

    ``each`` tests every one. ``top1`` tests the nearest and keeps or drops all with it, as PaddleX
    does.
    """
    if rule == "top1":
        near = bool(candidates) and is_close(candidates[0].score, threshold, metric)
        return list(candidates) if near else []
    return [c for c in candidates if is_close(c.score, threshold, metric)]


def face_to_enrol(faces: Sequence[Face], rule: FaceRule) -> Face:
    """The face of an image that becomes a template: the only one, or the largest by area.

    Of equally large ones the first, in the detector's order. Raises NoFaceError; SeveralFacesError
    if ``rule`` is ``single``.
    """
    if not faces:
        raise NoFaceError("no face found: send an image that shows the face larger and sharper")
    if rule == "single" and len(faces) > 1:
        raise SeveralFacesError(
            f"several faces found ({len(faces)}): send an image that shows one person only"
        )
    return max(faces, key=lambda face: _area(face.box))


def removable(ids: Iterable[int]) -> list[int]:
    """The ids that a gallery can hold at all, each once, in their order: others are ignored."""
    return list(dict.fromkeys(i for i in ids if 0 <= i <= MAX_TEMPLATE_ID))


def fits(embeddings: Embeddings, model_id: str) -> bool:
    """Whether embeddings may meet those of ``model_id``, in a search or in one gallery: of the very
    same model, or of its network at another precision where a check said so (docs/decisions/0024).
    """
    return model_id == embeddings.model_id or model_id in embeddings.compatible_with


def _is_name(text: str) -> bool:
    return ".." not in text and _KEY.fullmatch(text) is not None


def _area(box: Box) -> float:
    x1, y1, x2, y2 = box
    return (x2 - x1) * (y2 - y1)
