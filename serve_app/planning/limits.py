"""What ends first as a plan grows: each limit's use, and what to do then.

A use of 1 is the end. ``basis``: *measured* on our machine (docs/benchmarks.md, or the pickling and
sorting below), *documented* by Ray or PostgreSQL, or *inferred* from how the code works and figures
of the other two kinds. docs/capacity.md has the sources.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from serve_app.planning.costs import Costs
from serve_app.planning.gallery import index_figures
from serve_app.planning.sizing import Plan, room_mb
from serve_app.planning.waiting import Latency

Basis = Literal["measured", "documented", "inferred"]

ERASE_S = 86_400
"""``snapshots.erase_within_s``: when half of it is over a snapshot that holds something removed is
built anew."""
POOL = 16
"""Database connections of an Index replica (index/store/postgres.py)."""
MAX_CONNECTIONS = 100
"""PostgreSQL's default."""
QUESTION_MS = 0.08
"""The store's question before a batch of searches, as measured with SQLite."""
DATABASE_CORES = 8
LOOK_EVERY_S, LOOK_QUESTIONS = 5, 3
"""Of the keeper of each Index replica (``index.upkeep_s``)."""
PROBE_MS, PROBE_EVERY_S = 0.5, 10
"""A health check as its sender pays for it, of each replica so often; an Ingress asks each replica
for its queue's length as often."""
IDLE_CONTROLLER = 0.05
"""Cores of the Serve controller with six replicas."""
ENTRY_MS = 0.0085
"""Pickling one replica of the list that each Ingress gets whenever one comes or goes."""
RANK_MS = 0.0006
"""Ranking one replica for a call (deployments/routing.py)."""
LOOKUP_MS, WAVE = 1.0, 0.2
"""An Ingress looks each new replica up, on its event loop; a rolling update starts a fifth of the
replicas at once. The time is a guess: a round trip to the GCS."""
IN_FLIGHT = 1024
"""``admission.max_in_flight`` of an Ingress."""
CONNECTIONS = 4096
"""RAY_SERVE_HAPROXY_MAXCONN, of each node's HAProxy."""
ACTORS = 20_000
"""Ray's scalability envelope."""


@dataclass(frozen=True, slots=True)
class Limit:
    """``use``: share of what there is. ``then``: what helps."""

    name: str
    use: float
    basis: Basis
    then: str


def limits(plan: Plan, latency: Latency, costs: Costs) -> list[Limit]:
    """The nearest to its end first."""
    load, stages, gallery = plan.load, plan.stages, plan.gallery
    ingresses, index = stages["Ingress"].replicas, stages["Index"].replicas
    networks = [stages[name].replicas for name in ("Detector", "Extractor")]
    called = [*networks, index]
    in_flight = load.rps * latency.p50_ms / 1e3
    questions = load.rps + index / LOOK_EVERY_S * LOOK_QUESTIONS
    index_mb = stages["Index"].memory_mb + (
        index_figures()[gallery.index_type].builder_bytes * load.gallery / gallery.shards / 1e6
    )
    ranking_ms = RANK_MS * sum(called)
    found = [
        *(
            Limit(f"processors of {name}", one.utilisation, "measured", f"more {name} replicas")
            for name, one in stages.items()
        ),
        Limit("memory of a node with an Index replica and its builder",
              index_mb / room_mb(load, costs), "measured",
              "larger nodes, more shards, or an index that compresses (IVF with PQ)"),
        Limit("half of erase_within_s, to build a shard's index in", 2 * gallery.build_s / ERASE_S,
              "inferred", "build_threads, more shards"),
        Limit("database connections, of PostgreSQL's default of 100",
              POOL * index / MAX_CONNECTIONS, "documented",
              "raise max_connections; in the hundreds a pooler before the database"),
        Limit(f"the database's {DATABASE_CORES} cores, asked before searches",
              questions * QUESTION_MS / 1e3 / DATABASE_CORES, "inferred",
              "clients that can do with consistency: eventual; more galleries than one database"),
        Limit("Serve controller: health checks",
              IDLE_CONTROLLER + plan.replicas * PROBE_MS / 1e3 / PROBE_EVERY_S, "documented",
              "several Ray clusters on one database"),
        Limit("Serve controller: one change a second told to all Ingresses",
              ingresses * max(called) * ENTRY_MS / 1e3, "measured",
              "several Ray clusters on one database; fewer, larger replicas"),
        Limit("a second of an Ingress, looking up a wave of new replicas",
              WAVE * max(called) * LOOKUP_MS / 1e3, "inferred",
              "small waves (rolling_update_percentage), or a second cluster beside"),
        Limit("an Ingress's processor: ranking replicas for each call",
              load.rps / ingresses * ranking_ms / 1e3, "measured",
              "several Ray clusters, each with its share of the replicas"),
        Limit("an Ingress's processor: asking replicas for their queues",
              sum(called) * PROBE_MS / 1e3 / PROBE_EVERY_S, "inferred",
              "the same; or RAY_SERVE_QUEUE_LENGTH_CACHE_TIMEOUT_S"),
        Limit("requests under way in an Ingress", in_flight / ingresses / IN_FLIGHT, "measured",
              "more Ingress replicas"),
        Limit("connections of a node's HAProxy", in_flight / plan.nodes / CONNECTIONS, "documented",
              "RAY_SERVE_HAPROXY_MAXCONN, more nodes"),
        Limit("actors of a Ray cluster", (plan.replicas + 2 * plan.nodes) / ACTORS, "documented",
              "several Ray clusters"),
    ]  # fmt: skip
    return sorted(found, key=lambda one: -one.use)
