from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from load_tests.drill.content import (
    first,
    is_settled,
    running,
    stages,
    with_code,
    with_settings,
)
from serve_app.deployments.serve_file import serve_file_mistakes


@pytest.mark.parametrize("change", [dict, with_settings])
def test_the_service_takes_the_drills_files(tmp_path: Path, change: Any) -> None:
    file = tmp_path / "serve.yaml"
    file.write_text(yaml.safe_dump(change(first(tmp_path / "data", 8123))), encoding="utf-8")
    assert serve_file_mistakes(file) == []


def test_what_an_upgrade_changes() -> None:
    content = first(Path("/data"), 8123)
    assert all(stage["num_replicas"] == 2 for stage in stages(content).values())
    code = with_code(content, "file:///release.zip")
    assert code["applications"][0]["runtime_env"] == {"working_dir": "file:///release.zip"}
    assert stages(code) == stages(content)
    settings = stages(with_settings(content))
    assert {name for name, stage in settings.items() if stage["num_replicas"] == 3} == {
        "Ingress", "Index",
    }  # fmt: skip
    assert all(settings[name] != stage for name, stage in stages(content).items())


def details(status: str, states: list[str], target: int) -> dict[str, Any]:
    replicas = [{"replica_id": str(number), "state": state} for number, state in enumerate(states)]
    stage = {"status": "HEALTHY", "target_num_replicas": target, "replicas": replicas}
    return {"applications": {"face": {"status": status, "deployments": {"Index": stage}}}}


def test_settled_is_all_that_is_wanted_and_nothing_else() -> None:
    assert is_settled(details("RUNNING", ["RUNNING", "RUNNING"], 2))
    assert not is_settled(details("DEPLOYING", ["RUNNING", "RUNNING"], 2))
    assert not is_settled(details("RUNNING", ["RUNNING"], 2))
    assert not is_settled(details("RUNNING", ["RUNNING", "STARTING"], 2))
    assert not is_settled(details("RUNNING", ["RUNNING", "RUNNING", "STOPPING"], 2))
    assert not is_settled({})


def test_replicas_that_run() -> None:
    (found,) = running(details("RUNNING", ["RUNNING", "STOPPING"], 1), "Index")
    assert found["replica_id"] == "0"
    assert running({}, "Index") == []
