"""The client of PaddleX's tutorial, as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.integration.service import ROOT

SHARED = ROOT.parent / "shared"
MISSING = "the tutorial is in ../shared, which is not here"


def run_tutorial_client(url: str, directory: Path) -> str:
    """What it prints; its pictures and its answer lie in ``directory``. Only the address in its
    first line of code is another."""
    text = (SHARED / "tutorial.md").read_text(encoding="utf-8")
    code = re.findall(r'<code class="language-python">(import base64.*?)</code>', text, re.S)[0]
    for entity, character in (("&quot;", '"'), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        code = code.replace(entity, character)
    script = directory / "client.py"
    script.write_text(code.replace("http://0.0.0.0:8080", url), encoding="utf-8")
    faces = sorted((SHARED / "faces/scenes/portraits").glob("*.jpg"))
    for number in range(5):
        (directory / f"demo{number}.jpg").write_bytes(faces[number % len(faces)].read_bytes())
    run = subprocess.run(
        [sys.executable, str(script)], cwd=directory, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout
