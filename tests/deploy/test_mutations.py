"""Manifests with one mistake each (mistakes.yaml): every one is caught, for what it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.checks import complaints
from tests.deploy.overlays import Document, documents
from tests.deploy.schemas import Schemas

MISTAKES = yaml.safe_load(Path(__file__).with_name("mistakes.yaml").read_text("utf-8"))
PLACES = {
    "cluster": "spec.rayClusterConfig",
    "head": "spec.rayClusterConfig.headGroupSpec",
    "groups": "spec.rayClusterConfig.workerGroupSpecs",
    "pod": "spec.rayClusterConfig.workerGroupSpecs.2.template.spec",
    "container": "spec.rayClusterConfig.workerGroupSpecs.2.template.spec.containers.0",
    "detector": "applications.0.deployments.1",
}


def change(content: Any, mistake: dict[str, Any]) -> None:
    """One value of ``content`` is replaced, added or taken away; a list grows by its next index."""
    path = mistake["at"].format(**PLACES).split(".")
    *above, last = [int(step) if step.isdigit() else step for step in path]
    for step in above:
        content = content[step]
    if "becomes" not in mistake:
        del content[last]
    elif isinstance(content, list) and last == len(content):
        content.append(mistake["becomes"])
    else:
        content[last] = mistake["becomes"]


def caught(overlay: str, mistake: Callable[[list[Document]], None], schemas: Schemas) -> str:
    mistaken = documents(overlay)
    mistake(mistaken)
    assert mistaken != documents(overlay)
    return "\n".join(complaints(overlay, mistaken, schemas))


def one_of(found: list[Document], wanted: str) -> Document:
    """By kind, or kind/name."""
    kind, _, name = wanted.partition("/")
    chosen = [one for one in found if one["kind"] == kind]
    return next(one for one in chosen if name in ("", one["metadata"]["name"]))


@pytest.mark.parametrize("name", MISTAKES["manifest"])
def test_a_mistake_in_a_manifest(name: str, schemas: Schemas) -> None:
    mistake = MISTAKES["manifest"][name]
    overlay, kind = mistake["in"].split()
    found = caught(overlay, lambda found: change(one_of(found, kind), mistake), schemas)
    assert mistake["said"] in found


@pytest.mark.parametrize("name", MISTAKES["serve_file"])
def test_a_mistake_in_the_serve_file(name: str, schemas: Schemas) -> None:
    mistake = MISTAKES["serve_file"][name]

    def mistaken(found: list[Document]) -> None:
        spec = one_of(found, "RayService")["spec"]
        content = yaml.safe_load(spec["serveConfigV2"])
        change(content, mistake)
        spec["serveConfigV2"] = yaml.safe_dump(content)

    assert mistake["said"] in caught(mistake["in"], mistaken, schemas)


def test_an_object_that_is_missing(schemas: Schemas) -> None:
    def mistaken(found: list[Document]) -> None:
        found.remove(one_of(found, "ConfigMap"))

    assert "there is no ConfigMap face-serve-environment" in caught("cpu", mistaken, schemas)


def test_two_budgets_for_a_pod(schemas: Schemas) -> None:
    def mistaken(found: list[Document]) -> None:
        one = one_of(found, "PodDisruptionBudget/face-serve-index")
        found.append(one | {"metadata": {"name": "second"}})

    assert "two PodDisruptionBudgets" in caught("cpu", mistaken, schemas)
