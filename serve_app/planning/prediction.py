"""How long requests will take with a plan, and what the model says of the runs it was fitted from.

A plan's stages have processors of their own. In a run of the report all stages, HAProxy, Ray and
the client that measured share the processors of one machine.
"""

from __future__ import annotations

import math
import statistics

from serve_app.planning.costs import REST, STAGES, Costs, Run, StageCost, full_batch
from serve_app.planning.sizing import Plan, with_gallery
from serve_app.planning.waiting import Latency, Machine, Station, latency

SIMULATED, A_REPLICA = 10_000, 20
"""Requests, and at least so many a replica."""
TRIES = 5
"""A run of a few seconds is one of many that might have been: the middle one of so many."""
WAY = (REST, *STAGES[1:], STAGES[0])
NOT_NICED = (REST, "Ingress")
HAPROXY_THREADS = 4
FEWEST = 100
MOST_OTHERS = 1.0


def expected(plan: Plan, costs: Costs) -> Latency:
    """At the plan's own rate. A search is over when its slowest shard is: one shard's queue stands
    for all."""
    servers = {REST: max(1, math.ceil(plan.rest_cpus))}
    servers |= {name: one.replicas for name, one in plan.stages.items()}
    servers["Index"] //= plan.gallery.shards
    faces = plan.load.faces
    stations = _stations(with_gallery(costs.stages, plan.gallery), servers, faces)
    requests = max(SIMULATED, A_REPLICA * max(servers.values()))
    machine = Machine(sum(servers.values()), spread=costs.spread)
    return latency(stations, faces, machine, rate=plan.load.rps, requests=requests)


def predicted(run: Run, costs: Costs) -> Latency:
    """What the model says where ``run`` was measured: as many requests, on the processors that the
    idle service and others left."""
    client = Station(StageCost(0.0, run.client_ms, 0.0), 1, first=True)
    servers = {REST: HAPROXY_THREADS} | costs.replicas
    stations = [client, *_stations(costs.stages, servers, run.faces)]
    machine = Machine(costs.cores, min(run.others, MOST_OTHERS) + costs.node_cores, costs.spread)
    found = [
        latency(
            stations, run.faces, machine, rate=run.rate, clients=run.clients or 0,
            requests=max(run.requests, FEWEST), seed=seed,
        )
        for seed in range(TRIES)
    ]  # fmt: skip
    return Latency(
        *(statistics.median(getattr(one, name) for one in found)
          for name in ("rate", "mean_ms", "p50_ms", "p99_ms"))
    )  # fmt: skip


def _stations(costs: dict[str, StageCost], servers: dict[str, int], faces: float) -> list[Station]:
    """In the order of a request; the Ingress last: most of its work are its calls, of which there
    are as many as the stages have batches."""
    return [
        Station(costs[name], servers[name], full_batch(faces), name in NOT_NICED) for name in WAY
    ]
