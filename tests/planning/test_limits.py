from __future__ import annotations

import pytest

from serve_app.config.service import AdmissionSettings, IndexConfig, SnapshotConfig
from serve_app.index.store import postgres
from serve_app.planning.costs import DEFAULT_REPORT, read_costs
from serve_app.planning.limits import ERASE_S, IN_FLIGHT, LOOK_EVERY_S, POOL, limits
from serve_app.planning.prediction import expected
from serve_app.planning.sizing import Load, plan

COSTS = read_costs(DEFAULT_REPORT)


def uses(load: Load) -> dict[str, float]:
    made = plan(load, COSTS)
    return {one.name: one.use for one in limits(made, expected(made, COSTS), COSTS)}


def of(found: dict[str, float], words: str) -> float:
    (use,) = (use for name, use in found.items() if words in name)
    return use


def test_the_nearest_to_its_end_is_first() -> None:
    found = list(uses(Load(500, 2, 1_000_000)).values())
    assert found == sorted(found, reverse=True)
    assert all(use > 0 for use in found)


def test_a_stage_is_used_as_planned() -> None:
    load = Load(500)
    assert of(uses(load), "Extractor") == plan(load, COSTS).stages["Extractor"].utilisation


def test_a_plan_for_little_ends_nowhere() -> None:
    assert max(uses(Load(10)).values()) < 0.5


def test_a_thousand_replicas_end_at_the_database_then_at_what_ray_tells_everybody() -> None:
    load = Load(30_000)
    assert 900 < plan(load, COSTS).replicas < 1100
    found = uses(load)
    assert of(found, "database connections") > 1
    assert of(found, "told to all Ingresses") > of(found, "health checks") > 0.05
    assert of(found, "actors") < 0.2


def test_a_billion_templates_end_at_the_database_too() -> None:
    found = uses(Load(10, 1, 10**9))
    assert of(found, "database connections") > 1
    assert of(found, "memory of a node") == pytest.approx(1, abs=0.1)
    # Larger nodes have fewer and larger shards: building them takes too long for one thread.
    assert of(found, "erase_within_s") < 1
    assert of(uses(Load(10, 1, 10**9, node_gb=256)), "erase_within_s") > 1


def test_constants_are_those_of_the_service() -> None:
    assert postgres.CONNECTIONS == POOL
    assert SnapshotConfig().erase_within_s == ERASE_S
    assert IndexConfig().upkeep_s == LOOK_EVERY_S
    assert AdmissionSettings().max_in_flight == IN_FLIGHT
