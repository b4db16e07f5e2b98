"""What is generated is what lies there, and says what configs/serve says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.generate import ANYONE, KEYS, ROOT, SERVED, for_kubernetes, generated
from serve_app.deployments.environment import serving_environment
from tests.deploy.overlays import documents, of_kind

FILES = generated()


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_it_is_up_to_date(file: Path) -> None:
    assert file.read_text(encoding="utf-8") == FILES[file], "run `make manifests`"


def configured(name: str) -> dict[str, Any]:
    text = (ROOT / "configs/serve" / f"{name}.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    return content


@pytest.mark.parametrize(("overlay", "name"), SERVED.items())
def test_an_overlay_serves_what_the_file_says(overlay: str, name: str) -> None:
    """But for where things lie and where replicas go."""
    (service,) = of_kind(documents(overlay), "RayService")
    served, said = yaml.safe_load(service["spec"]["serveConfigV2"]), configured(name)
    assert served == for_kubernetes(said, ANYONE if overlay == "dev" else KEYS)
    (ours,), (theirs,) = served["applications"], said["applications"]
    for mine, yours in zip(ours["deployments"], theirs["deployments"], strict=True):
        selector = mine["ray_actor_options"].pop("label_selector")
        assert selector == {f"face-serve/{yours['name'].lower()}": "true"}
        assert mine == yours
    assert ours["args"].pop("data_dir") == "/var/lib/face-serve"
    assert ours["args"].pop("database_url") == "env:FACE_SERVE_DATABASE_URL"
    assert ours["args"].pop("access") == ({"anyone": True} if overlay == "dev" else {"keys": True})
    assert ours["args"]["pipeline"].endswith(theirs["args"].pop("pipeline"))


@pytest.mark.parametrize("name", ["cluster", "gpu", "local"])
def test_what_it_was_given_stays(name: str) -> None:
    given = configured(name)
    for_kubernetes(given, KEYS)
    assert given == configured(name)


def test_a_shard_is_of_its_stage() -> None:
    content = configured("cluster")
    (application,) = content["applications"]
    index = application["deployments"].pop()
    application["deployments"] += [index | {"name": f"Index{number}"} for number in range(2)]
    (made,) = for_kubernetes(content, KEYS)["applications"]
    selectors = [one["ray_actor_options"]["label_selector"] for one in made["deployments"][-2:]]
    assert selectors == [{"face-serve/index": "true"}] * 2


def test_every_pod_has_the_settings_of_face_serve_itself() -> None:
    (there,) = of_kind(documents("cpu"), "ConfigMap")
    assert serving_environment().items() <= there["data"].items()
