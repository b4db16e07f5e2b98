"""Annotation files, lists of images and labels, ids to remove."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from serve_app.errors import InvalidRequestError
from serve_app.imaging import ImageLimits
from serve_app.pipeline.annotation import GalleryImage, read_gallery, read_remove_ids
from serve_app.pipeline.inputs import InputReader

BGR = np.full((4, 6, 3), 7, np.uint8)
PNG = cv2.imencode(".png", BGR)[1].tobytes()


@pytest.fixture
def reader() -> InputReader:
    return InputReader(ImageLimits(), lambda _: PNG)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root as the tutorial's 2.3 has it, in the current directory."""
    (tmp_path / "gallery" / "images").mkdir(parents=True)
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / "gallery" / "images" / name).write_bytes(PNG)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "gallery"


def annotated(content: str | bytes) -> str:
    raw = content.encode() if isinstance(content, str) else content
    Path("gallery/gallery.txt").write_bytes(raw)
    return "gallery/gallery.txt"


def pairs(images: Any) -> list[tuple[str, str]]:
    return [(str(image.image.path), image.label) for image in images]


A, B = "gallery/images/a.png", "gallery/images/b.png"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("images/a.png Ann\nimages/b.png Bob\n", [(A, "Ann"), (B, "Bob")]),
        ("images/a.png Ann\nimages/b.png Bob", [(A, "Ann"), (B, "Bob")]),
        ("images/a.png Ann\r\nimages/b.png Bob  \r\n", [(A, "Ann"), (B, "Bob")]),
        ("\ufeffimages/a.png Ann\n", [(A, "Ann")]),
        ("\n  \n\nimages/a.png Ann\n\t\n", [(A, "Ann")]),
        ("images/a.png\tAnn\n", [(A, "Ann")]),
        ("images/a.png  \t Ann Mary  Lee\n", [(A, "Ann Mary  Lee")]),
        ("  images/a.png Ann\n", [(A, "Ann")]),
        ("images/a.png 张三\n", [(A, "张三")]),
        ("images/a.png Ann\u2028Lee\u3000\n", [(A, "Ann\u2028Lee\u3000")]),
        ("./images/a.png Ann\n", [(A, "Ann")]),
        ("images/a.png Ann\nimages/b.png Ann\n", [(A, "Ann"), (B, "Ann")]),
    ],
)
def test_lines(
    content: str, expected: list[tuple[str, str]], reader: InputReader, root: Path
) -> None:
    for gallery_imgs in ("gallery", "gallery/", Path("gallery")):
        images = read_gallery(gallery_imgs, annotated(content), reader)
        assert pairs(images) == expected
        assert len(images) == len(expected)


def test_what_messages_call_an_image(reader: InputReader, root: Path) -> None:
    images = read_gallery("gallery", annotated("\n\nimages/a.png Ann\nimages/b.png Bob"), reader)
    assert [image.where for image in images] == [
        "gallery.txt, line 3: images/a.png",
        "gallery.txt, line 4: images/b.png",
    ]
    Path(A).unlink()
    with pytest.raises(InvalidRequestError, match="no such file"):
        images[0].image.read()
    with pytest.raises(InvalidRequestError, match=r"^gallery.txt, line 3: images/a.png: no such"):
        images[0].image.pixels()


