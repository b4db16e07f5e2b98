"""Keys and quotas over Ray handles, and what the cluster serves HTTP on."""

from __future__ import annotations

from collections.abc import Mapping

from ray.serve.context import _get_global_client

from serve_app.access.changes import AccessNews, Spent
from serve_app.deployments.stage_caller import StageCaller
from serve_app.deployments.store_caller import StoreCaller
from serve_app.errors import FaceServeError


class RayAccess:
    """The ``Registry`` of a ``KeyRing``: any replica of the Index, as each has the store."""

    def __init__(self, stage: StageCaller) -> None:
        self._stage = stage
        self._store = StoreCaller(stage)

    async def news(self, known: int) -> AccessNews:
        told: AccessNews = await self._store.ask("access_news", known)
        return told

    async def spend(self, spent: Mapping[str, Spent]) -> Mapping[str, float]:
        """Sent once: a replica that died may have taken it off, and twice would be too much."""
        levels: Mapping[str, float] | FaceServeError = await self._stage.call("spend", spent)
        if isinstance(levels, FaceServeError):
            raise levels
        return levels


def served_host() -> str | None:
    """The address that the cluster's proxies listen on; None where Ray does not tell."""
    client = _get_global_client(raise_if_no_controller_running=False)
    return None if client is None else str(client.http_config.host)
