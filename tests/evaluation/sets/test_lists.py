from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.errors import InvalidRequestError
from serve_app.evaluation.sets.evaluation_set import LabelledImage, ListedPair
from serve_app.evaluation.sets.lists import has_lists, read_lists, read_pairs


def test_all_three_lists(tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text("a1 a2 1\na1 b1 0\n")
    (tmp_path / "gallery.txt").write_text("a1 Ann Lee\nb1 Bob\n")
    (tmp_path / "probes.txt").write_text("a2 Ann Lee\nx -\ny\t-\n")
    found = read_lists(tmp_path, tmp_path)
    assert found.pairs == [ListedPair("a1", "a2", True), ListedPair("a1", "b1", False)]
    assert found.gallery == [LabelledImage("a1", "Ann Lee"), LabelledImage("b1", "Bob")]
    assert found.probes[1:] == [LabelledImage("x", "-"), LabelledImage("y", "-")]
    assert found.person_of == {"a1": "Ann Lee", "b1": "Bob", "a2": "Ann Lee"}
    assert found.nameless == ["x", "y"]
    assert found.images() == ["a1", "a2", "b1", "x", "y"]
    assert found.listed_in["x"] == "probes.txt, line 2"
    assert found.name == tmp_path.name


def test_pairs_alone_know_no_people(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("a1 a2 1\n")
    found = read_pairs(tmp_path / "mine.txt", tmp_path / "elsewhere")
    assert (found.name, found.root, found.person_of) == ("mine.txt", tmp_path / "elsewhere", {})


def test_has_lists(tmp_path: Path) -> None:
    assert not has_lists(tmp_path)
    (tmp_path / "probes.txt").touch()
    assert has_lists(tmp_path)


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"pairs": "a b\n"}, "pairs.txt, line 1: 3 fields are expected, .* not 2"),
        ({"pairs": "a b 1\nmy a b 1\n"}, "pairs.txt, line 2: 3 fields .* separate by tabs.* not 4"),
        ({"pairs": "a b 1\n\na b no\n"}, "pairs.txt, line 3: the third field is 1 .* not no"),
        ({"pairs": "a a 1\n"}, "pairs.txt, line 1: a is paired with itself"),
        ({"gallery": "a Ann\n"}, "holds gallery.txt but no probes.txt: 1:N needs both"),
        ({"probes": "a Ann\n"}, "holds probes.txt but no gallery.txt: 1:N needs both"),
        ({"gallery": "a Ann\nb\n", "probes": "c -"}, "gallery.txt, line 2: 2 fields"),
        ({"gallery": "a -\n", "probes": "c -"}, "gallery.txt, line 1: - '-' is for strangers"),
        (
            {"gallery": "a Ann\n", "probes": "c Bob"},
            "probes.txt, line 1: Bob is nobody of gallery.txt: label a stranger '-'",
        ),
        (
            {"gallery": "a Ann\nb Bob\n", "probes": "a Bob"},
            "probes.txt, line 1: a is Bob, but gallery.txt, line 1 says Ann",
        ),
        ({"gallery": "a Ann\n", "probes": "a -"}, "a is -, but gallery.txt, line 1 says Ann"),
        ({"gallery": "", "probes": "a -"}, "gallery.txt is empty"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, lists: dict[str, str], message: str) -> None:
    for name, content in lists.items():
        (tmp_path / f"{name}.txt").write_text(content)
    with pytest.raises(InvalidRequestError, match=message):
        read_lists(tmp_path, tmp_path)
