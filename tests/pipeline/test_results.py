"""The result of an image: PaddleX's mapping and its ways out."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from serve_app.drawing import draw
from serve_app.errors import InvalidRequestError, UnavailableError
from serve_app.imaging import ImageLimits
from serve_app.pipeline.inputs import InputReader
from serve_app.pipeline.results import FaceResult, SavedNames, face_box
from serve_app.types import Candidate, Image

RGB = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
KNOWN = face_box(
    (10.5, 20.25, 60.0, 80.0),
    0.9861429929733276,
    [
        Candidate(1, "张三", float(np.float32(0.9998256))),
        Candidate(0, "ID0", float(np.float32(0.975578))),
    ],
)
UNKNOWN = face_box((90, 20, 130, 70), 0.75, [])
BOXES = [KNOWN, UNKNOWN]


def result(
    path: str | None = "images/friends.jpg",
    name: str = "friends.jpg",
    names: SavedNames | None = None,
    image: Image = RGB,
    boxes: list[dict[str, Any]] = BOXES,
) -> FaceResult:
    return FaceResult(path, name, boxes, lambda: image, names or SavedNames())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(directory: Path | str = ".") -> list[str]:
    root = Path(directory)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_a_box() -> None:
    assert KNOWN == {
        "labels": ["张三", "ID0"],
        "rec_scores": [0.9998255968093872, 0.9755780100822449],
        "det_score": 0.9861429929733276,
        "coordinate": [10.5, 20.25, 60.0, 80.0],
    }
    assert list(KNOWN) == ["labels", "rec_scores", "det_score", "coordinate"]
    assert UNKNOWN == {
        "labels": None, "rec_scores": None, "det_score": 0.75, "coordinate": [90, 20, 130, 70],
    }  # fmt: skip
    given = (np.float32(1), np.float32(2), np.float32(3), np.float32(4))
    made = face_box(given, np.float32(0.5), [Candidate(0, "a", np.float32(0.25))])  # type: ignore[arg-type]
    numbers = [*made["coordinate"], made["det_score"], *made["rec_scores"]]
    assert all(type(number) is float for number in numbers)


def test_it_is_a_mapping() -> None:
    one = result()
    assert isinstance(one, Mapping)
    assert list(one) == ["input_path", "boxes"]
    assert one["input_path"] == "images/friends.jpg"
    assert [box["labels"] for box in one["boxes"]] == [["张三", "ID0"], None]
    assert one == {"input_path": "images/friends.jpg", "boxes": BOXES}
    assert json.loads(json.dumps(one)) == dict(one)
    assert one.json == {"res": {"input_path": "images/friends.jpg", "boxes": BOXES}}
    assert type(one.json["res"]) is dict
    one["boxes"][0]["labels"] = ["changed"]
    assert KNOWN["labels"] == ["张三", "ID0"]


def test_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    one = result()
    one.print()
    shown = capsys.readouterr().out
    assert shown.startswith('{\n    "res": {\n        "input_path": "images/friends.jpg",\n')
    assert json.loads(shown) == one.json
    assert "张三" in shown
    assert shown.endswith("}\n")
    one.print(True, 2, True)
    shown = capsys.readouterr().out
    assert shown.startswith('{\n  "res": {\n    "input_path"')
    assert r'"\u5f20\u4e09"' in shown
    one.print(format_json=False)
    assert capsys.readouterr().out == f"{one.json}\n"


def test_printed_where_labels_cannot_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding="ascii"))
    result(path=os.fsdecode(b"\xff.jpg")).print()
    sys.stdout.flush()
    found = json.loads(out.getvalue())["res"]
    assert found["boxes"][0]["labels"] == ["张三", "ID0"]
    assert found["input_path"] == "\udcff.jpg"


def test_saved_as_json(here: Path) -> None:
    one = result()
    one.save_to_json("out/")
    text = Path("out/friends.json").read_text("utf-8")
    assert json.loads(text) == dict(one)  # without "res", as PaddleX
    assert text.startswith('{\n    "input_path": "images/friends.jpg",\n    "boxes": [\n')
    assert "张三" in text
    one.save_to_json(Path("out2/x.json"), indent=2, ensure_ascii=True)
    text = Path("out2/x.json").read_text("ascii")
    assert text.startswith('{\n  "input_path"')
    assert json.loads(text) == dict(one)
    result(path=os.fsdecode(b"\xff.jpg"), name="a.jpg").save_to_json("out3")
    assert json.loads(Path("out3/a.json").read_text("utf-8"))["input_path"] == "\udcff.jpg"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("friends.jpg", "friends.jpg"), ("friends.JPEG", "friends.JPEG"),
        ("friends.png", "friends.png"), ("friends.bmp", "friends.bmp"),
        ("friends.webp", "friends.webp"), ("friends.tiff", "friends.tiff"),
        ("friends.gif", "friends.png"), ("friends", "friends.png"),
        ("fr.ie.nds.jpg", "fr.ie.nds.jpg"), ("朋友.jpg", "朋友.jpg"),
    ],
)  # fmt: skip
def test_saved_as_a_picture(name: str, written: str, here: Path) -> None:
    one = result(path=name, name=name)
    one.save_to_img("./output/")
    assert files("output") == [written]
    content = np.fromfile(f"output/{written}", np.uint8)
    found = cv2.cvtColor(cv2.imdecode(content, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    drawn = draw(RGB, [((10.5, 20.25, 60, 80), "张三", KNOWN["rec_scores"][0]),
                       ((90, 20, 130, 70), None, None)])  # fmt: skip
    if Path(written).suffix in (".png", ".bmp", ".tiff"):
        np.testing.assert_array_equal(found, drawn)
    assert np.abs(found.astype(int) - drawn).mean() < 40
    assert one.img.keys() == {"res"}
    assert (one.img["res"].mode, one.img["res"].size) == ("RGB", (160, 120))
    np.testing.assert_array_equal(np.asarray(one.img["res"]), drawn)


def test_formats_are_their_suffix(here: Path) -> None:
    for suffix, magic in {
        "jpg": b"\xff\xd8", "png": b"\x89PNG", "bmp": b"BM", "webp": b"RIFF", "tif": b"II",
    }.items():  # fmt: skip
        result().save_to_img(f"x.{suffix}")
        assert Path(f"x.{suffix}").read_bytes().startswith(magic)
    with pytest.raises(InvalidRequestError, match=r"x\.gif: pictures are written as \.jpg"):
        result().save_to_img("x.gif")
    with pytest.raises(InvalidRequestError, match=r"out\.v2: .* end a directory's name with a"):
        result().save_to_img("out.v2")
    result().save_to_img("out.v2/")
    assert Path("out.v2/friends.jpg").is_file()


def test_save_all(here: Path) -> None:
    for save_path in ("out", "out2/", Path("out3")):
        result().save_all(save_path)
        assert files(save_path) == ["friends.jpg", "friends.json"]
    with pytest.raises(InvalidRequestError, match=r"x\.png is a file: name a directory"):
        result().save_all("x.png")


def test_arrays(here: Path) -> None:
    one = result(None, "image_0.png")
    one.save_all("out")
    assert one["input_path"] is None
    assert json.loads(Path("out/image_0.json").read_text("utf-8"))["input_path"] is None
    assert files("out") == ["image_0.json", "image_0.png"]


def test_no_result_takes_anothers_name(here: Path) -> None:
    names = SavedNames()
    given = ["a/x.jpg", "b/x.jpg", "x.png", "y.jpg"]
    results = [result(path, Path(path).name, names) for path in given]
    for one in results:
        one.save_to_json("out")
        one.save_to_img("out/")
        one.save_to_json(here / "out")  # the same directory, and again
        one.save_to_img("other")
    expected = ["x.jpg", "x.json", "x_2.jpg", "x_2.json", "x_3.json", "x_3.png", "y.jpg", "y.json"]
    assert files("out") == expected
    for number, stem in enumerate(["x", "x_2", "x_3", "y"]):
        found = json.loads(Path(f"out/{stem}.json").read_text("utf-8"))
        assert found["input_path"] == given[number]
    assert len(files("other")) == 4
    # Another call, or the script run again, replaces what the first one wrote.
    result("a/x.jpg", "x.jpg", SavedNames()).save_all("out")
    assert files("out") == expected


def test_the_input_is_never_overwritten(here: Path) -> None:
    reader = InputReader(ImageLimits(), lambda _: b"")
    (here / "photos" / "deep").mkdir(parents=True)
    pictures = ["photos/a.png", "photos/deep/a.png", "photos/deep/b.png"]
    for name in pictures:
        Path(name).write_bytes(cv2.imencode(".png", RGB)[1].tobytes())
    before = {name: Path(name).read_bytes() for name in pictures}
    for run in range(2):
        names = SavedNames()
        for one in reader.expand(pictures):
            found = FaceResult(one.path, one.name, BOXES, one.pixels, names)
            found.save_to_img("photos")
            found.save_to_img(str(Path(str(one.path)).parent))
        assert {name: Path(name).read_bytes() for name in pictures} == before
        # Without knowing what lay there before the first run.
        again = ["a_2_res.png"] if run else []
        assert files("photos") == sorted(
            ["a.png", "a_res.png", "a_2.png", "b.png", "deep/a.png", "deep/a_res.png",
             "deep/b.png", "deep/b_res.png", *again, *(["b_res.png"] if run else [])]
        )  # fmt: skip


def test_the_input_named_as_target(here: Path) -> None:
    Path("a.png").write_bytes(b"mine")
    Path("link.png").symlink_to("a.png")
    for target in ("a.png", "./a.png", here / "a.png", "link.png"):
        with pytest.raises(InvalidRequestError, match="is the input itself: give another name"):
            result("a.png", "a.png").save_to_img(target)
    assert Path("a.png").read_bytes() == b"mine"


def test_the_input_behind_a_link(here: Path) -> None:
    (here / "real").mkdir()
    (here / "links").mkdir()
    Path("real/a.png").write_bytes(b"mine")
    Path("links/a.png").symlink_to(here / "real" / "a.png")
    for save_path in ("real", "links"):
        result("links/a.png", "a.png").save_to_img(save_path)
    assert files() == ["links/a.png", "links/a_res.png", "real/a.png", "real/a_res.png"]
    assert Path("links/a.png").is_symlink()
    assert Path("real/a.png").read_bytes() == b"mine"


def test_a_url_is_no_file(here: Path) -> None:
    result("https://example.org/friends1.jpg", "friends1.jpg").save_to_img(".")
    result("https://example.org/friends1.jpg", "friends1.jpg").save_to_img(".")
    assert files() == ["friends1.jpg"]


def test_places_where_nothing_can_be_written(here: Path) -> None:
    Path("file").touch()
    with pytest.raises(UnavailableError, match=r"^friends\.json can't be written: ") as raised:
        result().save_to_json("file/deep/")
    with pytest.raises(UnavailableError, match=r"^x\.png can't be written: "):
        result().save_to_img("file/x.png")
    assert str(here) not in str(raised.value)


def test_a_picture_that_is_too_large_for_its_format(here: Path) -> None:
    wide = np.zeros((2, 70_000, 3), np.uint8)
    for name in ("x.jpg", "x.webp"):
        with pytest.raises(InvalidRequestError, match=rf"{name}: 70000 x 2 pixels are too many"):
            result(image=wide, boxes=[]).save_to_img(name)
    result(image=wide, boxes=[]).save_to_img("x.png")
    assert files() == ["x.png"]


def test_pixels_are_read_when_they_are_needed(here: Path) -> None:
    reads: list[int] = []

    def read() -> Image:
        reads.append(1)
        return RGB

    one = FaceResult("a.jpg", "a.jpg", BOXES, read, SavedNames())
    one.print()
    one.save_to_json("out")
    assert not reads
    one.save_to_img("out")
    assert len(one.img) == len(reads[1:]) == 1


def test_an_input_that_went_away(here: Path) -> None:
    Path("a.png").write_bytes(cv2.imencode(".png", RGB)[1].tobytes())
    (one,) = InputReader(ImageLimits(), lambda _: b"").expand("a.png")
    found = FaceResult(one.path, one.name, BOXES, one.pixels, SavedNames())
    Path("a.png").unlink()
    with pytest.raises(InvalidRequestError, match=r"a\.png: no such file"):
        found.save_to_img("out")
    assert files() == []
