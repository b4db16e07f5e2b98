"""``make bench-recall``: what index types find of what brute force finds, whole and in shards, and
with half of the templates removed.

Templates lie in clusters, as embeddings of faces do; half of the probes are other pictures of
enrolled identities, half strangers. In memory only: no store, no service.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from serve_app.index.gallery import GalleryIndex, LabelColumn, Segment, train_and_add
from serve_app.index.sharding import merged
from serve_app.types import Metric, SearchResult, Vectors

TEMPLATES_A_PERSON = 5
PROBES = 400
TOP_K = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument(
        "--types", nargs="+", default=["Flat", "IVF", "HNSW32", "IVF1024,SQ8", "HNSW32_SQ8"]
    )
    parser.add_argument("--shards", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    enrolled, probes = people(options.count, options.dimension)
    ids = np.arange(options.count)
    gone = np.random.default_rng(3).permutation(options.count)[: options.count // 2]
    left = np.setdiff1d(ids, gone)
    nearest, nearest_left = best(enrolled, ids, probes), best(enrolled, left, probes)
    print(f"{options.count:,} x {options.dimension}, cosine, recall at 1 / at {TOP_K}\n")
    print("| index type | shards | recall | half removed | rebuilt | build s | ms a probe |")
    print("|---|---|---|---|---|---|---|")
    for index_type in options.types:
        for shards in options.shards:
            started = time.perf_counter()
            parts = [built(index_type, enrolled, ids, n, shards, options) for n in range(shards)]
            build_s = time.perf_counter() - started
            started = time.perf_counter()
            whole = recall(search(parts, probes), nearest)
            ms = 1e3 * (time.perf_counter() - started) / PROBES
            for part in parts:
                part.remove(gone.tolist())
            removed = recall(search(parts, probes), nearest_left)
            parts = [built(index_type, enrolled, left, n, shards, options) for n in range(shards)]
            rebuilt = recall(search(parts, probes), nearest_left)
            print(
                f"| {index_type} | {shards} | {whole} | {removed} | {rebuilt} | {build_s:.0f} | "
                f"{ms:.1f} |",
                flush=True,
            )


def people(count: int, dimension: int) -> tuple[Vectors, Vectors]:
    """Templates (count, dimension) and probes (PROBES, dimension)."""
    chance = np.random.default_rng(1)
    persons = unit(chance.normal(size=(count // TEMPLATES_A_PERSON, dimension)))

    def pictures(size: int) -> Vectors:
        noise = chance.normal(size=(size, dimension)) * 0.5 / np.sqrt(dimension)
        return unit(persons[chance.integers(0, len(persons), size)] + noise)

    strangers = unit(chance.normal(size=(PROBES // 2, dimension)))
    return pictures(count), np.concatenate([pictures(PROBES // 2), strangers])


def unit(rows: NDArray[np.floating]) -> Vectors:
    normalised: Vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return normalised


def built(
    index_type: str,
    enrolled: Vectors,
    ids: NDArray[np.int64],
    number: int,
    of: int,
    options: argparse.Namespace,
) -> GalleryIndex:
    mine = ids[ids % of == number].astype(np.int64)
    index = train_and_add(index_type, Metric.IP, options.dimension, enrolled[mine], options.threads)
    labels = LabelColumn()
    labels.append([str(one) for one in mine])
    sealed = Segment.sealed(index_type, Metric.IP, index, mine, labels)
    return GalleryIndex(Metric.IP, options.dimension, sealed)


def search(parts: Sequence[GalleryIndex], probes: Vectors) -> SearchResult:
    return merged([SearchResult(Metric.IP, part.search(probes, TOP_K)) for part in parts], TOP_K)


def best(enrolled: Vectors, ids: NDArray[np.int64], probes: Vectors) -> NDArray[np.int64]:
    """Ids (PROBES, TOP_K) by brute force."""
    scores = probes @ enrolled[ids].T
    return np.asarray(ids[np.argsort(-scores, axis=1)[:, :TOP_K]], dtype=np.int64)


def recall(found: SearchResult, nearest: NDArray[np.int64]) -> str:
    first = np.mean(
        [c[0].template_id == row[0] for c, row in zip(found.candidates, nearest, strict=True)]
    )
    hits = [
        len({candidate.template_id for candidate in candidates} & set(row.tolist()))
        for candidates, row in zip(found.candidates, nearest, strict=True)
    ]
    return f"{first:.3f} / {np.mean(hits) / TOP_K:.3f}"


if __name__ == "__main__":
    main()
