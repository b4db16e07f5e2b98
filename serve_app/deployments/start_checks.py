"""What is checked before anything of the service starts: each mistake ends the start with one
message that names its key, whether ``face-serve serve`` starts it, ``serve run``, or KubeRay.

Without Ray and without loading a network: ``face-serve serve`` asks before it starts a cluster. The
database is opened by ``build_app``, which comes next. Whether a GPU is there is for the replicas to
say: where an application is built, Ray hides them, and on a cluster there need be none. On one
machine ``check_devices`` says it at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serve_app.api.hosts import Hosts
from serve_app.config import (
    PipelineConfig,
    ServiceArgs,
    check_observability,
    check_served_index,
    database_url,
    load_pipeline,
    open_vault,
)
from serve_app.errors import ConfigError
from serve_app.fetching.addresses import AddressPolicy
from serve_app.models.runtime.devices import choose_device
from serve_app.models.zoo.opening import check_directories


def check_start(service: ServiceArgs, environ: Mapping[str, str]) -> PipelineConfig:
    """The pipeline that ``service`` names. Raises ConfigError."""
    pipeline = load_pipeline(service.pipeline)
    check_served_index(pipeline)
    AddressPolicy(service.fetch.allow)
    Hosts(service.hosts)
    check_observability(service.observability)
    database_url(service, environ)
    open_vault(service.encryption.keys, environ)
    check_directories(pipeline)
    return pipeline


def check_devices(service: ServiceArgs, pipeline: PipelineConfig) -> None:
    """Of this machine. Raises ConfigError for a device that is named and not there."""
    if pipeline.device is not None:
        choose_device(pipeline.device)
    if service.index.device != "cpu":
        # Late: FAISS is of no use to the command that starts the service.
        from serve_app.index.gallery import choose_device as choose_for_faiss

        try:
            choose_for_faiss(service.index.device)
        except ConfigError as error:
            raise ConfigError(f"args.index.device: {error}") from None


def check_logical_gpus(content: Mapping[str, Any], there: float) -> None:
    """``content``: a checked Serve file; ``there``: GPUs that Ray has. Ray itself would wait for
    one without end. Raises ConfigError."""
    for application in content.get("applications") or []:
        for deployment in application.get("deployments") or []:
            wanted = (deployment.get("ray_actor_options") or {}).get("num_gpus") or 0
            if wanted > there:
                raise ConfigError(
                    f"{deployment['name']}.ray_actor_options.num_gpus: {wanted:g} of a GPU is "
                    f"asked for, and there are {there:g} on this machine"
                )
