"""Results as text."""

from __future__ import annotations

from typing import Any

from serve_app.cli.recognised import Tally, described


def box(*found: tuple[str, float]) -> dict[str, Any]:
    return {
        "labels": [label for label, _ in found] or None,
        "rec_scores": [score for _, score in found] or None,
        "det_score": 0.9,
        "coordinate": [10.4, 20.6, 110.5, 140.0],
    }


def result(*boxes: dict[str, Any], path: str = "a.jpg") -> dict[str, Any]:
    return {"input_path": path, "boxes": list(boxes)}


def test_a_picture_of_one_face_is_a_line() -> None:
    assert described(result(box(("Ann", 0.91)))) == "a.jpg: Ann  0.910  box 10,21-110,140"
    assert described(result(box())) == "a.jpg: unknown  box 10,21-110,140"
    assert described(result()) == "a.jpg: no face"


def test_a_picture_of_several_is_a_table() -> None:
    text = described(result(box(("张伟", 0.91)), box(), box(("Olga", 0.5), ("Ann", 0.4))))
    assert text.splitlines() == [
        "a.jpg: 3 faces",
        "  张伟     0.910  box 10,21-110,140",
        "  unknown         box 10,21-110,140",
        "  Olga     0.500  box 10,21-110,140  or Ann 0.400",
    ]


def test_other_people_are_named_once_nearest_first() -> None:
    found = [("Ann", 0.9), ("Bob", 0.8), ("Ann", 0.7), ("Cy", 0.6), ("Bob", 0.5)]
    assert described(result(box(*found))).endswith("or Bob 0.800, Cy 0.600")


def test_labels_and_names_can_not_break_the_line() -> None:
    text = described(result(box(("A\nn\x1b[2J", 0.9)), path="\x1b.jpg"))
    assert text == r"\x1b.jpg: A\nn\x1b[2J  0.900  box 10,21-110,140"


def test_tally() -> None:
    tally = Tally()
    tally.add(result(box(("Ann", 0.9)), box()))
    assert list(tally.summary(left_out=0)) == []
    (one,) = tally.summary(left_out=1)
    assert one.startswith("1 picture, 2 faces: 1 recognised, 1 unknown; 1 left out (")
    tally.add(result())
    (both,) = tally.summary(left_out=0)
    assert both.startswith("2 pictures, 2 faces: 1 recognised, 1 unknown (")
    (none,) = Tally().summary(left_out=0)
    assert none.startswith("0 pictures, 0 faces (")
