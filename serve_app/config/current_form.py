"""A pipeline written out: PaddleX's current form with every key, as ``parse_pipeline`` reads it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from serve_app.config.pipeline import ModelConfig, PipelineConfig


def current_form(config: PipelineConfig, *, base: Path) -> dict[str, Any]:
    """Content of a pipeline file in ``base`` that means ``config``; model directories are relative
    to it."""
    own = config.model_dump(mode="json", exclude={"detector", "extractor", "top_k"})
    return {
        "pipeline_name": "face_recognition",
        **own,
        "rec_topk": config.top_k,
        "SubModules": {
            "Detection": {
                "module_name": "face_detection",
                **_submodule(config.detector, {"mirror", "precision"}, base),
            },
            "Recognition": {
                "module_name": "face_feature",
                **_submodule(config.extractor, set(), base),
            },
        },
    }


def _submodule(model: ModelConfig, left_out: set[str], base: Path) -> dict[str, Any]:
    values = model.model_dump(mode="json", exclude=left_out)
    if model.model_dir is not None:
        values["model_dir"] = os.path.relpath(model.model_dir, base.absolute())
    return values
