from __future__ import annotations

import pytest

from serve_app.locations import is_below, location_of, without_secrets

PREFIXES = ("/photos", "s3://bucket/people", "gs://all", "https://photos.example/a", "/data/x/")


@pytest.mark.parametrize(
    "place",
    [
        "/photos",
        "/photos/",
        "//photos//staff/./a.jpg",
        "/photos/Zoë 王.jpg",
        "/photos/a..b/c",
        "/data/x",
        "s3://bucket/people",
        "s3://bucket/people/",
        "S3://bucket/people/a.parquet",
        "s3a://bucket/people/%2e%2e",
        "gs://all",
        "gcs://all/anything/at/all",
        "https://photos.example/a/b.csv",
        "HTTPS://Photos.Example:443/a/b.csv?version=3",
    ],
)
def test_what_is_below(place: str) -> None:
    assert is_below(PREFIXES, place)


@pytest.mark.parametrize(
    "place",
    [
        "",
        "photos",
        "./photos/a",
        "~/photos",
        "/",
        "/photos-2/a",
        "/photo",
        "/photos/../etc/passwd",
        "/photos/..",
        "/etc/passwd",
        "/PHOTOS/a",
        "/photos/a\0.jpg",
        "/photos/a\nb",
        "/photos\\..\\etc",
        "/photos/zip://a::/etc/passwd",
        "file:///photos/a",
        "file:/photos/a",
        "s3:/bucket/people/a",
        "s3:///bucket/people",
        "s3://bucket",
        "s3://bucket/people-2",
        "s3://bucket//people/a",
        "s3://bucket/people/../private",
        "s3://bucket/people/./a",
        "s3://Bucket/people/a",
        "s3://bucket.evil/people/a",
        "s3://key:secret@bucket/people/a",
        "s3://bucket/people/a?versionId=1",
        "simplecache::s3://bucket/people/a",
        "s3://bucket/people/a.zip::file:///etc/passwd",
        "gs://bucket/people/a",
        "http://photos.example/a/b.csv",
        "https://photos.example/b",
        "https://photos.example/a/%2e%2e/b",
        "https://photos.example/a/%252e%252e/b",
        "https://photos.example/a%2f..%2fb",
        "https://photos.example/a/%5c..",
        "https://photos.example:8443/a/b",
        "https://photos.example@evil.example/a/b",
        "https://evil.example/https://photos.example/a",
        "https://photos.example.evil.example/a",
        "https:photos.example/a",
        "https://photos.example?/a/b",
        "https://photos.example#/a/b",
        "data:text/csv,a",
    ],
)
def test_what_is_not(place: str) -> None:
    assert not is_below(PREFIXES, place)


def test_without_prefixes_nothing_is_below() -> None:
    assert not is_below((), "/photos")
    assert not is_below(("", "photos", ".."), "/photos")


def test_the_root_holds_every_path_and_no_url() -> None:
    assert is_below(("/",), "/etc/passwd")
    assert not is_below(("/",), "s3://bucket/a")
    assert not is_below(("/",), "etc")


def test_parts() -> None:
    found = location_of("https://h.example/a//b/")
    assert found is not None
    assert (found.scheme, found.host, found.parts) == ("https", "h.example:443", ("a", "", "b"))


@pytest.mark.parametrize(
    ("place", "expected"),
    [("https://me:secret@host/a.jpg?X-Amz-Signature=secret#1", "https://host/a.jpg"),
     ("ftp://me:secret@host/a", "ftp://host/a"), ("s3://bucket/a?b@c.jpg", "s3://bucket/a?b@c.jpg"),
     ("/a/b?c#4", "/a/b?c#4"), ("/" + "a" * 5000, "/" + "a" * 5000)],
)  # fmt: skip
def test_without_secrets(place: str, expected: str) -> None:
    assert without_secrets(place) == expected
