"""Lines of annotation files. What files say as a whole is ``test_annotation``'s."""

from __future__ import annotations

import pytest

from serve_app.errors import InvalidRequestError
from serve_app.pipeline.annotation_lines import line_fault, lines_of, split_line, utf8_content


def test_lines_and_numbers() -> None:
    assert list(lines_of(b"a b\n\nc d\r\n")) == [(1, b"a b"), (2, b""), (3, b"c d\r")]
    assert list(lines_of(b"a b")) == [(1, b"a b")]
    assert list(lines_of(b"")) == []


def test_path_and_label() -> None:
    assert split_line(" a.jpg \t Ann  Lee\r") == ("a.jpg", "Ann  Lee")
    assert split_line("a.jpg") == ("a.jpg", "")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"a.jpg", "has no label"),
        (b"a.jpg \xff", "is not UTF-8"),
        (b"a.jpg A\0", "the label holds"),
    ],
)
def test_faults(line: bytes, fault: str) -> None:
    assert fault in str(line_fault(line))


def test_no_fault() -> None:
    assert line_fault("a.jpg Jörg".encode()) is None


def test_marks() -> None:
    assert utf8_content("g.txt", b"\xef\xbb\xbfa b") == b"a b"
    with pytest.raises(InvalidRequestError, match=r"g\.txt is UTF-16"):
        utf8_content("g.txt", b"\xfe\xff")
