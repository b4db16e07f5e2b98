"""What is printed stays in its column, on its line and on its terminal."""

from __future__ import annotations

import io
import json

import pytest

from serve_app.cli.output import (
    complain,
    counted,
    facts,
    json_line,
    print_json,
    printable,
    table,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ann Smith", "Ann Smith"),
        ("张伟 Ольга José", "张伟 Ольга José"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x9b2J", r"\x9b2J"),  # the same in one byte, for some terminals
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\udcff.jpg", r"\udcff.jpg"),  # a file's name that is no text
        ("\u3000", "\u3000"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_table_is_aligned() -> None:
    assert table([("who", "score"), ("Ann", "0.9")]) == "who  score\n---  -----\nAnn  0.9"


def test_wide_letters_take_two_columns() -> None:
    assert table([("who", "x"), ("张伟", "1"), ("Jo\n", "2")]).splitlines() == [
        "who   x", "----  -", "张伟  1", r"Jo\n  2",
    ]  # fmt: skip


def test_facts() -> None:
    assert facts({"key": "staff", "templates": 3}) == "key        staff\ntemplates  3"


def test_counted() -> None:
    assert counted(1, "face") == "1 face"
    assert counted(0, "face") == "0 faces"
    assert counted(1200, "person", "people") == "1,200 people"


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_json_is_json_in_every_encoding(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace")
    monkeypatch.setattr("sys.stdout", stdout)
    value = {"label": "张伟 é", "path": "\udcff.jpg"}
    print(json_line(value))
    print_json([value])
    stdout.flush()
    written = stdout.buffer.getvalue()
    line, _, rest = written.partition(b"\n")
    assert json.loads(line.decode(encoding)) == value
    assert json.loads(rest.decode(encoding)) == [value]
    assert ("张".encode() in line) == (encoding == "utf-8")


def test_complaints_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    complain("2 lines can't be used\nline 1: \x1b[2J")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "face-serve: 2 lines can't be used\nline 1: \\x1b[2J\n"
