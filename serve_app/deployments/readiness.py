"""What ``/ready`` looks at: a replica of each stage, and the store behind the Index."""

from __future__ import annotations

from collections.abc import Sequence

from ray.serve.handle import DeploymentHandle

from serve_app.config import index_names
from serve_app.deployments.stage_caller import StageCaller
from serve_app.service import Check
from serve_app.service.readiness import TIMEOUT_S

NO_REPLICA = (
    "none of its replicas answers: `serve status` says whether they run, and why not; their logs "
    "say the rest"
)
NO_STORE = (
    "the database does not answer the Index: check that it runs, and that the nodes reach it and "
    "have its URL (FACE_SERVE_DATABASE_URL or database_url)"
)


def stage_checks(
    detector: DeploymentHandle, extractor: DeploymentHandle, shards: Sequence[DeploymentHandle]
) -> dict[str, Check]:
    """By the stages' names in the metrics; shards, where there are several, by their own."""
    indexes = [name.lower() for name in index_names(len(shards))]
    handles = {
        "detector": detector,
        "extractor": extractor,
        **dict(zip(indexes, shards, strict=True)),
    }
    checks = {name: _check(name, handle, "ready", NO_REPLICA) for name, handle in handles.items()}
    return {**checks, "store": _check("store", shards[0], "store_ready", NO_STORE)}


def _check(name: str, handle: DeploymentHandle, method: str, advice: str) -> Check:
    caller = StageCaller(name, handle, TIMEOUT_S)

    async def look() -> None:
        error = await caller.call(method)
        if error is not None:
            raise error

    return Check(look, advice)
