"""A user's mistake: one line that says what to do, exit code 2, no traceback."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from serve_app.cli.demo import read_photos
from serve_app.cli.main import EXIT_CODES, INTERNAL, app, main
from serve_app.errors import FaceServeError, InvalidRequestError

from .processes import run

HEAVY = {
    "cv2", "faiss", "httpx", "numpy", "onnx", "onnxruntime", "openvino", "paddle", "pydantic",
    "ray", "sqlalchemy", "tqdm", "yaml",
}  # fmt: skip
"""What a command imports when it is chosen, and the help never."""


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
        ("evaluate . --pipeline mine.yml", "mine.yml", "rec_topk: 0", "mine.yml: rec_topk: "),
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
    named = {line.split()[0] for line in result.stdout.splitlines() if line.startswith("  ")}
    assert named >= {
        "predict", "verify", "evaluate", "index", "models", "config", "serve", "demo", "gallery",
        "backup", "restore", "db",
    }  # fmt: skip
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    assert EXIT_CODES.splitlines()[-1].strip() in result.stdout


@pytest.mark.parametrize(
    "command",
    [
        ["predict"], ["verify"], ["evaluate"], ["config", "check"], ["index", "build"],
        ["index", "append"], ["index", "remove"], ["index", "inspect"],
    ],
)  # fmt: skip
def test_help_has_an_example(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert f"face-serve {' '.join(command)}" in result.output.partition("Example")[2]


def test_help_imports_nothing_heavy() -> None:
    code = "import serve_app.cli.main, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert HEAVY & set(done.stdout.split()) == set()


def test_version(tmp_path: Path) -> None:
    result = run("--version", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, f"face-serve {version('face-serve')}\n")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (FaceServeError("a\x1b[2J is wrong"), 2, "a\\x1b[2J is wrong"),
        (PermissionError(13, "Permission denied", "out/a.jpg"), 2, "out/a.jpg: Permission denied"),
        (OSError(12, "Cannot allocate memory"), INTERNAL, "internal error (OSError): FACE_SERVE_"),
        (KeyError("secret"), INTERNAL, "internal error (KeyError): FACE_SERVE_TRACEBACK=1 shows"),
        (KeyboardInterrupt(), 130, ""),
        (typer.Exit(1), 1, ""),
    ],
)
def test_ends(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.delenv("FACE_SERVE_TRACEBACK", raising=False)
    monkeypatch.setattr("sys.argv", ["face-serve", "gallery", "list"])
    monkeypatch.setattr("serve_app.cli.gallery.open_store", fail)
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr().err
    assert ended.value.code == code
    assert printed.startswith(f"face-serve: {said}" if said else "")
    assert "secret" not in printed
    assert "Traceback" not in printed


def test_a_traceback_is_shown_to_those_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("secret")

    monkeypatch.setenv("FACE_SERVE_TRACEBACK", "1")
    monkeypatch.setattr("sys.argv", ["face-serve", "gallery", "list"])
    monkeypatch.setattr("serve_app.cli.gallery.open_store", fail)
    with pytest.raises(KeyError):
        main()


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
