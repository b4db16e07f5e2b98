from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from serve_app.api.job_schemas import JobBody, JobPath, RejectedQuery
from serve_app.types import JobMode

LEAST = {"key": "staff", "input": "/photos"}


def body(**fields: Any) -> JobBody:
    return JobBody.model_validate_json(json.dumps({**LEAST, **fields}))


def test_what_is_left_out() -> None:
    least = body()
    assert (least.mode, least.kind, least.metric_type) == (JobMode.CREATE, "auto", None)
    assert (least.duplicates, least.fail_fast, least.keep_sources) == ("keep", False, False)
    left_out = (least.root, least.job_id, least.max_rejected, least.same_face, least.index_type)
    assert left_out == (None,) * 5


@pytest.mark.parametrize(
    ("given", "kept"), [("5%", "5%"), ("100", "100"), (100, "100"), ("0.5%", "0.5%"), (0, "0")]
)
def test_rows_or_a_share_may_be_rejected(given: str | int, kept: str) -> None:
    assert body(maxRejected=given).max_rejected == kept


WRONG: list[tuple[str, Any]] = [
    *(("maxRejected", v) for v in ("101%", "-1", "1.5", "inf", "nan%", "1e999", "", True, [5], -1)),
    *(("maxRejected", v) for v in ("9" * 400, "5 %", "٥", 1.5)),
    *(("input", v) for v in ("", "x" * 4097, 5, None, ["/photos"])),
    *(("key", v) for v in ("../a", "", None, 7)),
    *(("jobId", v) for v in ("../a", "", "a/b", "x" * 129, 7)),
    *(("mode", v) for v in ("drop", "CREATE", None)),
    *(("kind", v) for v in ("pickle", 1)),
    *(("sameFace", v) for v in (1.1, -2, "close")),
    *(("duplicates", v) for v in ("drop", True)),
    *(("metricType", v) for v in ("cosine",)),
    *(("failFast", v) for v in ("perhaps", 2)),
    ("indexType", "a\n"),
    ("root", ""),
    ("modelId", "x" * 257),
]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_wrong_values_are_refused_at_their_place(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        body(**{field: value})
    assert {problem["loc"][0] for problem in caught.value.errors()} == {field}


@pytest.mark.parametrize("field", ["report", "pipeline", "max_rejected", "maxRejcted", "secret"])
def test_unknown_fields_are_refused_and_not_repeated(field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        body(**{field: "5"})
    (problem,) = caught.value.errors()
    assert problem["loc"] == ()
    assert "maxRejected" in problem["msg"]
    assert field not in problem["msg"]


@pytest.mark.parametrize("job_id", ["..", "a b", "\0", "x" * 129, ""])
def test_what_is_no_job_id(job_id: str) -> None:
    with pytest.raises(ValidationError):
        JobPath.model_validate({"id": job_id})


@pytest.mark.parametrize("after", ["-1", "x", str(2**63), "1.5"])
def test_what_is_no_position(after: str) -> None:
    with pytest.raises(ValidationError):
        RejectedQuery.model_validate({"after": after})
    assert RejectedQuery.model_validate({"after": ""}).after is None
