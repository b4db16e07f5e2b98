from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.errors import InvalidRequestError
from serve_app.evaluation.sets.evaluation_set import EvaluationSet, ListedPair
from serve_app.evaluation.sets.lfw import is_lfw
from serve_app.evaluation.sets.lines import Line
from serve_app.evaluation.sets.lists import read_pairs


def read(tmp_path: Path, content: str) -> EvaluationSet:
    (tmp_path / "pairs.txt").write_text(content)
    return read_pairs(tmp_path / "pairs.txt", tmp_path)


@pytest.mark.parametrize("header", ["10\t300\n", "1100\n", ""])
def test_its_lines(tmp_path: Path, header: str) -> None:
    found = read(tmp_path, f"{header}Ann_Lee\t1\t12\nBob\t3\tAnn_Lee\t1\n")
    ann1, ann12 = "Ann_Lee/Ann_Lee_0001.jpg", "Ann_Lee/Ann_Lee_0012.jpg"
    assert found.pairs == [
        ListedPair(ann1, ann12, True),
        ListedPair("Bob/Bob_0003.jpg", ann1, False),
    ]
    assert found.person_of == {ann1: "Ann_Lee", ann12: "Ann_Lee", "Bob/Bob_0003.jpg": "Bob"}
    assert found.listed_in[ann1] == f"pairs.txt, line {2 if header else 1}"


def test_an_image_of_another_suffix(tmp_path: Path) -> None:
    (tmp_path / "Ann").mkdir()
    (tmp_path / "Ann" / "Ann_0002.png").touch()
    (pair,) = read(tmp_path, "Ann 1 2\n").pairs
    assert pair == ListedPair("Ann/Ann_0001.jpg", "Ann/Ann_0002.png", True)


@pytest.mark.parametrize(
    ("line", "expected"),
    [("10 300", True), ("300", True), ("Ann 1 2", True), ("Ann 1 Bob 2", True),
     ("a.jpg b.jpg 1", False), ("a b", False)],
)  # fmt: skip
def test_is_lfw(line: str, expected: bool) -> None:
    assert is_lfw([Line(line, "")]) is expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("10 300\n", "pairs.txt lists no pairs after its header"),
        ("10 300\nAnn 1\n", "pairs.txt, line 2: 'name n1 n2' or"),
        ("Ann 1 2\nAnn 1 two\n", "pairs.txt, line 2: 'name n1 n2' or"),
        ("Ann 1 Bob two\n", "pairs.txt, line 1: 'name n1 n2' or"),
        ("Ann 1 1\n", "pairs.txt, line 1: Ann/Ann_0001.jpg is paired with itself"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        read(tmp_path, content)