def test_it_is_a_sequence_that_opens_nothing(
    reader: InputReader, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = annotated("images/a.png Ann\nimages/b.png Bob\nimages/c.png Cid\n")
    with monkeypatch.context() as patch:
        patch.setattr(InputReader, "one", None)
        images = read_gallery("gallery", name, reader)
    assert isinstance(images[-1], GalleryImage)
    assert images[-1].label == "Cid"
    assert [image.label for image in images[1:]] == ["Bob", "Cid"]
    with pytest.raises(IndexError):
        images[3]
    np.testing.assert_array_equal(images[0].image.pixels(), BGR)


def test_a_long_file_takes_little_more_than_its_bytes(
    reader: InputReader, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve_app.pipeline.annotation.file_fault", lambda _: None)
    lines = [f"images/{number}.jpg Person {number // 5}" for number in range(50_000)]
    images = read_gallery("gallery", annotated("\n".join(lines)), reader)
    file = images._make.__self__  # type: ignore[attr-defined]
    parts = (file._content, file._starts, file._numbers)
    assert sum(map(sys.getsizeof, parts)) < 60 * len(lines)
    assert (images[49_999].label, len(images)) == ("Person 9999", 50_000)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "images/a.png Ann\nimages/b.png\n",
            "gallery.txt: 1 line can't be used\n"
            "line 2: 'images/b.png' has no label: write the path, a space and the label",
        ),
        (
            "images/a.png Ann\n\nimages/b.png Bob\n./images/a.png Cid\n",
            "gallery.txt: 1 line can't be used\n"
            "line 4: './images/a.png' is in line 1 already: leave one of them",
        ),
        (
            "images/none.png Ann\n",
            "gallery.txt: 1 line can't be used\n"
            "line 1: 'images/none.png': no such file: check the path",
        ),
        (
            "images/my face.png Ann\n",
            "gallery.txt: 1 line can't be used\n"
            "line 1: 'images/my': no such file: check the path; a path holds no spaces",
        ),
        (
            "# who is who\nimages/a.png Ann\n",
            "gallery.txt: 1 line can't be used\n"
            "line 1: '#': no such file: check the path; a path holds no spaces",
        ),
        (
            "images Ann\ngallery.txt Bob\nimages/a.png C\0D\n",
            "gallery.txt: 3 lines can't be used\n"
            "line 1: 'images': a directory, not an image file; a path holds no spaces\n"
            "line 2: 'gallery.txt': .txt is not read: give an image file (.jpg .jpeg .png .bmp "
            ".webp .tif .tiff .gif); a path holds no spaces\n"
            "line 3: the label holds the character NUL: leave it out",
        ),
        ("", "gallery.txt names no image: write the path and the label of one on each line"),
        ("\n \n", "gallery.txt names no image: write the path and the label of one on each line"),
    ],
)
def test_lines_that_cannot_be_used(
    content: str, message: str, reader: InputReader, root: Path
) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        read_gallery("gallery", annotated(content), reader)
    assert str(raised.value) == message


def test_other_encodings(reader: InputReader, root: Path) -> None:
    with pytest.raises(InvalidRequestError, match=r"line 2: 'images/b.png .*' is not UTF-8: save"):
        read_gallery(
            "gallery", annotated("images/a.png Ann\nimages/b.png 张三".encode("gb18030")), reader
        )
    with pytest.raises(InvalidRequestError, match=r"gallery.txt is UTF-16: save it as UTF-8"):
        read_gallery("gallery", annotated("images/a.png Ann".encode("utf-16")), reader)


def test_many_bad_lines_are_one_error(reader: InputReader, root: Path) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        read_gallery("gallery", annotated("x.png\n" * 100), reader)
    first, *lines, last = str(raised.value).splitlines()
    assert first == "gallery.txt: 100 lines can't be used"
    assert len(lines) == 20
    assert last == "and 80 more"


def test_files_that_are_not_there(reader: InputReader, root: Path) -> None:
    for given, message in {
        ("nowhere", annotated("images/a.png Ann")): "gallery_imgs: there is no directory nowhere",
        (A, annotated("images/a.png Ann")): f"gallery_imgs: there is no directory {A}",
        ("gallery", "g.txt"): "gallery_label: there is no file g.txt",
        ("gallery", "gallery"): "gallery_label: gallery can't be read: Is a directory",
        ("gallery", "a\0b"): "gallery_label: a\0b can't be read: embedded null byte",
    }.items():
        with pytest.raises(InvalidRequestError) as raised:
            read_gallery(*given, reader)
        assert str(raised.value) == message


