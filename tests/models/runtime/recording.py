"""A stand-in of ``paddle.inference.Config`` that notes what it is told."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from serve_app.models.conversion.paddle_module import import_paddle


class RecordingConfig:
    """Takes the calls that the installed Config has, and no other."""

    Precision = SimpleNamespace(Float32="fp32", Half="fp16")

    def __init__(self, *files: str) -> None:
        self.files = files
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        if not hasattr(import_paddle("paddle.inference").Config, name):
            raise AttributeError(f"paddle.inference.Config has no {name}")
        return lambda *arguments: self.calls.append((name, *arguments))
