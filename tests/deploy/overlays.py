"""The manifests as they would be applied: what ``kubectl kustomize`` makes of each overlay."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
OVERLAYS = sorted(path.parent.name for path in DEPLOY.glob("overlays/*/kustomization.yaml"))
APPLIED = [*OVERLAYS, "job"]
"""What an operator applies, by name."""

Document = dict[str, Any]


def kubectl() -> str:
    """The one of the environment, which is locked; else the machine's."""
    own = Path(sys.executable).parent / "kubectl"
    found = str(own) if own.exists() else shutil.which("kubectl")
    assert found, "kubectl is missing: `make setup` installs it"
    return found


@functools.cache
def built(name: str) -> str:
    directory = DEPLOY / "overlays" / name if name in OVERLAYS else DEPLOY / name
    command = [kubectl(), "kustomize", str(directory)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stderr
    assert run.stderr == "", "kustomize warns of what it will not take for long"
    return run.stdout


def documents(name: str) -> list[Document]:
    """Fresh ones, to be changed at will."""
    return [one for one in yaml.load_all(built(name), yaml.CSafeLoader) if one]


def of_kind(found: list[Document], kind: str) -> list[Document]:
    return [one for one in found if one["kind"] == kind]
