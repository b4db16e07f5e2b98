"""Networks in Paddle's form: an official model's directory, fetched at first use, or one of the
user's own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from serve_app.config import ModelConfig
from serve_app.errors import ConfigError
from serve_app.models.inference_yml import declared_name
from serve_app.models.network import Network
from serve_app.models.runtime import Tensors
from serve_app.models.runtime.paddle_inference import paddle_files
from serve_app.models.zoo.cache import ModelCache
from serve_app.models.zoo.fetch import fetch
from serve_app.models.zoo.origin import origin
from serve_app.models.zoo.progress import progress_bar
from serve_app.models.zoo.table import OFFICIAL, OfficialModel


def local_directory(config: ModelConfig) -> Path | None:
    """``model_dir``, if it is set. Raises ConfigError where the file names one official model and
    the directory holds another: a named model must be what is there.

    Names of one's own choosing are not compared: the one that counts is read from the directory.
    """
    directory = config.model_dir
    if directory is not None and config.model_name in OFFICIAL:
        found = declared_name(directory)
        if found in OFFICIAL and found != config.model_name:
            raise ConfigError(
                f"model_name is {config.model_name}, but the directory {directory.name} holds "
                f"{found}; make them agree"
            )
    return directory


def official_directory(model: OfficialModel, cache_dir: Path) -> Path:
    """The directory of an official model; downloaded, with a bar on a terminal, if it is not there.

    Raises ModelError, ConfigError as ``fetch`` does.
    """
    cache = ModelCache(cache_dir)
    if there := cache.installed(model.name):
        return there
    with progress_bar(model.name) as progress:
        return fetch(model, cache, origin(None, os.environ), progress)


def paddle_network(name: str, directory: Path, example: Callable[[], Tensors]) -> Network:
    """Raises ModelError where a file is missing. The digest is of the network and its weights, so
    that a model trained further has embeddings of an id of its own."""
    digest = hashlib.sha256()
    for file in paddle_files(directory):
        digest.update(file.read_bytes())
    return Network(name, directory, digest.hexdigest(), ("paddle",), example)
