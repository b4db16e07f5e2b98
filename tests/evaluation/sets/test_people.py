from __future__ import annotations

import os
from pathlib import Path

import pytest

from serve_app.errors import InvalidRequestError
from serve_app.evaluation.sets.evaluation_set import LabelledImage
from serve_app.evaluation.sets.people import read_people


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_who_is_enrolled_who_is_looked_for_and_who_is_a_stranger(tmp_path: Path) -> None:
    touch(
        tmp_path, "Ann/2.jpg", "Ann/1.PNG", "Ann/more/3.webp", "Bob/x.jpeg", "Cy/a.jpg", "Cy/b.jpg"
    )
    found = read_people(tmp_path)
    assert found.gallery == [LabelledImage("Ann/1.PNG", "Ann"), LabelledImage("Cy/a.jpg", "Cy")]
    assert found.probes == [
        LabelledImage("Ann/2.jpg", "Ann"),
        LabelledImage("Ann/more/3.webp", "Ann"),
        LabelledImage("Bob/x.jpeg", "-"),
        LabelledImage("Cy/b.jpg", "Cy"),
    ]
    assert found.person_of["Bob/x.jpeg"] == "Bob", "a stranger to the gallery, but known by name"
    assert found.nameless == ()
    assert len(found.images()) == 6


def test_what_is_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "Ann/1.jpg", "Ann/notes.txt", "Ann/.2.jpg", "Ann/.thumbs/3.jpg",
          ".hidden/1.jpg", "loose.jpg", "Nobody/readme.md")  # fmt: skip
    assert read_people(tmp_path).images() == ["Ann/1.jpg"]


def test_people_of_one_image_only_make_no_search(tmp_path: Path) -> None:
    touch(tmp_path, "Ann/1.jpg", "Bob/1.jpg")
    found = read_people(tmp_path)
    assert (found.gallery, found.probes) == ([], ())
    assert set(found.person_of.values()) == {"Ann", "Bob"}


def test_nobody_is_called_as_strangers_are(tmp_path: Path) -> None:
    touch(tmp_path, "-/1.jpg")
    with pytest.raises(InvalidRequestError, match="nobody can be called -: rename that folder"):
        read_people(tmp_path)


@pytest.mark.parametrize("locked", [".", "Ann", "Ann/more"])
def test_a_directory_that_can_not_be_read(
    tmp_path: Path, locked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Permissions bind nobody who runs tests as root: the system's answer is put in its place."""
    touch(tmp_path, "Ann/more/1.jpg")
    refused, scan = (tmp_path / locked).resolve(), os.scandir

    def scandir(place: str | Path) -> object:
        if Path(place).resolve() == refused:
            raise PermissionError(13, "Permission denied", str(place))
        return scan(place)

    def iterdir(place: Path) -> object:
        return (Path(entry.path) for entry in scandir(place))  # type: ignore[attr-defined]

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(InvalidRequestError, match=rf"^{refused.name} can't be read: Permission"):
        read_people(tmp_path)
