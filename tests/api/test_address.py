from __future__ import annotations

import json

import pytest
from fastapi import Request

from serve_app.api.address import path_of, query_of
from serve_app.api.gallery_schemas import GalleriesQuery, GalleryPath, LabelPath, TemplatesQuery
from serve_app.errors import InvalidRequestError


def request(query: bytes = b"", path: dict[str, str] | None = None, raw: bytes = b"/") -> Request:
    scope = {"type": "http", "query_string": query, "path_params": path or {}, "headers": []}
    return Request({**scope, "raw_path": raw} if raw else scope)


def test_values_and_their_defaults() -> None:
    assert query_of(GalleriesQuery, request()) == GalleriesQuery(after=None, limit=100)
    found = query_of(TemplatesQuery, request(b"label=a%2Fb+%C3%BC&after=7&limit=1000"))
    assert (found.label, found.after, found.limit) == ("a/b ü", 7, 1000)
    assert path_of(GalleryPath, request(path={"key": "g"})).key == "g"


def test_unknown_values_are_ignored_and_of_two_the_last_counts() -> None:
    assert query_of(GalleriesQuery, request(b"foo=1&limit=2&limit=3")).limit == 3


def test_every_problem_is_told_with_its_place_and_without_its_value() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        query_of(TemplatesQuery, request(b"after=secret&limit=secret"))
    problems = json.loads(str(caught.value))
    assert [(p["type"], p["loc"]) for p in problems] == [
        ("int_parsing", "query.after"),
        ("int_parsing", "query.limit"),
    ]
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("encoded", [b"M%FCller", b"%ff", b"%C3", b"%ED%A0%80", b"\xfc"])
def test_what_is_not_utf8_is_refused_before_it_means_another_label(encoded: bytes) -> None:
    decoded = {"key": "g", "label": "M\N{REPLACEMENT CHARACTER}ller"}
    with pytest.raises(InvalidRequestError, match=r"string_unicode.*path"):
        path_of(LabelPath, request(path=decoded, raw=b"/v1/galleries/g/labels/" + encoded))
    with pytest.raises(InvalidRequestError, match=r"string_unicode.*query"):
        query_of(TemplatesQuery, request(b"label=" + encoded))


def test_a_replacement_character_that_was_sent_is_a_label() -> None:
    decoded = {"key": "g", "label": "\N{REPLACEMENT CHARACTER}"}
    raw = b"/v1/galleries/g/labels/%EF%BF%BD"
    assert path_of(LabelPath, request(path=decoded, raw=raw)).label == decoded["label"]


def test_a_server_that_gives_no_bytes() -> None:
    assert path_of(GalleryPath, request(path={"key": "g"}, raw=b"")).key == "g"
