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
    index_names,
    load_pipeline,
    parse_service_args,
    validate,
)
from serve_app.config.strict import StrictModel, nearest
from serve_app.errors import ConfigError
from serve_app.fetching.addresses import AddressPolicy

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
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigError(f"{file.name} is not valid YAML") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{file.name} is empty or no mapping")
    _refuse_unknown(content, ServeDeploySchema, "")
    try:
        ServeDeploySchema.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{where}: {first['msg']}") from None
    except (AttributeError, TypeError):  # Ray's own validators expect mappings
        raise ConfigError(f"{file.name}: a deployment must be a mapping of keys") from None
    if port is not None:
        content["http_options"] = {**(content.get("http_options") or {}), "port": port}
    for application in content["applications"]:
        # Ray takes a colon or a dot before the function's name.
        if application["import_path"].replace(":", ".") == IMPORT_PATH.replace(":", "."):
            _check_application(application, data_dir)
    return content


def logical_cpus(content: Mapping[str, Any]) -> float:
    """Sum of ``num_cpus`` over all replicas: what Ray must believe it has to place them.

    A deployment that scales by itself counts with the most replicas that its file names.
    """
    total = 0.0
    for application in content.get("applications") or []:
        for deployment in application.get("deployments") or []:
            cpus = (deployment.get("ray_actor_options") or {}).get("num_cpus")
            replicas = deployment.get("num_replicas")
            if not isinstance(replicas, int):
                replicas = (deployment.get("autoscaling_config") or {}).get("max_replicas", 1)
            total += replicas * (1 if cpus is None else cpus)
    return total


def _check_application(application: dict[str, Any], data_dir: Path | None) -> None:
    args = dict(application.get("args") or {})
    if data_dir is not None:
        args["data_dir"] = str(data_dir)
    service = parse_service_args(args)
    load_pipeline(service.pipeline)
    AddressPolicy(service.fetch.allow)
    args["data_dir"] = str(service.data_dir)
    if service.database_url is not None:
        args["database_url"] = service.database_url
    if service.snapshots.url is not None:
        args["snapshots"] = {**args["snapshots"], "url": service.snapshots.url}
    if service.pipeline.endswith((".yaml", ".yml")):
        args["pipeline"] = str(Path(service.pipeline).absolute())
    application["args"] = args
    known: dict[str, type[StrictModel]] = {
        "Ingress": IngressBatching,
        "Detector": BatchSettings,
        "Extractor": BatchSettings,
        **dict.fromkeys(index_names(service.shards), BatchSettings),
    }
    for deployment in application.get("deployments") or []:
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
