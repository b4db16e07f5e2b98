"""The lines of an annotation file: what is in one, and what is wrong with it.

Knows neither where the file lies nor whether there are such images.
"""

from __future__ import annotations

from collections.abc import Iterator

from serve_app.errors import InvalidRequestError
from serve_app.index.index_data import label_fault
from serve_app.pipeline.faults import shown

BLANK = " \t\r"
BOM = b"\xef\xbb\xbf"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def utf8_content(name: str, content: bytes) -> bytes:
    """Of a text file called ``name``, without a byte order mark. Raises InvalidRequestError for
    UTF-16, by its mark; other encodings show in the lines."""
    if content.startswith(UTF_16):
        raise InvalidRequestError(f"{name} is UTF-16: save it as UTF-8")
    return content.removeprefix(BOM)


def lines_of(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Numbers from 1, and lines without their ends."""
    start, number = 0, 0
    while start < len(content):
        end = content.find(b"\n", start)
        end = len(content) if end < 0 else end
        number += 1
        yield number, content[start:end]
        start = end + 1


def split_line(line: str) -> tuple[str, str]:
    """Path and label; the label is empty if there is none."""
    line = line.strip(BLANK)
    end = next((at for at, letter in enumerate(line) if letter in BLANK), len(line))
    return line[:end], line[end:].strip(BLANK)


def line_fault(line: bytes) -> str | None:
    """Why a line that is not blank names no image and label; None if it does."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        readable = line.decode("utf-8", "replace")
        return f"{shown(readable)} is not UTF-8: save the file in that encoding"
    _, label = split_line(text)
    if not label:
        return f"{shown(text)} has no label: write the path, a space and the label"
    if fault := label_fault(label):
        return f"the label {fault}"
    return None


def names_no_image(name: str) -> InvalidRequestError:
    """To be raised for a file of blank lines."""
    return InvalidRequestError(
        f"{name} names no image: write the path and the label of one on each line"
    )
