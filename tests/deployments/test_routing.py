from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

from serve_app.deployments.routing import LeastBusyRouter, least_busy


@dataclass(eq=False)
class Replica:
    """As far as it is looked at here."""

    replica_id: str


def router() -> LeastBusyRouter:
    """Ray's constructor wants a cluster; ``initialize_state`` is the hook that it leaves to us."""
    made = LeastBusyRouter.__new__(LeastBusyRouter)
    made._use_replica_queue_len_cache = False
    made.initialize_state()
    return made


async def first_of(made: LeastBusyRouter, replicas: list[Replica]) -> Replica:
    """What Ray takes where all queues look equally long."""
    (rank,) = await made.choose_replicas(replicas)
    assert sorted(one.replica_id for one in rank) == sorted(one.replica_id for one in replicas)
    first: Replica = rank[0]
    return first


async def test_calls_of_one_turn_go_to_all_replicas() -> None:
    replicas = [Replica(name) for name in "abcd"]
    made = router()
    for _ in range(3):
        chosen = await asyncio.gather(*(first_of(made, replicas) for _ in range(4)))
        assert Counter(one.replica_id for one in chosen) == Counter("abcd")


async def test_the_next_call_goes_to_the_replica_whose_call_has_just_ended() -> None:
    replicas = [Replica(name) for name in "abc"]
    made = router()
    order = [await first_of(made, replicas) for _ in range(3)]
    for ended in order * 2:  # equally long calls end as they were sent
        assert await first_of(made, replicas) is ended


async def test_what_ray_took_instead_counts() -> None:
    replicas = [Replica(name) for name in "ab"]
    made = router()
    offered = await first_of(made, replicas)
    (taken,) = [one for one in replicas if one is not offered]
    made.on_send_request(taken.replica_id)  # its queue was shorter
    assert await first_of(made, replicas) is offered


async def test_new_replicas_come_first_and_gone_ones_are_forgotten() -> None:
    made = router()
    old = [Replica(name) for name in "ab"]
    for _ in range(4):
        await first_of(made, old)
    new = Replica("c")
    assert await first_of(made, [*old, new]) is new
    await first_of(made, [new])
    assert set(made._last_turn) == {"c"}
    assert await made.choose_replicas([]) == []


async def test_several_ingresses_do_not_begin_with_the_same_replica() -> None:
    replicas = [Replica(name) for name in "abcd"]
    begun = {(await first_of(router(), replicas)).replica_id for _ in range(100)}
    assert len(begun) > 1


def test_ray_finds_the_class_by_its_name() -> None:
    assert least_busy().get_request_router_class() is LeastBusyRouter
