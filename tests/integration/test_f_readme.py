"""The README's commands do what it says."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.service import ROOT, Service

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```$", README, re.S | re.M)
COMMANDS = [line for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]
GROUPS = {"gallery", "index", "keys", "models"}
HERE = "http://127.0.0.1:8080"


def run(command: list[str], cwd: Path) -> str:
    result = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_make_knows_it(command: str) -> None:
    """A dry run: the commands themselves run as this very test run, or in the tests beside it."""
    name, *arguments = shlex.split(command)
    run([name, "--dry-run", *arguments], ROOT)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith(".venv/bin/")])
def test_program_has_these_options(command: str) -> None:
    program, subcommand, *arguments = shlex.split(command)
    words = [subcommand, arguments[0]] if subcommand in GROUPS else [subcommand]
    text = run([str(Path(sys.executable).parent / Path(program).name), *words, "--help"], ROOT)
    for option in arguments:
        assert not option.startswith("--") or option in text
        assert not option.startswith("configs/") or (ROOT / option).exists()


def test_python_example(service: Service, tmp_path: Path) -> None:
    over_http, in_process = [block for kind, block in BLOCKS if kind == "python"]
    script = tmp_path / "example.py"
    script.write_text(over_http.replace(HERE, service.url), encoding="utf-8")
    output = run([sys.executable, str(script)], tmp_path)
    assert output.startswith("{'0': 'Eileen Collins'}\n[{'label': 'Eileen Collins', 'score': ")
    script.write_text(in_process, encoding="utf-8")
    (box,) = json.loads(run([sys.executable, str(script)], tmp_path))["res"]["boxes"]
    assert box["labels"] == ["Eileen Collins"]
    assert (tmp_path / "out" / "eileen.jpg").stat().st_size > 10_000
    assert {file.name for file in (tmp_path / "face_index").iterdir()} >= {"id_map.yaml"}


def test_curl_example(service: Service, tmp_path: Path) -> None:
    (command,) = [c for c in COMMANDS if c.startswith("curl ")]
    assert '"errorMsg":"Healthy"' in run(shlex.split(command.replace(HERE, service.url)), tmp_path)


def test_demo(service: Service, tmp_path: Path) -> None:
    program = str(Path(sys.executable).parent / "face-serve")
    output = run([program, "demo", "--port", str(service.ports["http"])], tmp_path)
    assert re.search(r"turned\.jpg +1 +Eileen Collins +0\.9", output)
    assert (tmp_path / "out" / "turned.jpg").stat().st_size > 10_000


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("kubectl ")])
def test_what_is_applied_is_there(command: str) -> None:
    """What it holds, and that kustomize builds it: ``tests/deploy``."""
    words = shlex.split(command)
    assert words[1:3] == ["apply", "--kustomize"]
    assert (ROOT / words[3] / "kustomization.yaml").exists()


def test_nothing_is_left_unchecked() -> None:
    known = ("make ", ".venv/bin/", "curl ", "kubectl ")
    assert [command for command in COMMANDS if not command.startswith(known)] == []


def test_links_lead_somewhere() -> None:
    for document in [ROOT / "README.md", ROOT / "SECURITY.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
