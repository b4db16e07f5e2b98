"""What happens to the service while it is under load. Each returns when all is as it was again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from load_tests.drill.content import with_code, with_settings
from load_tests.drill.processes import kill

if TYPE_CHECKING:
    from load_tests.drill.world import World  # imports Ray

KILLS = 2
HEAD_AWAY_S = 10.0
"""Until a new head is there: about what a pod takes whose image is on the machine."""
TOGETHER_S = 15.0
"""For which two clusters get requests."""
DRAINED_S = 12.0
"""From the last request that is sent to a cluster until its end: longer than a request takes."""


@dataclass(frozen=True, slots=True)
class Scenario:
    title: str
    happen: Callable[[World], None]


def code_change(world: World) -> None:
    """Another version of the code, and back: every replica is exchanged, twice."""
    before = world.versions()
    world.deploy(with_code(world.content, world.release("0.0.0+drill")))
    assert world.versions() == {"0.0.0+drill"}, world.versions()
    world.deploy(world.content)
    assert world.versions() == before, world.versions()


def configuration_change(world: World) -> None:
    """Other batches and more replicas, and back: replicas come and go."""
    world.deploy(with_settings(world.content))
    world.deploy(world.content)


def index_replica(world: World) -> None:
    for _ in range(KILLS):
        before = world.replicas("Index")
        kill([random.choice(world.cluster.replicas("Index"))])
        world.settle(lambda _, before=before: world.replicas("Index") != before)  # type: ignore[misc]


def node(world: World) -> None:
    """A worker that holds an Ingress replica, whatever else, and a proxy; then a new one takes its
    place."""
    cluster = world.cluster
    victim = next(one for one in cluster.workers if one.node.node_id in world.nodes_of("Ingress"))
    cluster.kill_worker(victim)
    world.settle(lambda details: victim.node.node_id not in (details.get("proxies") or {}))
    cluster.add_worker()
    world.addresses.replace([machine.url for machine in cluster.machines])
    world.settle()


def controller(world: World) -> None:
    before = world.cluster.controller()
    kill([before])
    time.sleep(5)
    world.settle()
    assert world.cluster.controller().pid != before.pid


def head(world: World) -> None:
    """With the controller, Ray's control store, and the head's proxy; Redis stays."""
    world.cluster.kill_head()
    time.sleep(HEAD_AWAY_S)
    world.cluster.restart_head()
    world.settle()


def two_clusters(world: World) -> None:
    """As KubeRay upgrades a RayService: a second cluster beside, requests to both, then to it
    alone, then the end of the first."""
    old = world.cluster
    new = world.start()
    both = [machine.url for machine in [*old.machines, *new.machines]]
    world.addresses.replace(both)
    time.sleep(TOGETHER_S)
    world.addresses.replace([machine.url for machine in new.machines])
    time.sleep(DRAINED_S)
    world.end(old)


SCENARIOS = {
    "code": Scenario("code change and back", code_change),
    "configuration": Scenario("configuration change and back", configuration_change),
    "index-replica": Scenario(f"an Index replica killed, {KILLS} times", index_replica),
    "node": Scenario("a worker node killed and replaced", node),
    "controller": Scenario("the Serve controller killed", controller),
    "head": Scenario("the head killed, back after 10 s (Redis)", head),
    "two-clusters": Scenario("a second cluster on the database, the first ended", two_clusters),
}
