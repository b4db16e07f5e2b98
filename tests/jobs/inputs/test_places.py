"""How places are written, joined and shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.errors import InvalidRequestError
from serve_app.jobs.inputs.places import (
    LOCAL,
    beside,
    name_of,
    placed,
    scheme_of,
    shown_place,
    under,
    without_folder,
)


@pytest.mark.parametrize(
    ("text", "scheme"),
    [("/a/b", LOCAL), ("a", LOCAL), ("S3://b/a", "s3"), ("gcs://b", "gs"), ("https://h/a", "https"),
     ("a:b", LOCAL), ("s3a://b/k", "s3")],
)  # fmt: skip
def test_schemes(text: str, scheme: str) -> None:
    assert scheme_of(text) == scheme


def test_places_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert placed("people/../faces") == f"{tmp_path}/faces"
    assert placed("/a/./b/../c") == "/a/c"
    assert placed("file:///a/b") == "/a/b"
    assert placed("GCS://bucket/a") == "gs://bucket/a"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\0b",
        "zip::s3://bucket/a.zip",
        "file://host/a",
        "https://me:secret@host/a",
        "s3://me:secret@bucket/a",
    ],
)
def test_no_places(text: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        placed(text)
    assert "secret" not in str(caught.value)


def test_an_at_sign_may_be_in_a_path() -> None:
    assert placed("s3://bucket/me@home.jpg") == "s3://bucket/me@home.jpg"
    assert placed("https://host?mail=me@home") == "https://host?mail=me@home"


@pytest.mark.parametrize(
    ("place", "expected"),
    [("/a/b.csv", "/a"), ("s3://bucket/a/b.csv", "s3://bucket/a"), ("s3://bucket/b", "s3://bucket"),
     ("https://h/a/b.csv?x=/1", "https://h/a"), ("s3://bucket", "s3://bucket")],
)  # fmt: skip
def test_beside(place: str, expected: str) -> None:
    assert beside(place) == expected


@pytest.mark.parametrize(
    ("root", "written", "expected"),
    [("/r", "a/b.jpg", "/r/a/b.jpg"), ("/r", "../b.jpg", "/b.jpg"), ("/r", "/x.jpg", "/x.jpg"),
     ("s3://b/r/", "a.jpg", "s3://b/r/a.jpg"), ("s3://b", "https://h/a.jpg", "https://h/a.jpg"),
     ("https://h/r", "./a.jpg", "https://h/r/a.jpg"), ("s3://b/r", "/a.jpg", "/a.jpg")],
)  # fmt: skip
def test_under(root: str, written: str, expected: str) -> None:
    assert under(root, written) == expected


def test_shown_without_secrets() -> None:
    assert shown_place("https://me:secret@host/a.csv?sig=secret") == "https://host/a.csv"
    assert shown_place("/a\nb\udcff") == r"/a?b\xff"
    assert len(shown_place("/" + "a" * 5000)) < 300
    assert name_of("https://host/x/a.csv?b=/c") == "a.csv"
    assert name_of("/x/a#b") == "a#b"


@pytest.mark.parametrize(
    ("place", "below", "told"),
    [("/srv/faces/people", "/gallery.txt", "people/gallery.txt"),
     ("/srv/faces/people", "", "people"), ("/srv/my faces/a.csv", "", "a.csv"),
     ("/srv/" + "a" * 5000, "/b.parquet", "a" * 200 + "..."), ("/srv/a\nb", "/c", "a?b/c"),
     ("/", "", "the input"), ("s3://bucket/people", "/a.csv", "s3://bucket/people/a.csv")],
)  # fmt: skip
def test_without_the_folder_that_it_lies_in(place: str, below: str, told: str) -> None:
    message = f"there is no {shown_place(place + below)}"
    assert without_folder(message, place) == f"there is no {told}"
    assert without_folder("2 of 3 rows were rejected", place) == "2 of 3 rows were rejected"