def test_a_file_that_may_not_be_read(
    reader: InputReader, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = annotated("images/a.png Ann")

    def refuse(_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(InvalidRequestError, match=r"gallery.txt can't be read: Permission denied"):
        read_gallery("gallery", name, reader)


@pytest.mark.parametrize(
    ("images", "labels", "named"),
    [
        ([BGR, BGR], ["a", "b"], ["", ""]),
        ((A, Path(B)), ("a", "b"), [f": {A}", f": {B}"]),
        ([A, BGR], ["a", "a"], [f": {A}", ""]),
        (np.stack([BGR, BGR]), np.array(["a", "b"]), ["", ""]),
        (["https://h/a.jpg?sig=secret", "https://h/a.jpg"], ["a", "b"], [": https://h/a.jpg"] * 2),
    ],
)
def test_lists(images: Any, labels: Any, named: list[str], reader: InputReader, root: Path) -> None:
    found = read_gallery(images, labels, reader)
    assert [image.label for image in found] == list(labels)
    assert [image.where for image in found] == [
        f"gallery_imgs[{position}]{name}" for position, name in enumerate(named)
    ]
    assert all(type(image.label) is str for image in found)
    for image in found:
        np.testing.assert_array_equal(image.image.pixels(), BGR)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        ([BGR, BGR], ["a"], "gallery_imgs has 2 images, gallery_label 1 labels: give one label"),
        ([BGR], ["a", "b"], "gallery_imgs has 1 images, gallery_label 2 labels"),
        ([], [], "gallery_imgs is empty: give at least one image"),
        ("gallery", ["a"], "gallery_imgs has type str: give a directory and an annotation file"),
        ([BGR], 7, "gallery_label has type int"),
        (None, None, "gallery_imgs has type NoneType"),
        (BGR, ["a"], "gallery_imgs has type ndarray"),
        ((image for image in [BGR]), ["a"], "gallery_imgs has type generator"),
        ([BGR], "gallery/gallery.txt", "gallery_imgs has type list, but gallery_label is a file"),
    ],
)
def test_what_is_no_list(
    images: Any, labels: Any, message: str, reader: InputReader, root: Path
) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        read_gallery(images, labels, reader)
    assert message in str(raised.value)


def test_items_that_cannot_be_used(reader: InputReader, root: Path) -> None:
    images = [BGR, None, A, f"./{A}", "none.png", "https://h/a", "https://h/a", [BGR], "gallery"]
    labels = ["a", "b", 7, "c", "\ud800", None, "d", "e", "f"]
    with pytest.raises(InvalidRequestError) as raised:
        read_gallery(images, labels, reader)
    assert str(raised.value).splitlines() == [
        "the gallery: 7 items can't be used",
        "gallery_imgs[1]: of type NoneType: give an array or a path",
        "gallery_label[2] has type int: write it as a string",
        "gallery_label[4] is no Unicode text: it holds half of a surrogate pair",
        "gallery_imgs[4]: 'none.png': no such file: check the path",
        "gallery_label[5] has type NoneType: write it as a string",
        "gallery_imgs[7]: of type list: give an array or a path",
        "gallery_imgs[8]: 'gallery': a directory, not an image file",
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("1\n2\n", [1, 2]),
        ("1 Ann\r\n\n 2\tBob\n1", [1, 2, 1]),
        ("\ufeff7\n", [7]),
        ("-1\n99999999999999999999\n", [-1, 10**20 - 1]),
        ("", []),
    ],
)
def test_ids_of_a_file(content: str, expected: list[int], tmp_path: Path) -> None:
    file = tmp_path / "remove_ids.txt"
    file.write_text(content, encoding="utf-8", newline="")
    assert read_remove_ids(str(file)) == read_remove_ids(file) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([1, 2], [1, 2]),
        ((), []),
        (range(3), [0, 1, 2]),
        (np.array([4, 5]), [4, 5]),
        ([np.int64(3), -1], [3, -1]),
        (iter([1]), [1]),
    ],
)
def test_ids_of_a_list(given: Any, expected: list[int]) -> None:
    found = read_remove_ids(given)
    assert found == expected
    assert all(type(number) is int for number in found)


def test_what_is_no_id(tmp_path: Path) -> None:
    (tmp_path / "remove_ids.txt").write_text("1\nabc 3\n1.5\n\n2\n张\n", encoding="utf-8")
    for given, lines in {
        tmp_path / "remove_ids.txt": [
            "remove_ids.txt: 3 lines can't be used: write one id, an integer, on each",
            "line 2: 'abc 3'",
            "line 3: '1.5'",
            "line 6: '张'",
        ],
        (1, True, "2", 1.0, None): [
            "remove_ids: 4 items can't be used: give integers",
            "remove_ids[1] has type bool",
            "remove_ids[2] has type str",
            "remove_ids[3] has type float",
            "remove_ids[4] has type NoneType",
        ],
        7: ["remove_ids has type int: give a list of ids, or a file's path"],
        tmp_path / "none.txt": [f"remove_ids: there is no file {tmp_path / 'none.txt'}"],
    }.items():
        with pytest.raises(InvalidRequestError) as raised:
            read_remove_ids(given)
        assert str(raised.value).splitlines() == lines
