"""Every overlay, and the bulk job, is what an API server, KubeRay and the service itself accept."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.deploy.checks import complaints
from tests.deploy.overlays import APPLIED, DEPLOY, OVERLAYS, ROOT, documents, of_kind
from tests.deploy.pods import all_pods
from tests.deploy.reference_rules import documented_secrets
from tests.deploy.schemas import Schemas


def test_the_overlays_that_are_promised() -> None:
    assert OVERLAYS == ["cpu", "dev", "gpu", "incremental-upgrade", "postgres"]


@pytest.mark.parametrize("name", APPLIED)
def test_nothing_is_wrong(name: str, schemas: Schemas) -> None:
    assert complaints(name, documents(name), schemas) == []


def test_the_gpu_overlay_asks_for_gpus() -> None:
    (gpu,) = [pod for pod in all_pods(documents("gpu")) if pod.group == "gpu"]
    assert gpu.capacity("nvidia.com/gpu") == 1
    assert gpu.spec["tolerations"]


@pytest.mark.parametrize("name", ["cpu", "gpu", "postgres", "incremental-upgrade"])
def test_the_head_survives(name: str) -> None:
    """By Redis; ``dev`` alone goes without."""
    (service,) = of_kind(documents(name), "RayService")
    options = service["spec"]["rayClusterConfig"]["gcsFaultToleranceOptions"]
    assert options["redisAddress"]
    assert set(options) == {"redisAddress", "redisPassword"}


def test_images_are_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    texts = [file.read_text("utf-8") for file in DEPLOY.rglob("kustomization.yaml")]
    tags = {tag for text in texts for tag in re.findall(r"newTag: (\S+)", text)}
    assert tags == {f"{version}-cpu", f"{version}-gpu"}


def test_no_secret_is_documented_that_nothing_uses() -> None:
    used = "".join(file.read_text("utf-8") for file in DEPLOY.rglob("*.yaml"))
    assert [name for name in documented_secrets() if name not in used] == []
