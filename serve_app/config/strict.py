"""Frozen models that refuse unknown keys, and messages that name the nearest known one."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from serve_app.errors import ConfigError


class StrictModel(BaseModel):
    # protected_namespaces: PaddleX's keys are model_name and model_dir.
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


Model = TypeVar("Model", bound=StrictModel)


def validate(model: type[Model], values: Mapping[str, Any], where: str) -> Model:
    """An instance of ``model``. Raises ConfigError with one line a bad key, each with its path."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        lines = [_line(model, where, problem["loc"], problem) for problem in error.errors()]
        raise ConfigError("; ".join(lines)) from None


def refuse_unknown(content: object, known: Collection[str], where: str) -> dict[str, Any]:
    """``content`` as a mapping of known keys only. Raises ConfigError."""
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise ConfigError(f"{where or 'file'} must be a mapping of keys to values")
    for key in content:
        if key not in known:
            prefix = f"{where}." if where else ""
            raise ConfigError(f"{prefix}{key} is not a known key{nearest(str(key), known)}")
    return dict(content)


def nearest(key: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(key, list(known), n=1, cutoff=0.4)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(sorted(known))}"


def _line(model: type[BaseModel], where: str, loc: tuple[int | str, ...], problem: Any) -> str:
    path = ".".join([where, *(str(part) for part in loc)])
    if problem["type"] == "extra_forbidden":
        return f"{path} is not a known key{nearest(str(loc[-1]), _fields_at(model, loc[:-1]))}"
    return f"{path}: {problem['msg']}"


def _fields_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> Collection[str]:
    for part in loc:
        field = model.model_fields.get(str(part))
        if field is None or not isinstance(field.annotation, type):
            return []
        if not issubclass(field.annotation, BaseModel):
            return []
        model = field.annotation
    return list(model.model_fields)
