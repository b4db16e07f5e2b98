from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.errors import InvalidRequestError
from serve_app.evaluation.sets.lines import Line, read_lines


def test_lines_know_where_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes("\ufeffa b\r\n\r\n  c d  \n".encode())
    assert read_lines(file) == [Line("a b", "list.txt, line 1"), Line("c d", "list.txt, line 3")]


def test_fields_are_between_tabs_or_blanks() -> None:
    assert Line("a  b c", "").split() == ["a", "b", "c"]
    assert Line("a.jpg Ann Lee", "").split(maxsplit=1) == ["a.jpg", "Ann Lee"]
    assert Line("my picture.jpg\tyour picture.jpg\t 1", "").split() == [
        "my picture.jpg", "your picture.jpg", "1",
    ]  # fmt: skip
    assert Line("my picture.jpg\tAnn Lee", "").split(maxsplit=1) == ["my picture.jpg", "Ann Lee"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "list.txt is empty"),
        (b" \n\n", "list.txt is empty"),
        (b"\xff\xfea\x00", "list.txt is not a text in UTF-8: save it as one"),
    ],
)
def test_what_is_no_list(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(InvalidRequestError, match=message):
        read_lines(tmp_path / "list.txt")


def test_a_directory_is_no_list(tmp_path: Path) -> None:
    (tmp_path / "list.txt").mkdir()
    with pytest.raises(InvalidRequestError, match=r"^list.txt can't be read: Is a directory$"):
        read_lines(tmp_path / "list.txt")
