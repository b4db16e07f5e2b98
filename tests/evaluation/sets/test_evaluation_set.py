from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.errors import InvalidRequestError
from serve_app.evaluation.sets import EvaluationSet, LabelledImage, ListedPair


def test_every_image_is_named_once() -> None:
    found = EvaluationSet(
        "toy",
        Path(),
        pairs=[ListedPair("b", "a", True)],
        gallery=[LabelledImage("a", "Ann")],
        probes=[LabelledImage("c", "Ann"), LabelledImage("d", "-")],
        person_of={"a": "Ann", "c": "Ann", "e": "Eve"},
        nameless=["d"],
    )
    assert found.images() == ["a", "b", "c", "d", "e"]


def test_files_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a").touch()
    found = EvaluationSet(
        "toy",
        tmp_path / "photos",
        pairs=[ListedPair("a", "b", True), ListedPair("c", "d", True)],
        listed_in={"b": "pairs.txt, line 1"},
    )
    with pytest.raises(InvalidRequestError) as caught:
        found.check_files()
    assert str(caught.value) == (
        "pairs.txt, line 1: b is listed but is not in photos, and 2 others are not; "
        "--images DIRECTORY says where the images lie"
    )
    for name in "bcd":
        (tmp_path / "photos" / name).touch()
    found.check_files()
