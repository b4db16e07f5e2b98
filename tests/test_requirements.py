"""The locks follow pyproject.toml, agree with each other, and bring in nothing twice."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = {"cpu": ["cpu"], "image": ["cpu", "s3", "gcs"], "dev": ["cpu", "dev"]}
"""Lock to the extras it holds."""


def lock_text(lock: str) -> str:
    return (ROOT / "requirements" / f"{lock}.lock").read_text(encoding="utf-8")


def pins(lock: str) -> dict[str, str]:
    """Package to version."""
    return dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", lock_text(lock), re.MULTILINE))


def declared(extras: list[str]) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    optional = project["project"]["optional-dependencies"]
    lines = [
        *project["project"]["dependencies"],
        *chain.from_iterable(optional[extra] for extra in extras),
        *project["build-system"]["requires"],
    ]
    return [Requirement(line) for line in lines]


def met(requirement: Requirement, locked: dict[str, Version]) -> bool:
    version = locked.get(canonicalize_name(requirement.name))
    return version is not None and version in requirement.specifier


@pytest.mark.parametrize("lock", EXTRAS)
def test_satisfies_pyproject(lock: str) -> None:
    locked = {name: Version(version) for name, version in pins(lock).items()}
    unmet = [
        str(requirement) for requirement in declared(EXTRAS[lock]) if not met(requirement, locked)
    ]
    assert unmet == [], "run `make lock`"


def test_what_is_tested_is_what_runs() -> None:
    assert pins("cpu").items() <= pins("dev").items()
    assert pins("cpu").items() <= pins("image").items()


@pytest.mark.parametrize("lock", EXTRAS)
def test_one_package_for_each_module(lock: str) -> None:
    rivals = {"opencv-python", "paddlepaddle-gpu", "faiss-gpu", "onnxruntime-gpu"}
    assert rivals & pins(lock).keys() == set()


@pytest.mark.parametrize("lock", EXTRAS)
def test_every_version_has_a_hash_and_no_address(lock: str) -> None:
    text = lock_text(lock)
    entries = re.findall(r"^\S.*(?:\n +--hash.*)*", text, re.MULTILINE)
    packages = [entry for entry in entries if not entry.startswith("#")]
    assert [entry for entry in packages if "--hash=sha256:" not in entry] == []
    assert len(packages) == len(pins(lock))
    assert "://" not in text
