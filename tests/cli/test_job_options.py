"""What a command line asks of a job, there and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from serve_app.cli import job
from serve_app.cli.job_options import MetricName, Mode, job_name, request_of, words_of
from serve_app.config import JobRequest
from serve_app.errors import ConfigError, InvalidRequestError
from serve_app.types import JobMode, Metric
from tests.config.test_job import EVERYTHING

LEAST = {"key": "staff", "input": "/photos"}
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
TEXTS = st.none() | WORDS.filter(lambda text: bool(text.strip()))
REQUESTS = st.builds(
    JobRequest,
    key=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True),
    input=WORDS.map(lambda name: f"/{name}"),
    mode=st.sampled_from(JobMode),
    kind=st.sampled_from(["auto", "annotation", "directory", "table", "embeddings"]),
    root=TEXTS,
    model_id=TEXTS,
    pipeline=TEXTS,
    index_type=st.none() | st.sampled_from(["Flat", "IVF", "HNSW32", "IVF64,PQ8"]),
    metric=st.none() | st.sampled_from(Metric),
    max_rejected=st.sampled_from([None, "0", "100", "5%", "0.5 %"]),
    fail_fast=st.booleans(),
    duplicates=st.sampled_from(["keep", "skip"]),
    same_face=st.none() | st.floats(-1, 1),
    keep_sources=st.booleans(),
    report=TEXTS,
).filter(lambda request: request.mode is not JobMode.APPEND or request.index_type is None)


class AskedError(Exception):
    def __init__(self, request: JobRequest) -> None:
        super().__init__()
        self.request = request


def parsed(words: Sequence[str]) -> JobRequest:
    """The request that ``face-serve-job`` makes of its arguments."""

    def stop(**facts: Any) -> JobRequest:
        raise AskedError(request_of(**facts))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(job, "request_of", stop)
        result = CliRunner().invoke(job.app, list(words))
    assert isinstance(result.exception, AskedError), (result.output, result.exception)
    return result.exception.request


@pytest.mark.parametrize("facts", [LEAST, EVERYTHING])
def test_words_make_the_same_request(facts: dict[str, Any]) -> None:
    request = request_of(**facts)
    assert parsed(words_of(request)) == request


@pytest.mark.parametrize("name", EVERYTHING)
def test_each_field_by_itself(name: str) -> None:
    request = request_of(**{**LEAST, name: EVERYTHING[name]})
    assert parsed(words_of(request)) == request


@given(REQUESTS)
def test_any_request(request: JobRequest) -> None:
    assert parsed(words_of(request)) == request


def test_what_is_usual_is_not_said() -> None:
    assert words_of(request_of(**LEAST)) == ["staff", "/photos"]


def test_words_are_for_people_too() -> None:
    assert words_of(request_of(**EVERYTHING)) == [
        "staff", "s3://bucket/people", "--mode", "replace", "--kind", "table", "--root", "/photos",
        "--model-id", "sface@1", "--pipeline", "/etc/pipeline.yaml", "--index-type", "HNSW32",
        "--metric", "L2", "--max-rejected", "5%", "--fail-fast", "--skip-duplicates",
        "--same-face", "0.6", "--keep-sources", "--in-place-of", f"{0:032x}@7",
        "--report", "/tmp/report.parquet",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"kind": "csv"}, r"^kind: "),
        ({"max_rejected": "many"}, r"^max_rejected: .*5%"),
        ({"same_face": 2.0}, r"^same_face: "),
        ({"mode": "append", "index_type": "IVF"}, r"^--index-type: .* keeps its own$"),
    ],
)
def test_mistakes(facts: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        request_of(**{**LEAST, **facts})


@pytest.mark.parametrize("key", ["../x", "a b", "a/b/c", "/b", "a/", "-a"])
def test_keys_that_are_none(key: str) -> None:
    with pytest.raises(InvalidRequestError, match="a gallery key has"):
        request_of(**{**LEAST, "key": key})


def test_names_of_jobs() -> None:
    assert job_name("2026-11-29_b.1") == "2026-11-29_b.1"
    assert job_name(None) != job_name(None)


@pytest.mark.parametrize("name", ["", "a/b", "../a", ".a", "a b", "é", "a\n", "a" * 65])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ConfigError, match="--job-id: up to 64 ASCII letters"):
        job_name(name)


def test_choices_are_those_of_the_system() -> None:
    assert get_args(Mode) == tuple(JobMode)
    assert get_args(MetricName) == tuple(Metric)


def test_every_option_is_explained() -> None:
    command = typer.main.get_command(job.app)
    silent = [p.name for p in command.params if not getattr(p, "help", None) and p.name != "help"]
    assert silent == []
