"""Requests made from the OpenAPI document of a running service, by Schemathesis, for a while.

``python -m tests.fuzzing.api`` starts a service of its own, which asks for keys: the requests
build, change and remove galleries. With an API key in FACE_SERVE_FUZZ_KEY they carry it.
Schemathesis runs in a process of its own, as its hooks and checks are global.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from serve_app.access import Scope
from tests.fuzzing.depth import INPUT, KEY
from tests.integration.service import ROOT, Service, serve_file

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "tells_nothing",
)
"""Left out: that valid requests are accepted and invalid ones refused. Types are as lax as those of
PaddleX, and what makes a text an image is in no document. Nor is the stateful phase run: it follows
links that no route declares, and requests in depth meet each other's galleries all the same."""


AUTHORIZED = f"""headers = {{ Authorization = "Bearer ${{{KEY}}}" }}
[generation]
with-security-parameters = false
"""
"""Schemathesis' settings where there is a key: it is on no command line. Wrong ones come from
``depth``; made from the document alone, nearly every request would have one."""


def fuzz(
    url: str,
    seconds: int,
    *,
    inputs: Path | None = None,
    seed: int | None = None,
    workers: int = 1,
    key: str | None = None,
) -> tuple[int, str]:
    """Status and output of Schemathesis; 0 if it found nothing. ``url``: of the document's service.
    ``inputs``: what bulk jobs may read. ``seed``: for the same requests again. ``key``: the API key
    of most requests, that of the environment if left out."""
    key = key or os.environ.get(KEY)
    command = [
        sys.executable, "-m", "schemathesis.cli", "--no-color",
        "run", f"{url}/openapi.json", f"--max-time={seconds}", f"--workers={workers}",
        "--phases=examples,coverage,fuzzing",
        f"--checks={','.join(CHECKS)}", "--continue-on-failure", "--warnings=off",
        "--request-timeout=60", "--generation-database=none", "--suppress-health-check=all",
        *([] if seed is None else [f"--seed={seed}"]),
    ]  # fmt: skip
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "tests.fuzzing.hooks",
        "NO_PROXY": "127.0.0.1",
        **({INPUT: str(inputs)} if inputs else {}),
        **({KEY: key} if key else {}),
    }
    with tempfile.TemporaryDirectory(prefix="fuzz-") as directory:  # it keeps crashes where it runs
        if key:
            Path(directory, "schemathesis.toml").write_text(AUTHORIZED, encoding="utf-8")
        run = subprocess.run(
            command,
            env=environ,
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds + 120,
            check=False,
        )
    return run.returncode, run.stdout


def with_keys(data_dir: Path) -> dict[str, Any]:
    content = serve_file(data_dir)
    content["applications"][0]["args"]["access"] = {"keys": True}
    return content


def new_key(service: Service) -> str:
    """One that may do everything."""
    scopes = [word for scope in Scope for word in ("--scope", str(scope))]
    program = Path(sys.executable).parent / "face-serve"
    made = subprocess.run(
        [program, "keys", "create", "--name", "fuzz", *scopes, "--data-dir", service.data_dir],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    return made.stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=1200)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--anyone", action="store_true", help="a service that asks for no keys")
    arguments = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="fs-", dir="/tmp"))
    inputs = directory / "inputs"
    inputs.mkdir()
    service = Service(directory, serve_file if arguments.anyone else with_keys)
    try:
        service.start()
        status, output = fuzz(
            service.url,
            arguments.seconds,
            inputs=inputs,
            seed=arguments.seed,
            key=None if arguments.anyone else new_key(service),
        )
        print(output)
    finally:
        service.stop()
        shutil.rmtree(directory, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
