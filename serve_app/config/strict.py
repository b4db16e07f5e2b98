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
    if found := mistakes(model, values, where):
        raise ConfigError("; ".join(found))
    return model.model_validate(values)


def mistakes(
    model: type[StrictModel],
    values: Mapping[str, Any],
    where: str,
    written: Mapping[str, str] | None = None,
) -> list[str]:
    """What is wrong with ``values``, a message each. ``written``: how a file writes a key of
    ``model`` (``top_k``, ``detector.batch_size``); others are named as they are, below ``where``.
    """
    try:
        model.model_validate(values)
    except ValidationError as error:
        return [
            _line(model, _place(problem["loc"], where, written or {}), problem["loc"], problem)
            for problem in error.errors()
        ]
    return []


def refuse_unknown(content: object, known: Collection[str], where: str) -> dict[str, Any]:
    """``content`` as a mapping of known keys only. Raises ConfigError."""
    found: list[str] = []
    section = known_keys(content, known, where, found)
    if found:
        raise ConfigError("; ".join(found))
    return section


def known_keys(
    content: object, known: Collection[str], where: str, found: list[str]
) -> dict[str, Any]:
    """The known keys of ``content`` with their values; what is wrong with it is added to
    ``found``, a message each."""
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        found.append(f"{where or 'file'} must be a mapping of keys to values")
        return {}
    prefix = f"{where}." if where else ""
    found += [
        f"{prefix}{key} is not a known key{nearest(str(key), known)}"
        for key in content
        if key not in known
    ]
    return {key: value for key, value in content.items() if key in known}


def nearest(key: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(key, list(known), n=1, cutoff=0.4)
    return f"; did you mean {close[0]}?" if close else f"; known are {', '.join(sorted(known))}"


def is_near(key: str, known: Collection[str]) -> bool:
    """Whether ``key`` is one of ``known``, or one of them misspelt."""
    return bool(difflib.get_close_matches(key, list(known), n=1, cutoff=0.75))


def _place(loc: tuple[int | str, ...], where: str, written: Mapping[str, str]) -> str:
    """The path of a key as its file has it: the longest part that ``written`` knows replaced."""
    parts = [str(part) for part in loc]
    for length in range(len(parts), 0, -1):
        if name := written.get(".".join(parts[:length])):
            return ".".join([name, *parts[length:]])
    return ".".join([where, *parts] if where else parts)


def _line(model: type[BaseModel], path: str, loc: tuple[int | str, ...], problem: Any) -> str:
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
