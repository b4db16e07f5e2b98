"""Everything that ``predict`` takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from serve_app.errors import FetchError, InvalidImageError, InvalidRequestError, TooLargeError
from serve_app.imaging import ImageLimits
from serve_app.pipeline.inputs import Input, InputReader, is_url, rgb_of

LIMITS = ImageLimits(max_bytes=10_000, max_pixels=10_000)
BGR = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
PNG = bytes(cv2.imencode(".png", BGR)[1].tobytes())
URL = "https://example.org/images/friends1.jpg?sig=secret#x"


def fetch(url: str) -> bytes:
    if "gone" in url:
        raise FetchError("example.org answered with status 404")
    return PNG


@pytest.fixture
def reader() -> InputReader:
    return InputReader(LIMITS, fetch)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with images."""
    (tmp_path / "images" / "deep").mkdir(parents=True)
    for name in ("images/a.png", "images/b.png", "images/deep/c.png", "friends.png"):
        (tmp_path / name).write_bytes(PNG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def paths(inputs: Iterator[Input]) -> list[str | None]:
    return [one.path for one in inputs]


IN_IMAGES = ["images/a.png", "images/b.png", "images/deep/c.png"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("friends.png", ["friends.png"]),
        ("./friends.png", ["./friends.png"]),
        (Path("friends.png"), ["friends.png"]),
        (np.str_("friends.png"), ["friends.png"]),
        (BGR, [None]),
        (URL, [URL]),
        ("images", IN_IMAGES),
        ("images/", IN_IMAGES),
        (Path("images"), IN_IMAGES),
        ({"img": "friends.png"}, ["friends.png"]),
        ({"img": "images"}, IN_IMAGES),
        ({"img": BGR}, [None]),
        ({"img": ["friends.png", {"img": URL}]}, ["friends.png", URL]),
        (["friends.png", BGR, URL, "images"], ["friends.png", None, URL, *IN_IMAGES]),
        ([BGR, BGR], [None, None]),
        (["images", "images"], IN_IMAGES * 2),
        ([{"img": "images"}, {"img": "friends.png"}], [*IN_IMAGES, "friends.png"]),
        (("friends.png",), ["friends.png"]),
        ([["friends.png"], [["images"]]], ["friends.png", *IN_IMAGES]),
        (np.array(["friends.png", "images"]), ["friends.png", *IN_IMAGES]),
        ((name for name in ["friends.png"]), ["friends.png"]),
        ({"friends.png": 1}.keys(), ["friends.png"]),
        ([], []),
        ([[], ()], []),
    ],
)
def test_what_is_taken(
    value: Any, expected: list[str | None], reader: InputReader, here: Path
) -> None:
    inputs = list(reader.expand(value))
    assert [one.path for one in inputs] == expected
    rgb = BGR[:, :, ::-1]
    for one in inputs:
        np.testing.assert_array_equal(one.pixels(), rgb)
        np.testing.assert_array_equal(one.pixels(), rgb)  # anew
        source = one.read()
        assert source == PNG if isinstance(source, bytes) else np.array_equal(source, rgb)


def test_names_of_results(reader: InputReader, here: Path) -> None:
    given = [BGR, "friends.png", "images", BGR, URL, "https://example.org/", BGR]
    assert [one.name for one in reader.expand(given)] == [
        "image_0.png", "friends.png", "a.png", "b.png", "c.png", "image_5.png", "friends1.jpg",
        "image_7.png", "image_8.png",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://h/a%20b.jpg", "a b.jpg"),
        ("http://h/%E5%BC%A0.png", "张.png"),
        ("http://h/x/..%2F..%2Fetc%2Fpasswd", "_.._etc_passwd"),
        ("http://h/x%00y%0a.jpg", "x_y_.jpg"),
        ("http://h/.hidden.jpg", "hidden.jpg"),
        ("http://h/..", "image_0.png"),
        ("http://h?a/b.jpg", "image_0.png"),
        ("http://[h/a.jpg", "image_0.png"),
        ("http://h/" + "x" * 500 + ".jpg", "x" * 96 + ".jpg"),
        ("HTTPS://h/a.jpg", "a.jpg"),
    ],
)
def test_names_from_urls(url: str, name: str, reader: InputReader) -> None:
    assert [one.name for one in reader.expand(url)] == [name]


