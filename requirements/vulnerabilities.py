"""Holds every pinned version against the published vulnerabilities, by pip-audit.

``python -m requirements.vulnerabilities`` ends with 1 if one is known, else with 0: also where no
index answers, as a machine without network must be able to run the checks. pip-audit can't be left
alone with that: it ends with a traceback where nobody answers, and where a mirror knows none of the
packages it says "no known vulnerabilities found". So it is first asked for a version that has some.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PINNED = [HERE / name for name in ("dev.lock", "image.lock", "centerface.txt", "paddle2onnx.txt")]
"""Everything that `make` and the image install; cpu.lock is a part of each lock."""

ACCEPTED: dict[str, str] = {}
"""Advisory (or another name of it) to why it does not concern us. Each is reported no more."""

VULNERABLE = "pyyaml==5.3"
"""Asked for, never installed: whoever knows vulnerabilities knows those of this version."""

ANSWER_S = 10
LIMIT_S = 240
SKIPPED = "pip-audit skipped: "
"""How the line begins that says why nothing was looked up."""


class NoAnswerError(Exception):
    """The message says why nothing can be said."""


def audit(
    files: Sequence[Path], accepted: Mapping[str, str], service: Sequence[str] = ()
) -> list[str]:
    """A line for each known vulnerability of what ``files`` pin.

    ``service``: pip-audit's options that choose another index. Raises NoAnswerError.
    """
    with tempfile.TemporaryDirectory() as directory:
        known = Path(directory) / "known.txt"
        known.write_text(f"{VULNERABLE}\n", encoding="ascii")
        if not list(_lines(_ask([known], (), service))):
            raise NoAnswerError("its index answers, but knows no vulnerabilities (a mirror?)")
    return list(_lines(_ask(files, accepted, service)))


def _ask(
    files: Sequence[Path], accepted: Sequence[str] | Mapping[str, str], service: Sequence[str]
) -> Any:
    """pip-audit's report of ``files``, as its JSON is."""
    options = ["--disable-pip", "--no-deps", "--progress-spinner", "off", "--format", "json"]
    options += ["--desc", "off", "--timeout", str(ANSWER_S), *service]
    options += [word for one in accepted for word in ("--ignore-vuln", one)]
    options += [word for file in files for word in ("--requirement", str(file))]
    try:
        run = subprocess.run(  # nosec B603 # this Python, an installed module, our own file names
            [sys.executable, "-P", "-m", "pip_audit", *options],
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
        )
        return json.loads(run.stdout)
    except subprocess.TimeoutExpired:
        raise NoAnswerError(f"its index took more than {LIMIT_S} s") from None
    except ValueError:
        raise NoAnswerError("its index does not answer") from None


def _lines(report: Any) -> Iterator[str]:
    for package in report["dependencies"]:
        for found in package.get("vulns", ()):
            names = ", ".join(sorted({found["id"], *found["aliases"]}))
            fixed = ", ".join(found["fix_versions"]) or "no version"
            yield f"{package['name']} {package['version']}: {names}; fixed in {fixed}"


def main() -> int:
    """Print what is known and how many; the exit code."""
    try:
        found = audit(PINNED, ACCEPTED)
    except NoAnswerError as reason:
        print(f"{SKIPPED}{reason}")
        return 0
    for line in found:
        print(line)
    print(f"pip-audit: {len(found)} known vulnerabilities, {len(ACCEPTED)} accepted")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
