from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from serve_app.config import (
    BatchSettings,
    IngressBatching,
    Limits,
    ServiceArgs,
    database_url,
    default_cache_dir,
    index_names,
    parse_service_args,
    snapshots_url,
    validate,
)
from serve_app.errors import ConfigError
from serve_app.imaging import ImageLimits


def test_nothing_given_is_the_default() -> None:
    args = parse_service_args({})
    assert args.pipeline == "face_recognition"
    assert args.cache_dir is None
    assert (args.fetch.enabled, args.fetch.allow) == (True, ())
    assert args.hosts == ()
    assert args.limits == Limits()


def test_directories_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A replica's working directory need not be the one the file was written for."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    args = parse_service_args({"data_dir": "./data", "cache_dir": "~/cache"})
    assert args.data_dir == tmp_path / "data"
    assert args.cache_dir == tmp_path / "me" / "cache"


def test_limits_of_an_image_are_passed_on() -> None:
    limits = Limits(image_bytes=5, image_pixels=7)
    assert limits.image == ImageLimits(max_bytes=5, max_pixels=7)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"data_dr": "x"}, "args.data_dr is not a known key; did you mean data_dir?"),
        ({"limits": {"pair": 1}}, "args.limits.pair is not a known key; did you mean pairs?"),
        ({"fetch": {"alow": []}}, "args.fetch.alow is not a known key; did you mean allow?"),
        ({"limits": {"pairs": 0}}, "args.limits.pairs: "),
        ({"limits": {"request_timeout_s": -1}}, "args.limits.request_timeout_s: "),
        ({"limits": {"image_bytes": "10 MB"}}, "args.limits.image_bytes: "),
        ({"fetch": {"allow": "intranet"}}, "args.fetch.allow: "),
        ({"pipeline": None}, "args.pipeline: "),
        ({"hosts": "faces.example"}, "args.hosts: "),
        ({"fetch": {"enabled": "maybe"}}, "args.fetch.enabled: "),
    ],
)
def test_mistakes_are_refused_by_name(args: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_service_args(args)
    assert str(refusal.value).startswith(message)


def test_ingress_batching_names_each_stage() -> None:
    settings = validate(IngressBatching, {"extractor": {"slots": 3}}, "user_config")
    assert (settings.extractor.slots, settings.detector.slots) == (3, 1)
    with pytest.raises(ConfigError, match=r"user_config\.extractor\.slts .* did you mean slots"):
        validate(IngressBatching, {"extractor": {"slts": 3}}, "user_config")


@pytest.mark.parametrize("key", ["slots", "max_cost", "max_queue_cost"])
def test_batch_settings_are_at_least_one(key: str) -> None:
    assert getattr(validate(BatchSettings, {key: 1}, "user_config"), key) == 1
    with pytest.raises(ConfigError, match=rf"user_config\.{key}"):
        validate(BatchSettings, {key: 0}, "user_config")


def test_nobody_may_overtake_where_that_is_zero() -> None:
    assert validate(BatchSettings, {"overtake_s": 0}, "user_config").overtake_s == 0
    with pytest.raises(ConfigError, match=r"user_config\.overtake_s"):
        validate(BatchSettings, {"overtake_s": -1}, "user_config")


@pytest.mark.parametrize("key", ["max_wait_s", "overload_wait_s", "max_in_flight"])
def test_bounds_of_admission_are_above_zero(key: str) -> None:
    given = validate(IngressBatching, {"admission": {key: 1}}, "user_config")
    assert getattr(given.admission, key) == 1
    with pytest.raises(ConfigError, match=rf"user_config\.admission\.{key}"):
        validate(IngressBatching, {"admission": {key: 0}}, "user_config")


def test_args_are_frozen() -> None:
    args = ServiceArgs()
    with pytest.raises(ValueError, match="frozen"):
        args.pipeline = "other"  # type: ignore[misc]


def test_the_cache_lies_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    usual = tmp_path / ".cache" / "face-serve"
    assert default_cache_dir({}) == usual
    assert default_cache_dir({"XDG_CACHE_HOME": ""}) == usual
    assert default_cache_dir({"XDG_CACHE_HOME": "xdg"}) == tmp_path / "xdg" / "face-serve"
    both = {"XDG_CACHE_HOME": "xdg", "FACE_SERVE_CACHE": "~/chosen"}
    assert default_cache_dir(both) == tmp_path / "chosen"


def test_the_database_is_named_by_environment_file_or_data_directory(tmp_path: Path) -> None:
    odd = tmp_path / "a b%20?x#y"
    args = parse_service_args({"data_dir": str(odd)})
    assert make_url(database_url(args, {})).database == str(odd / "galleries.db")
    assert snapshots_url(args) == str(odd / "snapshots")
    named = parse_service_args(
        {"database_url": "postgresql://host/db", "snapshots": {"url": "s3://b"}}
    )
    assert database_url(named, {}) == "postgresql://host/db"
    assert database_url(named, {"FACE_SERVE_DATABASE_URL": "sqlite:////x"}) == "sqlite:////x"
    assert snapshots_url(named) == "s3://b"


def test_passwords_are_not_shown() -> None:
    args = parse_service_args(
        {"database_url": "postgresql://me:secret@host/db", "snapshots": {"url": "s3://k:secret@b"}}
    )
    assert "secret" not in repr(args)


def test_a_misspelt_key_of_the_index_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"args\.index\.exact_untill .* did you mean exact_until"):
        parse_service_args({"index": {"exact_untill": 5}})


