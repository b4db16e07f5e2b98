"""The other process's side of ``to_onnx``."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from serve_app.errors import ModelError
from serve_app.models.conversion.onnx_export import export


def test_an_export_that_writes_nothing_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """paddle2onnx prints what it can't do, and returns."""
    seen: dict[str, Any] = {}

    def record(network: str, parameters: str, target: str, **options: Any) -> None:
        seen.update(options, files=[network, parameters, target])

    monkeypatch.setitem(sys.modules, "paddle2onnx", SimpleNamespace(export=record))
    files = [tmp_path / name for name in ("inference.json", "inference.pdiparams", "model.onnx")]
    with pytest.raises(ModelError, match="paddle2onnx can't convert it"):
        export(*files)
    assert seen["files"] == [str(file) for file in files]
    assert seen["optimize_tool"] == ""  # its optimisers are packages that need not be there
    files[2].touch()
    export(*files)
