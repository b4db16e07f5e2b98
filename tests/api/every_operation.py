"""Every operation of the OpenAPI document as a request, made from the document.

An operation whose parameters or body have no example here is a KeyError, so that a new one can't be
forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from serve_app.access import Scope
from serve_app.api.probes import PROBES
from serve_app.api.route_scopes import scope_of


@dataclass(frozen=True)
class Examples:
    """What the requests name. ``image``: base64; ``input``: of a job."""

    gallery: str
    job: str
    label: str
    image: str
    input: str = "s3://bucket/people"

    def in_path(self, name: str) -> str:
        return {"key": self.gallery, "id": self.job, "label": self.label}[name]

    def body(self, schema: str) -> dict[str, Any]:
        pairs = [{"image": self.image, "label": self.label}]
        gallery = {"indexKey": self.gallery}
        bodies: dict[str, dict[str, Any]] = {
            "BuildRequest": {"imageLabelPairs": pairs, **gallery},
            "AddRequest": {"imageLabelPairs": pairs, **gallery},
            "RemoveRequest": {"ids": [0], **gallery},
            "InferRequest": {"image": self.image, "visualize": False, **gallery},
            "BatchRequest": {"images": [self.image], **gallery},
            "JobBody": {"key": self.gallery, "input": self.input, "jobId": self.job},
        }
        return bodies[schema]


@dataclass(frozen=True)
class Call:
    """``template``: the address as the document has it. ``needed``: by its key."""

    method: str
    template: str
    path: str
    body: dict[str, Any] | None
    needed: Scope
    parameters: list[dict[str, Any]] = field(default_factory=list, compare=False)

    def __str__(self) -> str:
        return f"{self.method} {self.template}"


def every_operation(document: Mapping[str, Any], examples: Examples) -> list[Call]:
    """In the order of the document; the probes are left out."""
    return [
        Call(
            method.upper(),
            template,
            _filled(template, operation, examples),
            _body(operation, examples),
            scope_of(operation),
            operation.get("parameters", []),
        )
        for template, operations in document["paths"].items()
        if template not in PROBES
        for method, operation in operations.items()
    ]


def _filled(template: str, operation: Mapping[str, Any], examples: Examples) -> str:
    path = template
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            value = quote(examples.in_path(parameter["name"]), safe="")
            path = path.replace(f"{{{parameter['name']}}}", value)
    assert "{" not in path, f"{template} has a parameter that is not documented"
    return path


def _body(operation: Mapping[str, Any], examples: Examples) -> dict[str, Any] | None:
    if "requestBody" not in operation:
        return None
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    return examples.body(schema["$ref"].rpartition("/")[2])
