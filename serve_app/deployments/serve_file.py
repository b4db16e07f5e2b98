"""Reading the Serve file, strictly: Ray's schema ignores misspelt keys, a start must not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from ray.serve.schema import ServeDeploySchema

from serve_app.config import (
    BatchSettings,
    IngressBatching,
    load_pipeline,
    parse_service_args,
    validate,
)
from serve_app.config.strict import StrictModel, nearest
from serve_app.errors import ConfigError

IMPORT_PATH = "serve_app.deployments.app:build_app"


def load_serve_file(
    file: Path, *, port: int | None = None, data_dir: Path | None = None
) -> dict[str, Any]:
    """The file's content with overrides applied and every relative path made absolute.

    Raises ConfigError that names the key: unknown to Ray or to us, or with a value that can't work.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError:
        raise ConfigError(f"{file.name} can't be read: give a Serve file with --config") from None
    except yaml.YAMLError:
        raise ConfigError(f"{file.name} is not valid YAML") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{file.name} is empty or no mapping")
    if port is not None:
        content.setdefault("http_options", {})["port"] = port
    _refuse_unknown(content, ServeDeploySchema, "")
    for application in content.get("applications", []):
        if application.get("import_path") == IMPORT_PATH:
            _check_application(application, data_dir)
    try:
        ServeDeploySchema.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{where}: {first['msg']}") from None
    return content


def logical_cpus(content: Mapping[str, Any]) -> float:
    """Sum of ``num_cpus`` over all replicas: what Ray must believe it has to place them."""
    total = 0.0
    for application in content.get("applications", []):
        for deployment in application.get("deployments", []):
            cpus = deployment.get("ray_actor_options", {}).get("num_cpus", 1)
            total += deployment.get("num_replicas", 1) * cpus
    return total


def _check_application(application: dict[str, Any], data_dir: Path | None) -> None:
    args = dict(application.get("args") or {})
    if data_dir is not None:
        args["data_dir"] = str(data_dir)
    service = parse_service_args(args)
    load_pipeline(service.pipeline)
    args["data_dir"] = str(service.data_dir)
    if service.pipeline.endswith((".yaml", ".yml")):
        args["pipeline"] = str(Path(service.pipeline).absolute())
    application["args"] = args
    known: dict[str, type[StrictModel]] = {
        "Ingress": IngressBatching,
        "Detector": BatchSettings,
        "Extractor": BatchSettings,
        "Index": BatchSettings,
    }
    for deployment in application.get("deployments", []):
        name = deployment.get("name")
        if name not in known:
            raise ConfigError(f"deployments: {name} is not known{nearest(str(name), known)}")
        validate(known[name], deployment.get("user_config") or {}, f"{name}.user_config")


def _refuse_unknown(value: object, annotation: Any, where: str) -> None:
    """Walk Ray's schema beside the content; free-form fields (dicts) are left alone."""
    if get_origin(annotation) in (Union, UnionType):
        for option in get_args(annotation):
            _refuse_unknown(value, option, where)
    elif get_origin(annotation) is list and isinstance(value, list):
        for position, element in enumerate(value):
            _refuse_unknown(element, get_args(annotation)[0], f"{where}[{position}]")
    elif (
        isinstance(annotation, type)
        and issubclass(annotation, BaseModel)
        and isinstance(value, Mapping)
    ):
        for key, inner in value.items():
            field = annotation.model_fields.get(key)
            if field is None:
                name = f"{where}.{key}" if where else key
                known = list(annotation.model_fields)
                raise ConfigError(f"{name} is not a known key{nearest(str(key), known)}")
            _refuse_unknown(inner, field.annotation, f"{where}.{key}" if where else key)
