"""Which replica of a stage gets the next call: the least busy one, of equals the longest at rest.

Ray's own router draws two replicas and takes the less busy one, by what it knows of them. That is
good for thousands of small requests. The calls here are few and long, one to a replica, and the
next one goes out in the moment in which one ends: Ray's counts are one turn of the event loop late
then, all replicas look equally busy, and a draw sends two calls to one replica while another stands
idle. Four replicas did the work of two to three (docs/benchmarks.md).
"""

from __future__ import annotations

import itertools
import random
from typing import Any

from ray.serve.config import RequestRouterConfig
from ray.serve.request_router import (
    FIFOMixin,
    PendingRequest,
    ReplicaID,
    RequestRouter,
    RunningReplica,
)


class LeastBusyRouter(FIFOMixin, RequestRouter):  # type: ignore[misc] # Ray has no types
    """Offers all replicas. Ray takes the one with the shortest queue, the first of equals: calls of
    one length end in the order in which they were sent, so it is the one that has just ended."""

    def initialize_state(self, **_: Any) -> None:
        """Ray's hook, in the place of ``__init__``."""
        self._turns = itertools.count(1)
        self._last_turn: dict[ReplicaID, int] = {}

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,  # noqa: ARG002
    ) -> list[list[RunningReplica]]:
        """One rank, the longest at rest first."""
        # Several ingresses would else send their first calls to the same replica.
        ranked = random.sample(candidate_replicas, len(candidate_replicas))  # nosec B311 # spreads calls
        ranked.sort(key=lambda replica: self._last_turn.get(replica.replica_id, 0))
        self._last_turn = {
            replica.replica_id: self._last_turn.get(replica.replica_id, 0) for replica in ranked
        }
        if not ranked:
            return []
        # Already now: the call that is routed in the same turn must not see it at rest.
        self._last_turn[ranked[0].replica_id] = next(self._turns)
        return [ranked]

    def on_send_request(self, replica_id: ReplicaID) -> None:
        """Ray took this one, whichever was offered first."""
        super().on_send_request(replica_id)
        self._last_turn[replica_id] = next(self._turns)


def least_busy() -> RequestRouterConfig:
    """For ``serve.deployment``: the class by its name, which is how Ray hands it to processes."""
    return RequestRouterConfig(request_router_class=f"{__name__}:{LeastBusyRouter.__name__}")
