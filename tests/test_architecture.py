"""The rules of the house: each is a test, so that no reviewer has to remember it."""

from __future__ import annotations

import ast
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from requirements.vulnerabilities import SKIPPED

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "serve_app"
MODULES = sorted(PACKAGE.rglob("*.py"))

MAX_LINES = 300
MAX_MEDIAN_LINES = 130

CATCH_ALL_NAMES = {"common", "helper", "helpers", "misc", "tools", "util", "utils"}

UNMIRRORED = {
    "ports.py": "protocols: no behaviour of their own",
    "types.py": "declarations: no behaviour of their own",
}
"""Modules without a test file of their own, and why."""

UNMIRRORED_FOLDERS = {
    "cli": "commands are run as processes by the integration tests",
    "deployments": "hosts of a Ray cluster: the integration tests run them",
    "index/store/migrations": "every store test migrates an empty database",
}

SHIPPED = ["serve_app", "deploy", "requirements"]
"""What bandit looks at: what runs where faces are, what writes its manifests, what checks it."""

TOOLS = {
    "ruff check": ["-m", "ruff", "check", "."],
    "ruff format": ["-m", "ruff", "format", "--check", "."],
    "mypy": ["-m", "mypy"],
    "bandit": [
        "-m",
        "bandit",
        "--quiet",
        "--configfile",
        "pyproject.toml",
        "--recursive",
        *SHIPPED,
    ],
    "import-linter": ["-c", "from importlinter.cli import lint_imports_command as run; run()"],
}


EXPLAINED = re.compile(r"# nosec B\d{3}(, B\d{3})* # \w+")


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("tool", TOOLS)
def test_tool_has_no_complaint(tool: str) -> None:
    run = subprocess.run(
        [sys.executable, *TOOLS[tool]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, f"{tool}:\n{run.stdout}{run.stderr}"


@pytest.mark.timeout(600)
def test_nothing_that_is_pinned_is_known_to_be_vulnerable() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "requirements.vulnerabilities"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    if run.stdout.startswith(SKIPPED):
        pytest.skip(run.stdout.strip())


def test_every_exception_from_bandit_is_named_and_explained() -> None:
    paths = [path for folder in SHIPPED for path in (ROOT / folder).rglob("*.py")]
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    bare = [line for line in lines if "nosec" in line and not EXPLAINED.search(line)]
    assert bare == [], "write `# nosec BXXX # why`"


def test_modules_are_small() -> None:
    lines = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {module: count for module, count in lines.items() if count > MAX_LINES} == {}
    counted = [count for module, count in lines.items() if not module.endswith("__init__.py")]
    assert statistics.median(counted) <= MAX_MEDIAN_LINES


def test_no_module_is_a_catch_all() -> None:
    folders = [PACKAGE, ROOT / "tests", ROOT / "load_tests"]
    paths = [path for folder in folders for path in folder.rglob("*.py")]
    words = {path: set(re.split(r"[/._]", path.relative_to(ROOT).as_posix())) for path in paths}
    assert [str(path) for path in paths if words[path] & CATCH_ALL_NAMES] == []


def test_every_module_says_what_it_owns() -> None:
    trees = {name(path): ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}
    silent = [module for module, tree in trees.items() if not ast.get_docstring(tree)]
    assert silent == []


def mirror(module: str) -> Path:
    path = PurePosixPath(module)
    return ROOT / "tests" / path.parent / f"test_{path.name}"


def test_tests_mirror_the_modules() -> None:
    excused = {
        module
        for module in map(name, MODULES)
        if module.endswith("__init__.py")
        or module in UNMIRRORED
        or module.startswith(tuple(f"{folder}/" for folder in UNMIRRORED_FOLDERS))
    }
    missing = [m for m in map(name, MODULES) if m not in excused and not mirror(m).is_file()]
    assert missing == [], "write tests/<same path>/test_<module>.py"


def test_no_excuse_is_stale() -> None:
    modules = set(map(name, MODULES))
    assert UNMIRRORED.keys() <= modules
    assert [module for module in UNMIRRORED if mirror(module).is_file()] == []


def own_files() -> list[Path]:
    """What is tracked, or would be if all were added now."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git working tree: no list of tracked files")
    listed = subprocess.run(
        [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = [ROOT / entry.decode() for entry in listed.stdout.split(b"\0") if entry]
    return [path for path in paths if path.is_file()]


def test_no_file_names_a_machine_path_or_a_registry() -> None:
    # Put together here, so that this file doesn't name what it forbids.
    folders = "|".join(["work", "root", "home", "Users", "opt"])
    hosts = "|".join(
        [r"pypi\." + "org", "python" + "hosted", r"npmjs\." + "(org|com)", r"deb\." + "debian"]
    )
    forbidden = re.compile(rf"(?<![\w.~$)}}-])/({folders})/\w|\b({hosts})\b".encode())
    found = [
        f"{path.relative_to(ROOT)}: {match.group().decode()}"
        for path in own_files()
        for match in forbidden.finditer(path.read_bytes())
    ]
    assert found == []


def test_what_the_threat_model_leans_on_is_there() -> None:
    words = re.findall(r"`([\w./-]+/[\w.-]*)`", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))
    assert len(words) > 20
    places = [ROOT, ROOT / "tests"]
    assert [word for word in words if not any((one / word).exists() for one in places)] == []
