from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from serve_app.errors import InvalidRequestError
from serve_app.planning.costs import DEFAULT_REPORT, STAGES, read_costs
from serve_app.planning.sizing import Load, Plan, plan

COSTS = read_costs(DEFAULT_REPORT)
RPS = st.floats(0.01, 100_000)
FACES = st.floats(0.1, 64)
TEMPLATES = st.integers(1, 10**9)
LOADS = st.builds(
    Load, RPS, FACES, TEMPLATES, st.floats(0.1, 0.95), st.integers(2, 128), st.floats(8, 512),
    st.integers(1, 4),
)  # fmt: skip


def counts(made: Plan) -> dict[str, int]:
    return {name: one.replicas for name, one in made.stages.items()}


@given(LOADS)
def test_no_stage_is_busier_than_was_asked_and_none_could_do_with_fewer(load: Load) -> None:
    made = plan(load, COSTS)
    for name, one in made.stages.items():
        assert one.utilisation <= load.utilisation * (1 + 1e-9)
        shards = made.gallery.shards if name == "Index" else 1
        each = one.replicas // shards
        assert each * shards == one.replicas
        assert each >= load.at_least
        if each > load.at_least:
            assert one.utilisation * each / (each - 1) > load.utilisation * (1 - 1e-9)


@given(LOADS, RPS)
def test_a_higher_rate_never_gets_fewer_replicas(load: Load, rps: float) -> None:
    low, high = sorted((load.rps, rps))
    fewer, more = (plan(with_(load, rps=one), COSTS) for one in (low, high))
    assert all(counts(fewer)[stage] <= counts(more)[stage] for stage in STAGES)


@given(LOADS, FACES)
def test_more_faces_never_get_fewer_networks(load: Load, faces: float) -> None:
    low, high = sorted((load.faces, faces))
    fewer, more = (plan(with_(load, faces=one), COSTS) for one in (low, high))
    networks = ("Detector", "Extractor")
    assert all(counts(fewer)[stage] <= counts(more)[stage] for stage in networks)


@given(LOADS)
def test_everything_fits_the_nodes(load: Load) -> None:
    made = plan(load, COSTS)
    used = sum(one.replicas for one in made.stages.values()) + made.rest_cpus
    assert used <= made.nodes * (load.node_cpus - COSTS.node_cores) * (1 + 1e-9)
    memory_mb = sum(one.replicas * one.memory_mb for one in made.stages.values())
    assert memory_mb <= made.nodes * 900 * load.node_gb
    assert made.stages["Index"].memory_mb <= 900 * load.node_gb


@given(TEMPLATES, TEMPLATES, st.floats(8, 512))
def test_more_templates_never_take_fewer_shards_of_one_type(
    one: int, other: int, node_gb: float
) -> None:
    small, large = (plan(Load(1, 1, n, node_gb=node_gb), COSTS).gallery
                    for n in sorted((one, other)))  # fmt: skip
    assume(small.index_type == large.index_type)
    assert small.shards <= large.shards


def test_a_small_gallery_is_exact_and_a_large_one_a_graph() -> None:
    types = {n: plan(Load(50, 1, n), COSTS).gallery.index_type for n in (1, 20_000, 1_000_000)}
    assert types == {1: "Flat", 20_000: "Flat", 1_000_000: "HNSW32"}
    # Many searches a second: exact ones would take more replicas.
    assert plan(Load(5, 1, 100_000), COSTS).gallery.index_type == "Flat"
    assert plan(Load(5000, 1, 100_000), COSTS).gallery.index_type == "HNSW32"


def test_the_gallery_decides_the_memory_of_its_replicas() -> None:
    small, large = (plan(Load(1, 1, n), COSTS) for n in (1_000_000, 10_000_000))
    more_mb = large.stages["Index"].memory_mb - small.stages["Index"].memory_mb
    assert more_mb == pytest.approx(2 * 9_000_000 * 828 / 1e6)


def test_a_billion_templates_are_sharded_and_each_shard_has_its_replicas() -> None:
    made = plan(Load(10, 1, 10**9), COSTS)
    assert made.gallery.shards > 20
    assert made.stages["Index"].replicas == 2 * made.gallery.shards
    assert made.nodes >= made.stages["Index"].replicas / 2
    # Every shard is asked by the Ingress, once more each.
    assert made.stages["Ingress"].image_ms > 2 * plan(Load(10), COSTS).stages["Ingress"].image_ms


BAD = [0, -1, math.nan, math.inf]


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize(
    ("field", "option"),
    [("rps", "--rps"), ("faces", "--faces"), ("gallery", "--gallery"),
     ("node_cpus", "--node-cpus"), ("node_gb", "--node-memory"), ("at_least", "--at-least")],
)  # fmt: skip
def test_what_can_not_be_is_said_by_its_option(field: str, option: str, value: float) -> None:
    with pytest.raises(InvalidRequestError, match=rf"{option} is .*: give a number above 0"):
        with_(Load(1), **{field: value})


@pytest.mark.parametrize("share", [*BAD, 1, 65])
def test_utilisation_is_a_share(share: float) -> None:
    with pytest.raises(InvalidRequestError, match="give a share between 0 and 1"):
        Load(1, utilisation=share)


def test_a_node_that_holds_nothing_is_said() -> None:
    with pytest.raises(InvalidRequestError, match="--node-memory is 1 GB, too small"):
        plan(Load(1, node_gb=1), COSTS)


def with_(load: Load, **values: float) -> Load:
    from dataclasses import replace

    return replace(load, **values)  # type: ignore[arg-type]
