"""The model that a pipeline's embeddings come from: loads it, as only that tells its dimension."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from serve_app.cli.database import read_service_args
from serve_app.config import default_cache_dir, load_pipeline
from serve_app.errors import GalleryMismatchError


def extractor_of(
    pipeline: str | None, config: Path, data_dir: Path | None, environ: Mapping[str, str]
) -> tuple[str, int]:
    """Model id and dimension of ``pipeline``'s extractor, or else of the Serve file's.

    Raises ConfigError, ModelError.
    """
    from serve_app.models.zoo.opening import open_extractor

    service = read_service_args(config, data_dir, environ)
    cache_dir = service.cache_dir or default_cache_dir(environ)
    extractor = open_extractor(load_pipeline(pipeline or service.pipeline), cache_dir)
    return extractor.model_id, extractor.dimension


def check_dimension(name: str, there: int, model_id: str, dimension: int) -> None:
    """Raises GalleryMismatchError unless embeddings of ``model_id`` may be in the directory."""
    if there != dimension:
        raise GalleryMismatchError(
            f"{name} holds {there} dimensions, {model_id} makes {dimension}: name the model of "
            "its embeddings with --model-id, or a pipeline that has it with --pipeline"
        )
