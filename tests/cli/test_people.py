"""Which pictures a directory enrols, and as whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.cli.people import gallery_of
from serve_app.errors import InvalidRequestError


def made(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def test_a_folder_for_each_person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = made(
        tmp_path, "Olga/2.jpg", "Olga/1.PNG", "Ann Smith/old/a.webp", "Ann Smith/notes.txt",
        ".cache/x.jpg", "friends.jpg", "readme.txt",
    )  # fmt: skip
    images, labels = gallery_of(root, None)
    assert labels == ["Ann Smith", "Olga", "Olga"]
    names = [Path(image).relative_to(root).as_posix() for image in images]
    assert names == ["Ann Smith/old/a.webp", "Olga/1.PNG", "Olga/2.jpg"]
    said = capsys.readouterr().err
    assert said == f"left out: 1 picture in {root} itself, in nobody's folder\n"


def test_paths_are_as_the_caller_wrote_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path, "people/Ann/1.jpg")
    monkeypatch.chdir(tmp_path)
    assert gallery_of(Path("people"), None) == (["people/Ann/1.jpg"], ["Ann"])


def test_a_list_comes_first(tmp_path: Path) -> None:
    root = made(tmp_path, "Ann/1.jpg", "gallery.txt", "mine.txt")
    assert gallery_of(root, None) == (root, root / "gallery.txt")
    assert gallery_of(root, root / "mine.txt") == (root, root / "mine.txt")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "has nobody to enrol: make a folder for each person"),
        (("lonely.jpg",), "has nobody to enrol: make a folder for each person"),
        (("Ann/1.jpg", "Bob/notes.txt"), "Bob: no image file in this directory"),
    ],
)
def test_nobody_to_enrol(names: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        gallery_of(made(tmp_path, *names), None)


def test_no_directory(tmp_path: Path) -> None:
    made(tmp_path, "file.jpg")
    for name in ("file.jpg", "nowhere"):
        with pytest.raises(InvalidRequestError, match=f"{name} is not a directory"):
            gallery_of(tmp_path / name, None)
