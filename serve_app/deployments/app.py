"""The graph on one screen: four undecorated classes, wired."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ray import serve
from ray.serve import Application

from serve_app.config import default_cache_dir, load_pipeline, parse_service_args
from serve_app.deployments.detector import Detector
from serve_app.deployments.extractor import Extractor
from serve_app.deployments.index import Index
from serve_app.deployments.ingress import Ingress
from serve_app.fetching.addresses import AddressPolicy
from serve_app.index.engine import sqlite_url
from serve_app.index.store import GalleryStore


def build_app(args: Mapping[str, Any]) -> Application:
    """The application of ``configs/serve/*.yaml``; replicas and resources come from that file.

    ``args`` is its section of that name (ServiceArgs). Raises ConfigError before anything starts.
    """
    service = parse_service_args(args)
    pipeline = load_pipeline(service.pipeline)
    AddressPolicy(service.fetch.allow)  # its mistakes are for the start, not for a replica
    cache_dir = service.cache_dir or default_cache_dir(os.environ)
    # Faces are biometric data: nobody else on the machine reads them.
    service.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Made here and only opened in the replicas: one that lands on another node must not start a
    # second, empty store.
    database = sqlite_url(service.data_dir / "galleries.db")
    GalleryStore(database).close()

    detector = serve.deployment(Detector, name="Detector").bind(pipeline, service.limits, cache_dir)
    extractor = serve.deployment(Extractor, name="Extractor").bind(pipeline, cache_dir)
    index = serve.deployment(Index, name="Index").bind(database)
    ingress = serve.deployment(serve.ingress()(Ingress), name="Ingress")
    return ingress.bind(detector, extractor, index, pipeline, service)
