"""Sections of the help, and a reader that goes away."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from serve_app.cli.group import READER_GONE, SECTIONS
from serve_app.cli.main import app

from .processes import PROGRAM, run


def test_every_command_stands_in_a_section(tmp_path: Path) -> None:
    assert {command.rich_help_panel for command in app.registered_commands} <= set(SECTIONS)
    assert {group.rich_help_panel for group in app.registered_groups} <= set(SECTIONS)
    lines = run("--help", cwd=tmp_path).stdout.splitlines()
    headings = [line.removesuffix(":") for line in lines if line.endswith(":")]
    assert [heading for heading in headings if heading in SECTIONS] == list(SECTIONS)


def test_a_reader_that_went_away_is_nobodys_mistake(tmp_path: Path) -> None:
    (tmp_path / "right.yaml").write_text("rec_topk: 3", encoding="utf-8")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [PROGRAM, "config", "check", "right.yaml", "--show"],
            cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, check=False, timeout=60,
        )  # fmt: skip
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (READER_GONE, b"")
