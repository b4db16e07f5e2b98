"""A user's mistake: one line that says what to do, exit code 2, no traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from serve_app.cli.demo import read_photos, table
from serve_app.errors import InvalidRequestError

PROGRAM = str(Path(sys.executable).parent / "face-serve")


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "nowhere"], "nowhere holds neither pairs.txt nor gallery.txt"),
        (["evaluate", ".", "--pipeline", "none.yaml"], "none.yaml can't be read"),
        (["evaluate", ".", "--pipeline", "face"], "neither face_recognition nor a .yaml file"),
        (["serve", "--config", "none.yaml"], "none.yaml can't be read"),
        (["gallery", "list", "--config", "none.yaml"], "none.yaml can't be read"),
        (["gallery", "show", "x", "--data-dir", "."], "galleries.db is not"),
        (["gallery", "import", "nowhere", "x"], "nowhere is not a directory"),
        (["restore", "nowhere", "--data-dir", "."], "nowhere is not there or is no file"),
        (["demo", "nowhere"], "nowhere is not a directory"),
        (["demo", "--port", "1"], "start one with `make serve`"),
    ],
)
def test_mistakes(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = run(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.startswith("face-serve: ")
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "file", "content", "message"),
    [
        ("serve --config mine.yaml", "mine.yaml", "aplications: []", "did you mean applications?"),
        ("serve --config mine.yaml", "mine.yaml", "applications: [3]", "applications.0"),
        ("evaluate . --pipeline mine.yml", "mine.yml", "rec_topk: 0", "top_k"),
        ("evaluate .", "pairs.txt", "one.jpg two.jpg\n", "pairs.txt, line 1: 3 fields"),
        ("evaluate .", "pairs.txt", "one.jpg two.jpg 1\n", "one.jpg is listed but is not in"),
    ],
)
def test_mistakes_in_files(
    command: str, file: str, content: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / file).write_text(content, encoding="utf-8")
    result = run(*command.split(), cwd=tmp_path)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert str(tmp_path) not in result.stderr


def test_help_names_every_command(tmp_path: Path) -> None:
    result = run("--help", cwd=tmp_path)
    assert result.returncode == 0
    for command in ("serve", "demo", "evaluate", "gallery", "db", "backup", "restore"):
        assert command in result.stdout


def test_photos_are_read_by_person(tmp_path: Path) -> None:
    for name in ("Ann/1.jpg", "Ann/2.PNG", "Bob/x.jpeg", "both.jpg", "Ann/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    enrolled, probes = read_photos(tmp_path)
    assert [(photo.name, photo.label) for photo in enrolled] == [
        ("1.jpg", "Ann"),
        ("x.jpeg", "Bob"),
    ]
    assert [photo.name for photo in probes] == ["2.PNG", "both.jpg"]


def test_nobody_to_enrol(tmp_path: Path) -> None:
    (tmp_path / "lonely.jpg").write_bytes(b"")
    with pytest.raises(InvalidRequestError, match="a folder for each person"):
        read_photos(tmp_path)


def test_table_is_aligned() -> None:
    assert table([("who", "score"), ("Ann", "0.9")]) == "who  score\n---  -----\nAnn  0.9"
