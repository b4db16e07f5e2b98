"""The graph on one screen: four undecorated classes, wired."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ray import serve
from ray.serve import Application

from serve_app.config import (
    EncryptionConfig,
    SnapshotConfig,
    database_url,
    default_cache_dir,
    index_names,
    open_vault,
    parse_service_args,
    snapshots_url,
)
from serve_app.deployments.detector import Detector
from serve_app.deployments.extractor import Extractor
from serve_app.deployments.index import Index
from serve_app.deployments.ingress import Ingress
from serve_app.deployments.job_host import JobHosts
from serve_app.deployments.routing import least_busy
from serve_app.deployments.start_checks import check_start
from serve_app.index.snapshots import SnapshotStorage
from serve_app.index.store import GalleryStore
from serve_app.models.zoo.opening import Watch, unwatched
from serve_app.types import Shard


def build_app(args: Mapping[str, Any]) -> Application:
    """The application of ``configs/serve/*.yaml``; replicas and resources come from that file.

    ``args`` is its section of that name (ServiceArgs). Raises ConfigError before anything starts.
    """
    return graph(args, unwatched)


def graph(args: Mapping[str, Any], watch: Watch) -> Application:
    """``build_app`` with other networks: ``watch`` is handed each one's session and answers with
    what to run instead, in the replicas (it is pickled). Load tests put a GPU's stand-in there."""
    service = parse_service_args(args)
    pipeline = check_start(service, os.environ)
    cache_dir = service.cache_dir or default_cache_dir(os.environ)
    # Faces are biometric data: nobody else on the machine reads them.
    service.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Made here and only opened in the replicas: one that lands on another node must not start a
    # second, empty store.
    urls = database_url(service, os.environ), snapshots_url(service)
    # With a master key that is missing or wrong nothing starts, and no new data key is made.
    GalleryStore(urls[0], vault=open_vault(service.encryption.keys, os.environ)).close()
    SnapshotStorage(urls[1])

    router = least_busy()
    detector = serve.deployment(Detector, name="Detector", request_router_config=router).bind(
        pipeline, service.limits, cache_dir, service.observability, watch
    )
    extractor = serve.deployment(Extractor, name="Extractor", request_router_config=router).bind(
        pipeline, cache_dir, service.observability, watch
    )
    # Beside the store: what runs jobs needs its address, which replicas of the API never get.
    hosts = JobHosts(
        service.model_copy(update={"database_url": urls[0], "cache_dir": cache_dir}), watch
    )
    shards = [
        serve.deployment(Index, name=name, request_router_config=router).bind(
            urls,
            Shard(number, service.shards),
            service.index,
            service.snapshots,
            hosts,
            service.observability,
            service.audit,
            service.encryption.keys,
        )
        for number, name in enumerate(index_names(service.shards))
    ]
    # The Serve file's args without what replicas of the API have no need to know.
    secret = {
        "database_url": None,
        "snapshots": SnapshotConfig(),
        "encryption": EncryptionConfig(),
    }
    public = service.model_copy(update=secret)
    ingress = serve.deployment(serve.ingress()(Ingress), name="Ingress")
    return ingress.bind(detector, extractor, shards, pipeline, public)
