"""What a bulk job is asked: by HTTP, by the command line, by a script."""

from __future__ import annotations

import hashlib
import json
import re
from decimal import Decimal
from typing import Literal

from pydantic import Field, field_validator

from serve_app.config.strict import StrictModel
from serve_app.policy import MAX_NAME_LENGTH
from serve_app.types import JobMode, Metric

_ROWS = re.compile(r"[0-9]{1,18}")
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?) ?%")

InputKind = Literal["auto", "annotation", "directory", "table", "embeddings"]


class JobRequest(StrictModel):
    """``input``: a path or URL (``s3://``, ``gs://``, http(s)) of an annotation file or the
    directory that holds ``gallery.txt``, a directory with a folder for each identity, or a table
    (CSV, Parquet, or a directory of Parquet files); ``root``: where its relative paths begin, left
    out, where the input lies. ``model_id``: of ready embeddings. ``pipeline``: a pipeline file;
    left out, the service's.

    ``index_type``: left out, that of the gallery that is replaced, else Flat up to 100,000 rows and
    HNSW32 above; ``metric``: likewise, else IP. ``max_rejected``: of the input, a number of rows
    ("100") or a share ("5%"); with more the job fails; ``fail_fast``: with the first.
    ``duplicates``: whether an image that comes again with the same label is enrolled again.
    ``same_face``: report faces that are at least so close (cosine) under different labels.
    ``keep_sources``: keep where each image was, so that the gallery can be embedded anew.
    ``in_place_of``: ``GENERATION@SEQ``, the gallery as it was when its images were listed: what was
    removed from it since stays removed, and if anything was added the job fails. ``report``: path
    or URL of the Parquet file of what became of each row.
    """

    key: str = Field(min_length=1, max_length=MAX_NAME_LENGTH)
    input: str = Field(min_length=1, max_length=4096)
    mode: JobMode = JobMode.CREATE
    kind: InputKind = "auto"
    root: str | None = None
    model_id: str | None = None
    pipeline: str | None = None
    index_type: str | None = None
    metric: Metric | None = None
    max_rejected: str | None = None
    fail_fast: bool = False
    duplicates: Literal["keep", "skip"] = "keep"
    same_face: float | None = Field(None, ge=-1, le=1)
    keep_sources: bool = False
    in_place_of: str | None = Field(None, pattern=r"^[0-9a-f]{32}@[0-9]{1,18}$")
    report: str | None = None

    @field_validator("max_rejected")
    @classmethod
    def _share(cls, value: str | None) -> str | None:
        if value is not None:
            rejected_limit(value, 100)
        return value

    def text(self) -> str:
        """As it is kept with the job: JSON. Holds no secrets: credentials come from the
        environment of the cluster."""
        return self.model_dump_json(exclude_defaults=True)

    def digest(self) -> str:
        """The same for the same request. What only limits or reports may change between runs."""
        free = {"max_rejected", "fail_fast", "report", "same_face"}
        facts = json.loads(self.model_dump_json(exclude=free))
        facts["metric"] = facts["metric"] or Metric.IP  # once its default: jobs then begun go on
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def rejected_limit(text: str, total: int) -> int:
    """How many of ``total`` rows may be rejected: "100" or "5%". Raises ValueError."""
    text = text.strip()
    if _ROWS.fullmatch(text):
        return int(text)
    share = _SHARE.fullmatch(text)
    if share is None:
        raise ValueError("write a whole number of rows such as 100, or a share such as 5%")
    if (percent := Decimal(share[1])) > 100:
        raise ValueError("a share is 0% to 100%")
    return int(total * percent / 100)
