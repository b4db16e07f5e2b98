"""What can be said of the Dockerfile without building it: nothing here can, nor pull its bases."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from dockerfile_parse import DockerfileParser

from deploy.generate import IN_IMAGE, environment
from tests.deploy.overlays import ROOT

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
TEXT = DOCKERFILE.read_text(encoding="utf-8")
LOCK = (ROOT / "requirements/image.lock").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

Instruction = tuple[str, str]


def stages(directory: Path) -> dict[str, tuple[str, list[Instruction]]]:
    """Name to base and instructions, in order."""
    parser = DockerfileParser(str(directory))
    parser.content = TEXT
    found: dict[str, tuple[str, list[Instruction]]] = {}
    for one in parser.structure:
        word, value = one["instruction"], re.sub(r"\s+", " ", one["value"])
        if word == "FROM":
            base, _, name = value.partition(" AS ")
            found[name] = base, []
        elif word != "COMMENT":
            found[name][1].append((word, value))
    return found


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, list[Instruction]]]:
    return stages(tmp_path_factory.mktemp("docker"))


def of_target(parsed: Any, target: str) -> list[Instruction]:
    """The instructions of a stage and of all it is built upon, first ones first."""
    base, own = parsed[target]
    return [*(of_target(parsed, base) if base in parsed else []), *own]


def test_hadolint_has_no_complaint() -> None:
    program = Path(sys.executable).parent / "hadolint"
    assert program.exists(), "run `make setup`"
    run = subprocess.run([program, DOCKERFILE], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_bases_are_ray_of_the_locked_version(parsed: Any) -> None:
    bases = {base for base, _ in parsed.values()} - parsed.keys()
    (ray,) = re.findall(r"^ray==(\S+)", LOCK, re.M)
    assert bases == {f"rayproject/ray:{ray}-py311-cpu", f"rayproject/ray:{ray}-py311-cu126"}
    assert PROJECT["requires-python"] == ">=3.11,<3.13"


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_it_runs_as_the_user_of_the_manifests(parsed: Any, target: str) -> None:
    users = [value for word, value in of_target(parsed, target) if word == "USER"]
    assert users[-1] == "1000:100"
    assert set(users) == {"0", "1000:100"}


def test_the_target_without_a_name_is_cpu(parsed: Any) -> None:
    assert list(parsed)[-1] == "cpu"


@pytest.mark.parametrize("target", ["cpu", "gpu", "wheel"])
def test_packages_come_before_code(parsed: Any, target: str) -> None:
    """A change of the code reinstalls no package: until they are installed, only the lock is in."""
    copied = []
    for word, value in of_target(parsed, target):
        if word == "COPY":
            copied.append(value)
        if word == "RUN" and "image.lock" in value:
            assert copied == ["requirements/image.lock requirements/"]
            break
    else:
        pytest.fail("no package is installed")


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_the_project_itself_brings_no_package(parsed: Any, target: str) -> None:
    installs = [v for word, v in of_target(parsed, target) if word == "RUN" and "pip install" in v]
    assert "--no-deps" in installs[-1]
    assert all("--no-cache-dir" in value for value in installs)
    if target == "cpu":
        assert "--require-hashes" in installs[0]


def copies(parsed: Any) -> list[tuple[str, list[str]]]:
    """Stage that is copied from ("" for the build's directory) and the sources."""
    found = []
    for _, instructions in parsed.values():
        for value in (value for word, value in instructions if word in ("COPY", "ADD")):
            words = value.split()
            options = [word for word in words if word.startswith("--")]
            stage = "".join(o.removeprefix("--from=") for o in options if o.startswith("--from="))
            found.append((stage, [word for word in words if word not in options][:-1]))
    return found


def sent() -> set[str]:
    """What the ignore file lets through to the build."""
    ignored = (ROOT / "deploy/Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]
    assert rules[0] == "*"
    return {rule[1:] for rule in rules if rule.startswith("!")}


def test_what_is_copied_exists_and_nothing_else_is_sent(parsed: Any) -> None:
    sources = {source for stage, found in copies(parsed) if not stage for source in found}
    assert sources == sent()
    assert [one for one in sources if not (ROOT / one).exists()] == []
    assert {stage for stage, _ in copies(parsed) if stage} <= parsed.keys()


def test_no_secret_and_no_address(parsed: Any) -> None:
    for _, instructions in parsed.values():
        for word, value in instructions:
            if word in ("ENV", "ARG"):
                assert not re.search(r"password|token|secret|credential|_url", value, re.I)
                assert word == "ENV" or "=" not in value, (
                    "an argument with a value stays in the image"
                )
            assert word != "ADD", "ADD fetches what COPY never would"
    assert "://" not in TEXT


def test_the_paths_are_those_of_the_manifests(parsed: Any) -> None:
    for target in ("cpu", "gpu"):
        instructions = of_target(parsed, target)
        (directory,) = {value for word, value in instructions if word == "WORKDIR"}
        assert directory == IN_IMAGE
        program = environment()["RAY_SERVE_HAPROXY_BINARY_PATH"]
        assert any(program in value for word, value in instructions if word == "RUN")
        assert ("COPY", "configs configs") in instructions


def test_gpu_packages_are_those_of_the_extra(parsed: Any) -> None:
    """In the place of the lock's packages for CPUs, one for one."""
    (_, instructions) = parsed["gpu-packages"]
    (install,) = [value for word, value in instructions if word == "RUN" and "pip install" in value]
    pinned = dict(re.findall(r" ([a-z0-9-]+)==([\w.]+)", install))
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)", LOCK, re.M))
    gpu = [line.partition("==") for line in PROJECT["optional-dependencies"]["gpu"] if "==" in line]
    assert {name: version for name, _, version in gpu if name in pinned}.items() <= pinned.items()
    assert pinned["onnxruntime-gpu"] == locked["onnxruntime"]
    assert fnmatch(pinned["tensorrt-cu12"], "10.*"), "11 has no fp16 for networks in fp32"
    (left_out,) = re.findall(r"grep -vE '\^\(([^)]*)\)=='", install)
    rivals = {"paddlepaddle", "faiss-cpu", "onnxruntime"}
    assert rivals <= set(left_out.split("|")) <= locked.keys()
