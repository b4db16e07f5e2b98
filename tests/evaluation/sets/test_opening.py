from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.errors import InvalidRequestError
from serve_app.evaluation.sets import open_set
from tests.evaluation.written_vectors import write


@pytest.fixture
def people(tmp_path: Path) -> Path:
    root = tmp_path / "people"
    write(root, {"Ann/1.jpg": "", "Ann/2.jpg": "", "Bob/1.jpg": ""})
    return root


def test_people(people: Path) -> None:
    found = open_set(people)
    assert found.name == "people"
    assert [pair.same for pair in found.pairs] == [True, False]
    assert found.origin.startswith("drawn at random")


def test_a_file_of_pairs(people: Path) -> None:
    (people.parent / "mine.txt").write_text("people/Ann/1.jpg people/Bob/1.jpg 0\n")
    found = open_set(people.parent / "mine.txt")
    assert (len(found.pairs), found.origin) == (1, "mine.txt")
    (people.parent / "mine.txt").write_text("Ann/1.jpg Bob/1.jpg 0\n")
    assert len(open_set(people.parent / "mine.txt", people).pairs) == 1


def test_lists_without_pairs_have_some_drawn(people: Path) -> None:
    (people / "gallery.txt").write_text("Ann/1.jpg Ann\n")
    (people / "probes.txt").write_text("Ann/2.jpg Ann\nBob/1.jpg -\n")
    found = open_set(people)
    assert [(pair.first, pair.second) for pair in found.pairs] == [("Ann/1.jpg", "Ann/2.jpg")]
    assert found.nameless == ["Bob/1.jpg"]


def test_lists_come_before_folders(people: Path) -> None:
    (people / "pairs.txt").write_text("Ann/1.jpg Bob/1.jpg 0\n")
    assert open_set(people).person_of == {}


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "^nowhere holds neither pairs.txt nor gallery.txt with .*: it does not exist$"),
        ("empty", "^empty holds neither pairs.txt nor .* a folder of pictures for each person$"),
        ("pairs.txt", "^pairs.txt, line 1: Ann/1.jpg is listed but is not in "),
    ],
)
def test_mistakes_are_named(people: Path, path: str, message: str) -> None:
    root = people.parent
    (root / "empty").mkdir()
    (root / "pairs.txt").write_text("Ann/1.jpg people/Bob/1.jpg 0\n")
    with pytest.raises(InvalidRequestError, match=message):
        open_set(root / path)


def test_images_go_with_lists(people: Path) -> None:
    with pytest.raises(InvalidRequestError, match="--images goes with lists, but people holds"):
        open_set(people, people)