def test_what_messages_call_them(reader: InputReader, here: Path) -> None:
    given = [BGR, "friends.png", "images", URL]
    assert [one.where for one in reader.expand(given)] == [
        "image 0", "friends.png", *IN_IMAGES, "https://example.org/images/friends1.jpg",
    ]  # fmt: skip
    assert reader.one("friends.png", "gallery.txt, line 3").where == "gallery.txt, line 3"
    assert "secret" not in repr(reader.one(URL).where)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("nowhere.png", InvalidRequestError, "nowhere.png: no such file: check the path"),
        ("notes.pdf", InvalidRequestError, "notes.pdf: a PDF is not read: save its pages"),
        ("cfg.yaml", InvalidRequestError, "cfg.yaml: .yaml is not read"),
        ("torn.png", InvalidImageError, "torn.png: image is truncated"),
        ("large.png", TooLargeError, "large.png: file of 10001 bytes, over the limit of 10000"),
        ("https://h/gone?key=1", FetchError, "https://h/gone: example.org answered with status"),
        (BGR.astype(float), InvalidRequestError, r"image 0: an array \(4, 6, 3\) of float64 is no"),
        ("/9j/" * 5000, InvalidRequestError, "no path: base64 is not taken here"),
        ("", InvalidRequestError, "'': an empty path"),
    ],
)
def test_what_shows_when_it_is_read(
    value: Any, error: type[Exception], message: str, reader: InputReader, here: Path
) -> None:
    (here / "notes.pdf").write_bytes(b"%PDF")
    (here / "cfg.yaml").touch()
    (here / "torn.png").write_bytes(PNG[:-20])
    (here / "large.png").write_bytes(bytes(10_001))
    first, last = reader.expand([value, "friends.png"])
    with pytest.raises(error, match=message) as raised:
        first.pixels()
    assert len(str(raised.value)) < 250
    if error is not InvalidImageError:
        with pytest.raises(error) as unnamed:
            first.read()
        assert str(raised.value) == f"{first.where}: {unnamed.value}"
    np.testing.assert_array_equal(last.pixels(), BGR[:, :, ::-1])


class Tensor:
    """As of another library: iterable, with a shape."""

    shape = (4, 6, 3)

    def __iter__(self) -> Iterator[object]:
        raise AssertionError("not to be taken apart")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "image 0 is None: give an array"),
        (7, "image 0 has type int: give an array"),
        (b"abc", "image 0 has type bytes"),
        (bytearray(b"abc"), "image 0 has type bytearray"),
        (PillowImage.new("RGB", (2, 2)), "image 0 has type Image"),
        (Tensor(), "image 0 has type Tensor"),
        (["friends.png", None], "image 1 is None"),
        ([BGR, [BGR, 3.5]], "image 2 has type float"),
        ({}, r'a dict in the input is empty: write {"img": image}'),
        ({"image": "friends.png"}, "a dict in the input has the key 'image': write"),
        ({"img": "friends.png", "input": 1}, "has the key 'input'"),
        ([{"img": None}], "image 0 is None"),
        ("empty", "empty: no image file in this directory"),
    ],
)
def test_what_is_refused(value: Any, message: str, reader: InputReader, here: Path) -> None:
    """PaddleX leaves most of these out with a line in the log, and yields nothing."""
    (here / "empty").mkdir()
    with pytest.raises(InvalidRequestError, match=message):
        list(reader.expand(value))


def test_an_open_file_is_no_list(reader: InputReader, here: Path) -> None:
    with (here / "friends.png").open("rb") as file, pytest.raises(InvalidRequestError):
        list(reader.expand(file))


def test_a_list_in_itself(reader: InputReader) -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(InvalidRequestError, match="nested more than 20 deep"):
        list(reader.expand(value))


def test_nothing_is_taken_before_its_turn(reader: InputReader, here: Path) -> None:
    taken: list[str] = []

    def names() -> Iterator[Any]:
        for name in ("friends.png", "images", None):
            taken.append(str(name))
            yield name

    inputs = reader.expand(names())
    assert taken == []
    assert [next(inputs).path for _ in range(4)] == ["friends.png", *IN_IMAGES]
    assert taken == ["friends.png", "images"]
    with pytest.raises(InvalidRequestError, match="image 4 is None"):
        next(inputs)


def test_a_million_names_take_no_memory(reader: InputReader) -> None:
    inputs = reader.expand(BGR for _ in range(10**6))
    for _ in range(1000):
        next(inputs)
    assert next(inputs).name == "image_1000.png"


def test_one_image_only(reader: InputReader, here: Path) -> None:
    assert reader.one(BGR, position=7).name == "image_7.png"
    with pytest.raises(InvalidRequestError, match="a directory, not an image file"):
        reader.one("images").read()
    with pytest.raises(InvalidRequestError, match=r"gallery_imgs\[3\] has type list"):
        reader.one([BGR], "gallery_imgs[3]")


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3), (4, 6, 4), (1, 1, 3)])
def test_arrays_as_opencv_has_them(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    expected = array if array.ndim == 3 else array[:, :, None]
    expected = np.repeat(expected, 3, 2) if expected.shape[2] == 1 else expected[:, :, 2::-1]
    found = rgb_of(array)
    np.testing.assert_array_equal(found, expected)
    found[:] = 0
    assert array.any()  # a copy
    np.testing.assert_array_equal(rgb_of(array[::-1, ::-1]), expected[::-1, ::-1])


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 6, 3), np.float32),
        np.zeros((4, 6, 3), bool),
        np.zeros((3, 40, 60), np.uint8),
        np.zeros((4, 6, 2), np.uint8),
        np.zeros((2, 4, 6, 3), np.uint8),
        np.zeros((0, 6, 3), np.uint8),
        np.zeros((4,), np.uint8),
        np.array(3, np.uint8),
        np.array([1, 2]),
    ],
    ids=lambda array: f"{array.shape} {array.dtype}",
)
def test_arrays_that_are_no_image(array: Any, reader: InputReader) -> None:
    with pytest.raises(InvalidRequestError, match=r"image 0: an array .* is no image: give \(H"):
        [one.pixels() for one in reader.expand(array)]


def test_urls() -> None:
    given = ["http://h/a", "HTTPS://h", "file:///a", "a.jpg", "http:/a", ""]
    assert [is_url(each) for each in given] == [True, True, False, False, False, False]
