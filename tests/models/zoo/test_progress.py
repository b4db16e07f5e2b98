from __future__ import annotations

import io

import pytest

from serve_app.models.zoo.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with progress_bar("MobileFaceNet") as progress:
        progress(1_000_000, None)
        progress(2_000_000, 4_000_000)
        progress(4_000_000, 4_000_000)
    last = terminal.getvalue().split("\r")[-1]
    assert "MobileFaceNet: 100%" in last
    assert "4.00M/4.00M" in last


def test_starting_over(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with progress_bar("x") as progress:
        progress(3_000, 4_000)
        progress(1_000, 2_000)
        progress(2_000, 2_000)
    assert "2.00k/2.00k" in terminal.getvalue().split("\r")[-1]


def test_nothing_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("x") as progress:
        progress(5, 10)
    assert capsys.readouterr() == ("", "")
