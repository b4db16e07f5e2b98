"""How long requests will take with a plan, and what the model says of the runs it was fitted from.

A plan's stages have processors of their own. In a run of the report all stages, HAProxy, Ray and
the client that measured share the processors of one machine.
"""

from __future__ import annotations

import math

from serve_app.planning.costs import REST, STAGES, Costs, Run, StageCost, full_batch
from serve_app.planning.sizing import Plan, with_gallery
from serve_app.planning.waiting import Latency, Station, latency

SIMULATED, A_REPLICA = 10_000, 20
"""Requests, and at least so many a replica."""
NOT_NICED = (REST, "Ingress")
HAPROXY_THREADS = 4


def expected(plan: Plan, costs: Costs) -> Latency:
    """At the plan's own rate. A search is over when its slowest shard is: one shard's queue stands
    for all."""
    servers = {REST: max(1, math.ceil(plan.rest_cpus))}
    servers |= {name: one.replicas for name, one in plan.stages.items()}
    servers["Index"] //= plan.gallery.shards
    faces = plan.load.faces
    stations = _stations(with_gallery(costs.stages, plan.gallery), servers, faces)
    requests = max(SIMULATED, A_REPLICA * max(servers.values()))
    return latency(stations, faces, sum(servers.values()), rate=plan.load.rps, requests=requests)


def predicted(run: Run, costs: Costs) -> Latency:
    """What the model says where ``run`` was measured."""
    client = Station(StageCost(0.0, run.client_ms, 0.0), 1, first=True)
    servers = {REST: HAPROXY_THREADS} | costs.replicas
    stations = [client, *_stations(costs.stages, servers, run.faces)]
    return latency(
        stations, run.faces, costs.cores, rate=run.rate, clients=run.clients or 0,
        requests=SIMULATED,
    )  # fmt: skip


def _stations(costs: dict[str, StageCost], servers: dict[str, int], faces: float) -> list[Station]:
    """In the order of a request."""
    return [
        Station(costs[name], servers[name], full_batch(faces), name in NOT_NICED)
        for name in (REST, *STAGES)
    ]
