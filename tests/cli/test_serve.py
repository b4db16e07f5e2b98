"""Bad configuration ends ``face-serve serve`` before it starts a cluster: one line, exit code 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.processes import run

SERVE_FILE = Path(__file__).parents[2] / "configs" / "serve" / "local.yaml"


def start(directory: Path, pipeline: dict[str, Any] | None, **args: Any) -> str:
    """What it complains of."""
    content = yaml.safe_load(SERVE_FILE.read_text(encoding="utf-8"))
    (application,) = content["applications"]
    if pipeline is not None:
        (directory / "pipeline.yaml").write_text(yaml.safe_dump(pipeline), encoding="utf-8")
        args["pipeline"] = "pipeline.yaml"
    application["args"] |= args
    (directory / "mine.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    ended = run("serve", "--config", "mine.yaml", cwd=directory, RAY_TMPDIR=str(directory / "ray"))
    assert ended.returncode == 2, ended.stderr
    assert not (directory / "ray").exists(), "a cluster was started"
    (line,) = ended.stderr.splitlines()
    assert str(directory) not in line
    return line


@pytest.mark.parametrize(
    ("pipeline", "args", "message"),
    [
        (None, {"database_url": "env:GALLERIES_NOWHERE"}, "args.database_url: the environment"),
        (
            {"SubModules": {"Recognition": {"model_dir": "nowhere"}}},
            {},
            "Recognition.model_dir: there is no directory nowhere here",
        ),
        ({"device": "gpu:7"}, {}, "device gpu:7 is not here"),
        (None, {"index": {"device": "gpu:63"}}, "args.index.device: device gpu:63"),
        (None, {"observability": {"tracing": {"exporter": "file"}}}, "args.observability.tracing"),
    ],
)
def test_it_names_the_key(
    tmp_path: Path, pipeline: dict[str, Any] | None, args: dict[str, Any], message: str
) -> None:
    assert message in start(tmp_path, pipeline, **args)
