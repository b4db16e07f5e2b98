"""A bar where it disturbs nobody, and the pipeline's warnings as lines."""

from __future__ import annotations

import logging
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from serve_app.cli.progress import Progress

CODE = """
import sys
from serve_app.cli.progress import Progress
with Progress(lambda: 2, saving=sys.argv[1] == "saving") as progress:
    for line in "ab":
        progress.print(line)
        progress.step()
"""


def watched(saving: str, stdout: int | None) -> str:
    """What stands on the terminal that standard error is, and standard output if that is None."""
    terminal, other = pty.openpty()
    termios.tcsetwinsize(other, (24, 80))
    try:
        subprocess.run(
            [sys.executable, "-c", CODE, saving],
            stdout=other if stdout is None else stdout, stderr=other, check=True, timeout=30,
        )  # fmt: skip
        os.close(other)
        shown = b""
        while part := _read(terminal):
            shown += part
        return shown.decode()
    finally:
        os.close(terminal)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the end, on Linux
        return b""


def test_a_bar_beside_a_file(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        shown = watched("printing", file.fileno())
    assert "2/2" in shown
    assert (tmp_path / "out").read_text() == "a\nb\n"


def test_a_bar_beside_lines_where_files_are_saved() -> None:
    shown = watched("saving", None)
    assert "2/2" in shown
    assert "a\r\n" in shown


def test_no_bar_among_lines() -> None:
    assert watched("printing", None) == "a\r\nb\r\n"


def test_no_bar_beside_a_pipe() -> None:
    """``less`` and ``grep`` write to the same terminal."""
    reading, writing = os.pipe()
    assert watched("saving", writing) == ""
    os.close(writing)
    assert os.read(reading, 10) == b"a\nb\n"
    os.close(reading)


def test_without_a_terminal_pictures_are_not_counted() -> None:
    def count() -> int:
        raise AssertionError("asked for a bar that nobody sees")

    with Progress(count, saving=True):
        pass


def test_warnings_of_the_pipeline_are_lines(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("serve_app.pipeline.recognition")
    with Progress(lambda: None, saving=False) as progress:
        logger.warning("left out: %s", "\x1b.jpg")
    assert progress.left_out == 1
    assert capsys.readouterr().err == "face-serve: left out: \\x1b.jpg\n"
    assert caplog.records == []
    logger.warning("somebody else's")
    assert progress.left_out == 1
    assert len(caplog.records) == 1