def test_names_of_the_index_deployments() -> None:
    assert index_names(1) == ["Index"]
    assert index_names(3) == ["Index0", "Index1", "Index2"]


def test_inputs_of_jobs_are_absolute_places() -> None:
    given = ["people", "/photos/", "s3://bucket/people", "https://host.example/a"]
    inputs = parse_service_args({"jobs": {"inputs": given}}).jobs.inputs
    assert inputs == (str(Path("people").absolute()), "/photos", *given[2:])
    for wrong in ("../photos", "s3://", "file:///photos", "https://user:secret@host/"):
        with pytest.raises(ConfigError, match=r"args\.jobs\.inputs: .*write paths") as caught:
            parse_service_args({"jobs": {"inputs": [wrong]}})
        assert "secret" not in str(caught.value)


# --- secrets of the environment ---


def test_a_database_that_the_environment_names() -> None:
    args = parse_service_args({"database_url": "env:GALLERIES"})
    url = "postgresql://user:secret@host/galleries"
    assert database_url(args, {"GALLERIES": url, "FACE_SERVE_DATABASE_URL": "other"}) == url


@pytest.mark.parametrize("environ", [{}, {"GALLERIES": ""}, {"FACE_SERVE_DATABASE_URL": "other"}])
def test_a_variable_that_is_not_set_is_named(environ: dict[str, str]) -> None:
    args = parse_service_args({"database_url": "env:GALLERIES"})
    with pytest.raises(ConfigError) as refused:
        database_url(args, environ)
    message = str(refused.value)
    assert message.startswith("args.database_url: the environment variable GALLERIES is not set")


@pytest.mark.parametrize("name", ["env:", "env:A B", "env:1", "env:$A"])
def test_what_is_no_variables_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"args\.database_url"):
        parse_service_args({"database_url": name})


def test_how_long_the_audit_log_is_kept() -> None:
    assert parse_service_args({}).audit.keep_s is None
    assert parse_service_args({}).audit.enabled
    assert parse_service_args({"audit": {"keep_days": 1.5}}).audit.keep_s == 129_600
    for wrong in (0, -1, "a year"):
        with pytest.raises(ConfigError, match=r"args\.audit\.keep_days"):
            parse_service_args({"audit": {"keep_days": wrong}})
