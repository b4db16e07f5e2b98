"""What is wrong with one configuration file, and what it comes to. Tells a pipeline file from a
Serve file by the keys in it; imports Ray for the latter only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from serve_app.config import (
    ModelConfig,
    PipelineConfig,
    load_pipeline,
    parse_pipeline,
    parse_service_args,
)
from serve_app.config.current_form import current_form
from serve_app.config.pipeline_file import pipeline_mistakes
from serve_app.config.strict import is_near
from serve_app.errors import ConfigError, ModelError

PIPELINE, SERVE, NEITHER = "pipeline file", "Serve file", "no configuration"
SERVE_KEYS = {
    "applications", "http_options", "grpc_options", "proxy_location", "logging_config",
    "target_capacity",
}  # fmt: skip
"""What stands at the top of Ray's file."""

SECRET_URLS = re.compile(r"(?<=//)[^/@]*(?=@)|(?<=\?).*")
"""User and password of a URL, and its parameters."""


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """``values``: the configuration with every default, without secrets; empty if the file is
    wrong."""

    name: str
    kind: str
    mistakes: list[str]
    values: dict[str, Any]

    def text(self) -> str:
        return yaml.safe_dump(self.values, sort_keys=False, allow_unicode=True, width=100)

    def as_dict(self, *, with_values: bool) -> dict[str, Any]:
        facts = {"file": self.name, "kind": self.kind, "mistakes": self.mistakes}
        return facts | ({"values": self.values} if with_values else {})


def check_file(file: Path) -> CheckedFile:
    name = str(file)
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        return CheckedFile(name, NEITHER, [f"can't be read: {error.strerror}"], {})
    except UnicodeDecodeError:
        return CheckedFile(name, NEITHER, ["is not text in UTF-8"], {})
    except yaml.YAMLError as error:
        return CheckedFile(name, NEITHER, [f"is not valid YAML{_position(error)}"], {})
    if _is_serve_file(content):
        return _check_serve_file(file, content)
    return _check_pipeline_file(file, content)


def _check_pipeline_file(file: Path, content: object) -> CheckedFile:
    found = pipeline_mistakes(content, base=file.parent)
    if not found:
        config = parse_pipeline(content, base=file.parent)
        found = _model_mistakes(config)
    values = {} if found else current_form(config, base=file.parent)
    return CheckedFile(str(file), PIPELINE, found, values)


def _model_mistakes(config: PipelineConfig) -> list[str]:
    """Models that the zoo doesn't know, and directories that hold none."""
    found = []
    for model, task in ((config.detector, "detector"), (config.extractor, "extractor")):
        try:
            _check_model(model, task)
        except (ConfigError, ModelError) as error:
            found.append(f"{task}: {error}")
    return found


def _check_model(model: ModelConfig, task: Any) -> None:
    from serve_app.models.runtime.paddle_inference import paddle_files
    from serve_app.models.zoo.directories import local_directory
    from serve_app.models.zoo.table import find

    directory = local_directory(model)
    if directory is None:
        find(model.model_name, task)
    else:
        paddle_files(directory)


def _check_serve_file(file: Path, content: dict[str, Any]) -> CheckedFile:
    from serve_app.deployments.serve_file import (
        our_applications,
        serve_file_mistakes,
    )  # imports Ray

    found = serve_file_mistakes(file)
    if found:
        return CheckedFile(str(file), SERVE, found, {})
    for application in our_applications(content):
        args = application.get("args") or {}
        found += _model_mistakes(load_pipeline(parse_service_args(args).pipeline))
        application["args"] = _complete(args)
    return CheckedFile(str(file), SERVE, found, {} if found else content)


def _complete(args: dict[str, Any]) -> dict[str, Any]:
    """``args`` of this service with every default; paths as they were written."""
    complete = parse_service_args({}).model_dump(mode="json") | {"data_dir": "data"}
    return _without_secrets(_merged(complete, args))


def _merged(defaults: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(defaults)
    for key, value in given.items():
        inner = merged.get(key)
        if isinstance(inner, dict) and isinstance(value, Mapping):
            merged[key] = _merged(inner, value)
        else:
            merged[key] = value
    return merged


def _without_secrets(args: dict[str, Any]) -> dict[str, Any]:
    snapshots = dict(args["snapshots"])
    for section, key in ((args, "database_url"), (snapshots, "url")):
        if section[key] is not None:
            section[key] = SECRET_URLS.sub("***", section[key])
    return args | {"snapshots": snapshots}


def _is_serve_file(content: object) -> bool:
    """Most of its top keys are, or are nearly, those of a Serve file."""
    if not isinstance(content, Mapping):
        return False
    ours = sum(is_near(str(key), SERVE_KEYS) for key in content)
    return ours > len(content) - ours or "applications" in content


def _position(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return ""
    problem = getattr(error, "problem", None) or "it ends too early"
    return f": line {mark.line + 1}, column {mark.column + 1}: {problem}"
