"""What a bulk job may be asked, and what makes two requests the same."""

from __future__ import annotations

from typing import Any

import pytest

from serve_app.config import JobRequest, rejected_limit, validate
from serve_app.errors import ConfigError
from serve_app.policy import MAX_NAME_LENGTH
from serve_app.types import JobMode

LEAST = {"key": "staff", "input": "/photos"}
EVERYTHING: dict[str, Any] = {
    "key": "staff",
    "input": "s3://bucket/people",
    "mode": "replace",
    "kind": "table",
    "root": "/photos",
    "model_id": "sface@1",
    "pipeline": "/etc/pipeline.yaml",
    "index_type": "HNSW32",
    "metric": "L2",
    "max_rejected": "5%",
    "fail_fast": True,
    "duplicates": "skip",
    "same_face": 0.6,
    "keep_sources": True,
    "in_place_of": f"{0:032x}@7",
    "report": "/tmp/report.parquet",
}


def request(**facts: Any) -> JobRequest:
    return validate(JobRequest, {**LEAST, **facts}, "")


def test_nothing_more_is_asked_than_a_key_and_an_input() -> None:
    asked = request()
    assert (asked.mode, asked.kind) == (JobMode.CREATE, "auto")
    assert (asked.duplicates, asked.fail_fast, asked.keep_sources) == ("keep", False, False)
    left_out = (asked.max_rejected, asked.index_type, asked.metric, asked.same_face, asked.report)
    assert left_out == (None,) * 5


@pytest.mark.parametrize("facts", [LEAST, EVERYTHING])
def test_kept_as_text_it_is_the_same_request(facts: dict[str, Any]) -> None:
    asked = validate(JobRequest, facts, "")
    again = JobRequest.model_validate_json(asked.text())
    assert again == asked
    assert again.digest() == asked.digest()


def test_everything_is_everything() -> None:
    assert EVERYTHING.keys() == JobRequest.model_fields.keys()
    usual = request().model_dump(mode="json")
    assert [name for name, value in EVERYTHING.items() if value == usual[name]] == ["key"]


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"key": ""}, "key: String should have at least 1 character"),
        ({"key": "k" * (MAX_NAME_LENGTH + 1)}, f"key: String .* at most {MAX_NAME_LENGTH}"),
        ({"key": None}, "key: Input should be a valid string"),
        ({"input": ""}, "input: String should have at least 1 character"),
        ({"input": "/" * 4097}, "input: String should have at most 4096"),
        ({"mode": "update"}, "mode: Input should be 'create', 'append' or 'replace'"),
        ({"kind": "csv"}, "kind: Input should be 'auto', 'annotation', 'directory', 'table' or"),
        ({"metric": "cosine"}, "metric: Input should be 'IP' or 'L2'"),
        ({"duplicates": "drop"}, "duplicates: Input should be 'keep' or 'skip'"),
        ({"same_face": 1.5}, "same_face: Input should be less than or equal to 1"),
        ({"same_face": -1.5}, "same_face: Input should be greater than or equal to -1"),
        ({"same_face": "near"}, "same_face: Input should be a valid number"),
        ({"fail_fast": "maybe"}, "fail_fast: Input should be a valid boolean"),
        ({"keep_sources": 7}, "keep_sources: Input should be a valid boolean"),
        ({"max_rejected": 5}, "max_rejected: Input should be a valid string"),
        ({"max_rejected": "many"}, "max_rejected: .*a whole number of rows .* or a share such as"),
        ({"max_rejected": "101%"}, "max_rejected: .*a share is 0% to 100%"),
        ({"root": 7}, "root: Input should be a valid string"),
        ({"max_rejcted": "5%"}, "max_rejcted is not a known key; did you mean max_rejected?"),
    ],
)
def test_mistakes_are_refused_by_name(facts: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        request(**facts)


def test_all_that_is_wrong_is_told() -> None:
    with pytest.raises(ConfigError) as refused:
        request(mode="update", kind="csv")
    assert {line.partition(":")[0] for line in str(refused.value).split("; ")} == {"mode", "kind"}


def test_what_limits_or_reports_may_change_between_runs() -> None:
    free = {"max_rejected", "fail_fast", "same_face", "report"}
    asked = request()
    for name in EVERYTHING.keys() - {"key"}:
        other = request(**{name: EVERYTHING[name]})
        assert (other.digest() == asked.digest()) is (name in free), name
    assert request(key="guests").digest() != asked.digest()


def test_a_default_that_is_written_out_is_the_same_request() -> None:
    assert request(mode="create", kind="auto", root=None).digest() == request().digest()


def test_jobs_begun_when_the_metric_had_a_default_go_on() -> None:
    """A job keeps that of what it staged; who asks for the other one is refused."""
    assert request(metric="IP").digest() == request().digest() != request(metric="L2").digest()


@pytest.mark.parametrize(
    ("text", "total", "limit"),
    [
        ("0", 1000, 0),
        ("100", 10, 100),
        (" 7 ", 10, 7),
        ("0%", 1000, 0),
        ("5%", 1000, 50),
        ("5 %", 1000, 50),
        ("5%", 10, 0),
        ("100%", 7, 7),
        ("0.57%", 10_000, 57),
        ("33.3%", 1000, 333),
        ("5%", 0, 0),
    ],
)
def test_rejected_limit(text: str, total: int, limit: int) -> None:
    assert rejected_limit(text, total) == limit


@pytest.mark.parametrize(
    "text",
    [
        "",
        "%",
        "-1",
        "-1%",
        "1.5",
        "1e3",
        "nan",
        "inf",
        "nan%",
        "inf%",
        "five",
        "5%%",
        "100.1%",
        "٥",
    ],
)
def test_rejected_limits_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="share"):
        rejected_limit(text, 100)
