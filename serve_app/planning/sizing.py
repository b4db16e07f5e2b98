"""From a load to a plan: replicas, processors, memory, shards and nodes.

    replicas of a stage = rps * (milliseconds of an image in a full batch) / 1000 / utilisation

and a replica is one process on one processor. The index type is Flat where that needs no more
replicas than HNSW32 and a search stays short; a gallery is split into as many shards as it takes
for an Index replica to fit a node while a new index is loaded beside the old one and the builder
runs there too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from serve_app.errors import InvalidRequestError
from serve_app.planning.costs import REST, STAGES, Costs, StageCost
from serve_app.planning.gallery import EXACT_UNTIL, LONGEST_FLAT_MS, index_figures, search_ms

HEADROOM_MB = {"Ingress": 512, "Detector": 384, "Extractor": 128, "Index": 128}
"""Above an idle process: 256 MiB of images may wait in an Ingress, with their bodies; a Detector
decodes 40 megapixels to 120 MB, and shrinks them."""
SPARE_MEMORY = 0.1
"""Of a node, kept free."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked: requests a second, faces of each image, templates of the gallery; and what
    there is: the share of a replica's highest throughput to plan with, the size of a node, how many
    replicas of each stage there shall be at least. Raises InvalidRequestError."""

    rps: float
    faces: float = 1.0
    gallery: int = 10_000
    utilisation: float = 0.65
    node_cpus: int = 16
    node_gb: float = 64.0
    at_least: int = 2

    def __post_init__(self) -> None:
        given = {
            "--rps": self.rps, "--faces": self.faces, "--gallery": self.gallery,
            "--node-cpus": self.node_cpus, "--node-memory": self.node_gb,
            "--at-least": self.at_least,
        }  # fmt: skip
        for name, value in given.items():
            if not (math.isfinite(value) and value > 0):
                raise InvalidRequestError(f"{name} is {value:g}: give a number above 0")
        if not 0 < self.utilisation < 1:
            raise InvalidRequestError(
                f"--utilisation is {self.utilisation:g}: give a share between 0 and 1, like 0.65"
            )


@dataclass(frozen=True, slots=True)
class StagePlan:
    """``replicas``: of all shards together, each on one processor with ``memory_mb``.
    ``utilisation``: of the highest throughput."""

    replicas: int
    memory_mb: float
    image_ms: float
    utilisation: float


@dataclass(frozen=True, slots=True)
class GalleryPlan:
    """``replica_mb``: of the gallery, in each Index replica; ``load_s``: of a snapshot at its
    start; ``build_s``: of a shard's index."""

    index_type: str
    shards: int
    replica_mb: float
    search_ms: float
    load_s: float
    build_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """``rest_cpus``: for HAProxy and Ray's own processes on all nodes; ``nodes``: without the
    head."""

    load: Load
    stages: dict[str, StagePlan]
    gallery: GalleryPlan
    rest_cpus: float
    nodes: int

    @property
    def replicas(self) -> int:
        return sum(one.replicas for one in self.stages.values())


def plan(load: Load, costs: Costs) -> Plan:
    """A higher load never gets fewer replicas. Raises InvalidRequestError where a node of that size
    can't hold what has to be on one."""
    gallery = _gallery(load, costs)
    stages_costs = with_gallery(costs.stages, gallery)
    stages = {name: _stage(name, stages_costs[name], load, costs, gallery) for name in STAGES}
    rest_cpus = load.rps * stages_costs[REST].full_ms(load.faces) / 1e3 / load.utilisation
    nodes = _nodes(load, stages, rest_cpus, costs, gallery)
    return Plan(load, stages, gallery, rest_cpus, nodes)


def _gallery(load: Load, costs: Costs) -> GalleryPlan:
    if load.gallery <= EXACT_UNTIL:
        return _of_type("Flat", load, costs)
    flat, graph = (_of_type(name, load, costs) for name in ("Flat", "HNSW32"))
    needed = [
        _replicas(with_gallery(costs.stages, one)["Index"], load) * one.shards
        for one in (flat, graph)
    ]
    return flat if needed[0] <= needed[1] and flat.search_ms <= LONGEST_FLAT_MS else graph


def _of_type(index_type: str, load: Load, costs: Costs) -> GalleryPlan:
    figures = index_figures()[index_type]
    own_mb = costs.memory_mb["Index"] + HEADROOM_MB["Index"]
    left_mb = room_mb(load, costs) - own_mb
    if left_mb <= 0:
        raise InvalidRequestError(
            f"--node-memory is {load.node_gb:g} GB, too small for Ray and one replica: give more"
        )
    # While a new index is swapped in, and its builder is the same node's.
    peak_mb = load.gallery * (2 * figures.template_bytes + figures.builder_bytes) / 1e6
    shards = max(1, math.ceil(peak_mb / left_mb))
    part = load.gallery / shards
    return GalleryPlan(
        index_type, shards, 2 * part * figures.template_bytes / 1e6,
        search_ms(index_type, part, costs),
        part / 1e6 * figures.load_s_per_million, figures.build_s(part),
    )  # fmt: skip


def with_gallery(stages: dict[str, StageCost], gallery: GalleryPlan) -> dict[str, StageCost]:
    """The measured costs are of a tiny gallery; each further shard is a further call of the
    Ingress."""
    index, ingress = stages["Index"], stages["Ingress"]
    return stages | {
        "Index": replace(index, face_ms=index.face_ms + gallery.search_ms),
        "Ingress": replace(ingress, call_ms=ingress.call_ms + (gallery.shards - 1) * index.call_ms),
    }


def _replicas(cost: StageCost, load: Load) -> int:
    """For one shard."""
    needed = load.rps * cost.full_ms(load.faces) / 1e3 / load.utilisation
    return max(load.at_least, math.ceil(needed))


def _stage(name: str, cost: StageCost, load: Load, costs: Costs, gallery: GalleryPlan) -> StagePlan:
    replicas = _replicas(cost, load)
    image_ms = cost.full_ms(load.faces)
    memory_mb = costs.memory_mb[name] + HEADROOM_MB[name]
    if name == "Index":
        memory_mb += gallery.replica_mb
    return StagePlan(
        replicas * (gallery.shards if name == "Index" else 1), memory_mb, image_ms,
        load.rps * image_ms / 1e3 / replicas,
    )  # fmt: skip


def room_mb(load: Load, costs: Costs) -> float:
    """What a node has for replicas."""
    return 1e3 * load.node_gb * (1 - SPARE_MEMORY) - costs.node_mb


def _nodes(
    load: Load, stages: dict[str, StagePlan], rest_cpus: float, costs: Costs, gallery: GalleryPlan
) -> int:
    """At least as many as processors ask for, as memory does, and as the Index replicas do, of
    which a node holds few. Two where replicas may be two: one node may end."""
    node_mb, node_cpus = room_mb(load, costs), load.node_cpus - costs.node_cores
    builder_mb = (
        index_figures()[gallery.index_type].builder_bytes * load.gallery / gallery.shards / 1e6
    )
    a_node = max(1, int((node_mb - builder_mb) / stages["Index"].memory_mb))
    return max(
        min(2, load.at_least),
        math.ceil((sum(one.replicas for one in stages.values()) + rest_cpus) / node_cpus),
        math.ceil(sum(one.replicas * one.memory_mb for one in stages.values()) / node_mb),
        math.ceil(stages["Index"].replicas / a_node),
    )
