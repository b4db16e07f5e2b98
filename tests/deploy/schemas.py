"""What an API server would refuse with ``fieldValidation: Strict``: by KubeRay's CRDs, and by the
schemas of Kubernetes' own kinds."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cel
import kubernetes_validate
import yaml
from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError

KUBERNETES = "1.34"

Schema = Mapping[str, Any]
Kind = tuple[str, str]
"""apiVersion and kind."""


class Schemas:
    """``crds``: a directory of CustomResourceDefinitions."""

    def __init__(self, crds: Path) -> None:
        self._custom: dict[Kind, Schema] = {}
        for file in sorted(crds.glob("*.yaml")):
            crd = yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader)
            for version in crd["spec"]["versions"]:
                name = (f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"])
                self._custom[name] = version["schema"]["openAPIV3Schema"]
        self._validators: dict[Kind, Draft7Validator] = {}
        self._known: dict[str, list[str]] = {}

    def complaints(self, document: Mapping[str, Any]) -> list[str]:
        """A line for each thing that is wrong with it. What was asked before is remembered."""
        text = json.dumps(document, sort_keys=True)
        if text not in self._known:
            self._known[text] = self._complaints(document)
        return self._known[text]

    def _complaints(self, document: Mapping[str, Any]) -> list[str]:
        kind = document["apiVersion"], document["kind"]
        if schema := self._custom.get(kind):
            filled = copy.deepcopy(dict(document))
            with_defaults(schema, filled)
            found = [_line(error) for error in self._validator(kind).iter_errors(filled)]
            return found + list(broken_rules(schema, filled, document["kind"]))
        try:
            kubernetes_validate.validate(dict(document), KUBERNETES, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            return [f"no schema is known for {' '.join(kind)}"]
        except kubernetes_validate.ValidationError as error:
            return [f"{'.'.join(map(str, error.path))}: {error.message}"]
        return []

    def _validator(self, kind: Kind) -> Draft7Validator:
        if kind not in self._validators:
            schema = strict(self._custom[kind])
            schema["properties"]["metadata"] = {"type": "object"}  # the server's own, checked there
            self._validators[kind] = Draft7Validator(schema)
        return self._validators[kind]


def strict(schema: Schema) -> dict[str, Any]:
    """JSON schema of a structural one. What names no further keys takes none: a server prunes them.
    Inside ``anyOf`` and the like nothing is added: they only narrow what stands beside them."""
    made: dict[str, Any] = dict(schema)
    if schema.get("x-kubernetes-int-or-string"):
        made.pop("type", None)
        return made | {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    if "properties" in schema:
        made["properties"] = {name: strict(one) for name, one in schema["properties"].items()}
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), Mapping):
            made[inner] = strict(schema[inner])
    keeps_unknown = schema.get("x-kubernetes-preserve-unknown-fields")
    if (
        schema.get("type") == "object"
        and "additionalProperties" not in schema
        and not keeps_unknown
    ):
        made["additionalProperties"] = False
    if schema.get("nullable") and "type" in schema:
        made["type"] = [schema["type"], "null"]
    return made


def with_defaults(schema: Schema, value: Any) -> None:
    """``value`` as a server completes it: nulls go where none may be, then defaults come."""
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        for name, inner in properties.items():
            if value.get(name, ...) is None and not inner.get("nullable"):
                del value[name]
            if name not in value and "default" in inner:
                value[name] = copy.deepcopy(inner["default"])
        others = schema.get("additionalProperties")
        for name, one in value.items():
            inner = properties.get(name, others)
            if isinstance(inner, Mapping):
                with_defaults(inner, one)
    elif isinstance(value, list) and "items" in schema:
        for one in value:
            with_defaults(schema["items"], one)


def broken_rules(schema: Schema, value: Any, where: str) -> Iterator[str]:
    """Messages of the CEL rules that ``value`` breaks; rules on changes, which need two, are left
    out."""
    for rule in schema.get("x-kubernetes-validations", []):
        if (
            "oldSelf" not in rule["rule"]
            and cel.evaluate(rule["rule"], {"self": value}) is not True
        ):
            yield f"{where}: {rule.get('message', rule['rule'])}"
    if isinstance(value, dict):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name, one in value.items():
            inner = properties.get(name, others)
            if isinstance(inner, Mapping):
                yield from broken_rules(inner, one, f"{where}.{name}")
    elif isinstance(value, list) and "items" in schema:
        for number, one in enumerate(value):
            yield from broken_rules(schema["items"], one, f"{where}[{number}]")


def _line(error: ValidationError) -> str:
    return f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}"
