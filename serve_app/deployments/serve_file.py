"""Reading the Serve file, strictly: Ray's schema ignores misspelt keys, a start must not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from ray.serve.schema import ServeDeploySchema

from serve_app.config import (
    BatchSettings,
    IngressBatching,
    ServiceArgs,
    check_served_index,
    index_names,
    load_pipeline,
    parse_service_args,
)
from serve_app.config.access import check_access
from serve_app.config.strict import StrictModel, mistakes, nearest
from serve_app.errors import ConfigError
from serve_app.fetching.addresses import AddressPolicy

IMPORT_PATH = "serve_app.deployments.app:build_app"
NO_ACCESS_LOG = {"enable_access_log": False}


def load_serve_file(
    file: Path, *, port: int | None = None, data_dir: Path | None = None
) -> dict[str, Any]:
    """The file's content with overrides applied and every relative path made absolute, and without
    Ray's access log unless it asks for that.

    Raises ConfigError that names every key that is wrong: unknown to Ray or to us, or with a value
    that can't work.
    """
    content = _read(file)
    if found := _mistakes(content):
        raise ConfigError(f"{file.name}: {'; '.join(found)}")
    if port is not None:
        content["http_options"] = {**(content.get("http_options") or {}), "port": port}
    for application in our_applications(content):
        application["args"] = _absolute(application.get("args") or {}, data_dir)
        # Ray's access log has the path of each request, and paths hold labels and gallery keys.
        application["logging_config"] = NO_ACCESS_LOG | (application.get("logging_config") or {})
    return content


def serve_file_mistakes(file: Path) -> list[str]:
    """Everything that ``load_serve_file`` refuses in a file that can be read, a message each.

    Raises ConfigError for one that can't.
    """
    return _mistakes(_read(file))


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


def on_one_machine(content: Mapping[str, Any]) -> dict[str, Any]:
    """``content`` without ``max_replicas_per_node``, which spreads replicas over machines: where
    there is one, those above it would never start."""
    return {
        **content,
        "applications": [
            {
                **application,
                "deployments": [
                    {k: v for k, v in deployment.items() if k != "max_replicas_per_node"}
                    for deployment in application.get("deployments") or []
                ],
            }
            for application in content.get("applications") or []
        ],
    }


def _read(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError:
        raise ConfigError(f"{file.name} can't be read: give a Serve file with --config") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigError(f"{file.name} is not valid YAML") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{file.name} is empty or no mapping")
    return content


def _mistakes(content: dict[str, Any]) -> list[str]:
    found = list(_unknown_keys(content, ServeDeploySchema, ""))
    try:
        ServeDeploySchema.model_validate(content)
    except ValidationError as error:
        for problem in error.errors():
            found.append(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}")
    except (AttributeError, TypeError):  # Ray's own validators expect mappings
        found.append("applications: a deployment must be a mapping of keys")
    else:
        for application in our_applications(content):
            found += _application_mistakes(application, _host(content))
    return list(dict.fromkeys(found))  # a key in two branches of Ray's schema is wrong once


def our_applications(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The applications of a file without mistakes that are this service. Ray takes a colon or a dot
    before the function's name."""
    return [
        application
        for application in content["applications"]
        if application["import_path"].replace(":", ".") == IMPORT_PATH.replace(":", ".")
    ]


def _absolute(args: Mapping[str, Any], data_dir: Path | None) -> dict[str, Any]:
    """``args`` for replicas, whose working directory may be another."""
    absolute = dict(args)
    if data_dir is not None:
        absolute["data_dir"] = str(data_dir)
    service = parse_service_args(absolute)
    absolute["data_dir"] = str(service.data_dir)
    if service.database_url is not None:
        absolute["database_url"] = service.database_url
    if service.snapshots.url is not None:
        absolute["snapshots"] = {**absolute["snapshots"], "url": service.snapshots.url}
    if (traces := service.observability.tracing.path) is not None:
        tracing = {**absolute["observability"]["tracing"], "path": str(traces)}
        absolute["observability"] = {**absolute["observability"], "tracing": tracing}
    if service.jobs.inputs:
        absolute["jobs"] = {**absolute["jobs"], "inputs": list(service.jobs.inputs)}
    if service.pipeline.endswith((".yaml", ".yml")):
        absolute["pipeline"] = str(Path(service.pipeline).absolute())
    return absolute


def _host(content: Mapping[str, Any]) -> str:
    """Where the file says that HTTP is served, as Ray reads it."""
    return str(ServeDeploySchema.model_validate(content).http_options.host)


def _application_mistakes(application: Mapping[str, Any], host: str) -> Iterator[str]:
    args = dict(application.get("args") or {})
    shards = 1
    if wrong := mistakes(ServiceArgs, args, "args"):
        yield from wrong
    else:
        service = parse_service_args(args)
        shards = service.shards
        for check in (
            lambda: check_served_index(load_pipeline(service.pipeline)),
            lambda: AddressPolicy(service.fetch.allow),
            lambda: check_access(service.access, host),
        ):
            try:
                check()
            except ConfigError as error:
                yield str(error)
    known: dict[str, type[StrictModel]] = {
        "Ingress": IngressBatching,
        "Detector": BatchSettings,
        "Extractor": BatchSettings,
        **dict.fromkeys(index_names(shards), BatchSettings),
    }
    for deployment in application.get("deployments") or []:
        name = deployment.get("name")
        if name in known:
            settings = deployment.get("user_config") or {}
            yield from mistakes(known[name], settings, f"{name}.user_config")
        else:
            yield f"deployments: {name} is not known{nearest(str(name), known)}"


def _unknown_keys(value: object, annotation: Any, where: str) -> Iterator[str]:
    """Walk Ray's schema beside the content; free-form fields (dicts) are left alone."""
    if get_origin(annotation) in (Union, UnionType):
        for option in get_args(annotation):
            yield from _unknown_keys(value, option, where)
    elif get_origin(annotation) is list and isinstance(value, list):
        for position, element in enumerate(value):
            yield from _unknown_keys(element, get_args(annotation)[0], f"{where}[{position}]")
    elif (
        isinstance(annotation, type)
        and issubclass(annotation, BaseModel)
        and isinstance(value, Mapping)
    ):
        for key, inner in value.items():
            name = f"{where}.{key}" if where else str(key)
            field = annotation.model_fields.get(key)
            if field is None:
                known = list(annotation.model_fields)
                yield f"{name} is not a known key{nearest(str(key), known)}"
            else:
                yield from _unknown_keys(inner, field.annotation, name)
