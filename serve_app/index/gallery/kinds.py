"""Index types: what FAISS makes of them, how it trains them, with which effort it searches them.

``Flat``, ``IVF`` and ``HNSW32`` are ours, and known to work; any other is a FAISS factory string
and is tried in a process of its own before a gallery may have it.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np

from serve_app.errors import InvalidRequestError
from serve_app.index.gallery.reasons import reason, templates_needed
from serve_app.types import IndexType, Metric, Vectors

FAISS_METRICS = {Metric.IP: faiss.METRIC_INNER_PRODUCT, Metric.L2: faiss.METRIC_L2}

HNSW_EF_CONSTRUCTION = 120
"""Measured on clustered unit vectors of 128 dimensions, effort 256 at search, recall at 1 of noisy
probes of known identities: 40 gives 1.0 of 20,000 templates, but 0.958 of 200,000;
80 gives 0.986 there, 120 gives 0.994."""
HNSW_EF_SEARCH = 256
IVF_POINTS_A_LIST = 39
"""FAISS's least number of training points a centroid."""
IVF_MOST_POINTS_A_LIST = 256
IVF_LEAST_TRAINING = 10 * IVF_POINTS_A_LIST
"""Below this an IVF gallery is searched exactly: there is nothing to train on."""
LEAST_TRAINING_SAMPLE = 100_000
"""Product quantizers take 256 points for each of 256 centroids; rotations are served by as many."""
TRAINING_SEED = 1234
CHUNK = 10_000
REFINE_FACTOR = 8
"""A type with a refinement (``,RFlat``) has so many times k templates scored again."""

GPU_MOST_CANDIDATES = 2048

TRIAL_S = 60
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""A trial is small: it leaves the other cores to whoever searches meanwhile."""
TRIAL_MARK = "trial: "
LONGEST_TYPE = 100


def nothing(_: int) -> None:
    """Nobody wants to know the progress."""


def check_index_type(
    index_type: str, dimension: int, metric: Metric, *, limit_s: float = TRIAL_S
) -> None:
    """Raises InvalidRequestError, with FAISS's reason, for a type that can't hold such a gallery.

    A factory string takes a process and about two seconds: not for an event loop. A type that
    needs more templates to train on than a trial has is let pass: ``least_templates`` tells.
    """
    least_templates(index_type, dimension, metric, limit_s=limit_s)


def least_templates(
    index_type: str, dimension: int, metric: Metric, *, limit_s: float = TRIAL_S
) -> int:
    """How many templates FAISS needs before it can train the type, as far as a trial showed: 0 for
    our own. Raises as ``check_index_type``."""
    if index_type in {*IndexType}:
        return 0
    if not index_type.isascii() or not index_type.isprintable() or len(index_type) > LONGEST_TYPE:
        raise InvalidRequestError(
            f"an index type is at most {LONGEST_TYPE} printable ASCII characters"
        )
    if "IDMap" in index_type:
        raise refusal(index_type, "ids are kept beside the index: leave IDMap out")
    answer = _try_apart(index_type, dimension, metric, limit_s)
    if answer["refusal"]:
        raise refusal(index_type, answer["refusal"])
    return int(answer["least"])


def refusal(index_type: str, why: str) -> InvalidRequestError:
    return InvalidRequestError(f"index type {index_type}: {why}")


def train_and_add(
    index_type: str,
    metric: Metric,
    dimension: int,
    vectors: Vectors,
    threads: int,
    progress: Callable[[int], None] = nothing,
) -> Any:
    """A bare FAISS index of the type with ``vectors`` (N, D) in their order.

    ``progress`` is told how many are in it, every ``CHUNK`` of them, and may raise to end it.
    Raises InvalidRequestError with FAISS's reason. Sets the calling thread's FAISS ``threads``.
    """
    faiss.omp_set_num_threads(threads)
    try:
        index = trained(index_type, metric, dimension, vectors)
    except (RuntimeError, MemoryError) as error:
        if needed := templates_needed(error):
            why = f"it needs at least {needed} templates, there are {len(vectors)}"
            raise refusal(index_type, why) from None
        raise refusal(index_type, reason(error)) from None
    chunk = CHUNK if grows(index) else max(len(vectors), 1)
    for start in range(0, len(vectors), chunk):
        try:
            index.add(np.ascontiguousarray(vectors[start : start + chunk], dtype=np.float32))
        except (RuntimeError, MemoryError) as error:
            raise refusal(index_type, reason(error)) from None
        progress(index.ntotal)
    return index


def extended(index: Any, vectors: Vectors, threads: int) -> Any:
    """A copy of a bare FAISS index with ``vectors`` (N, D) behind its own; not trained anew."""
    faiss.omp_set_num_threads(threads)
    copy = faiss.clone_index(index)
    copy.add(np.ascontiguousarray(vectors, dtype=np.float32))
    return copy


def trained(index_type: str, metric: Metric, dimension: int, vectors: Vectors) -> Any:
    """An empty FAISS index of the type for ``vectors`` (N, D). Raises what FAISS raises."""
    string = factory_string(index_type, len(vectors))
    index = faiss.index_factory(dimension, string, FAISS_METRICS[metric])
    inner = innermost(index)
    storage = inner
    if isinstance(inner, faiss.IndexHNSW):
        inner.hnsw.efConstruction = HNSW_EF_CONSTRUCTION
        storage = faiss.downcast_index(inner.storage)
    if isinstance(storage, faiss.IndexPQ):
        # It orders centroids for a search by Hamming distance that nobody here makes: 10 s for PQ8.
        storage.do_polysemous_training = False
    if not index.is_trained:
        index.train(_training_sample(index, vectors))
    return index


def factory_string(index_type: str, count: int) -> str:
    """What FAISS calls the type, for so many templates."""
    if index_type == IndexType.IVF:
        return f"IVF{ivf_lists(count)},Flat" if count >= IVF_LEAST_TRAINING else "Flat"
    return index_type


def ivf_lists(count: int) -> int:
    """4 * sqrt(N) as FAISS advises, but never fewer than 39 training points a list."""
    return max(1, min(round(4 * math.sqrt(count)), count // IVF_POINTS_A_LIST))


def ivf_probes(lists: int) -> int:
    """A quarter of the lists, at least 8: recall at 1 above 0.95 (tests/index/gallery)."""
    return min(lists, max(8, lists // 4))


def grows(index: Any) -> bool:
    """Whether templates may come in several parts: a graph of neighbours is made at once."""
    return not isinstance(innermost(index), (faiss.IndexNSG, faiss.IndexNNDescent))


def innermost(index: Any) -> Any:
    """The index within transformations and refinements.

    FAISS's ``downcast_index`` owns nothing: keep the outer index as long as this one.
    """
    kind = faiss.downcast_index(index)
    if isinstance(kind, faiss.IndexPreTransform):
        return innermost(kind.index)
    if isinstance(kind, faiss.IndexRefine):
        return innermost(kind.base_index)
    return kind


def search_parameters(index: Any, selector: Any = None, *, k: int = 1, share: float = 1.0) -> Any:
    """How to search the index: None where it takes no parameters and there is no selector.

    ``share``: of its rows that live. The parameters hold a pointer to ``selector``, not a
    reference: keep both, and ``index``, until the search is done.
    """
    # Another name: this one may be the only reference, and what is downcast owns nothing.
    kind = faiss.downcast_index(index)
    selected = {} if selector is None else {"sel": selector}
    if isinstance(kind, faiss.IndexPreTransform):
        inner = search_parameters(kind.index, selector, k=k, share=share)
        return None if inner is None else faiss.SearchParametersPreTransform(index_params=inner)
    if isinstance(kind, faiss.IndexRefine):
        inner = search_parameters(kind.base_index, selector, k=k * REFINE_FACTOR, share=share)
        given = {} if inner is None else {"base_index_params": inner}
        return faiss.IndexRefineSearchParameters(k_factor=float(REFINE_FACTOR), **given)
    if isinstance(kind, faiss.IndexIVF) or type(kind).__name__.startswith("GpuIndexIVF"):
        return faiss.SearchParametersIVF(nprobe=ivf_probes(kind.nlist), **selected)
    if isinstance(kind, faiss.IndexHNSW):
        # Tombstoned neighbours take places in the list of candidates: make it longer.
        effort = math.ceil(max(HNSW_EF_SEARCH, 2 * k) / max(share, 0.1))
        return faiss.SearchParametersHNSW(efSearch=effort, **selected)
    if isinstance(kind, faiss.IndexPQ):
        return faiss.SearchParametersPQ(**selected) if selected else None
    return faiss.SearchParameters(**selected) if selected else None


def takes_selector(index: Any) -> bool:
    """Whether a selector keeps rows out of its answers: some types refuse one, some ignore it."""
    if not index.ntotal:
        return False
    none = np.zeros((index.ntotal + 7) // 8, dtype=np.uint8)
    selector = faiss.IDSelectorBitmap(len(none), faiss.swig_ptr(none))
    probe = np.full((1, index.d), 1 / math.sqrt(index.d), dtype=np.float32)
    try:
        _, rows = index.search(probe, 1, params=search_parameters(index, selector))
    except RuntimeError:
        return False
    return bool((rows < 0).all())


def most_candidates(index: Any) -> int:
    """How many FAISS gives a probe: on a GPU there is a limit."""
    return GPU_MOST_CANDIDATES if type(index).__name__.startswith("GpuIndex") else sys.maxsize


def _training_sample(index: Any, vectors: Vectors) -> Vectors:
    inner = innermost(index)
    lists = inner.nlist if isinstance(inner, faiss.IndexIVF) else 0
    size = lists * IVF_MOST_POINTS_A_LIST
    if inner is not faiss.downcast_index(index) or not isinstance(inner, faiss.IndexIVFFlat):
        size = max(size, LEAST_TRAINING_SAMPLE)
    if len(vectors) > size:
        chance = np.random.default_rng(TRAINING_SEED)
        vectors = vectors[np.sort(chance.choice(len(vectors), size, replace=False))]
    return np.ascontiguousarray(vectors, dtype=np.float32)


def _try_apart(index_type: str, dimension: int, metric: Metric, limit_s: float) -> dict[str, Any]:
    """What ``gallery.trial`` says in a process of its own: FAISS ends ours for some strings."""
    spec = {"index_type": index_type, "dimension": dimension, "metric": metric.value}
    try:
        run = subprocess.run(  # nosec B603 # this Python, our own module; the string is data
            [sys.executable, "-P", "-m", "serve_app.index.gallery.trial"],
            input=json.dumps(spec),
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    except subprocess.TimeoutExpired:
        raise refusal(index_type, f"a trial of it took longer than {limit_s:g} s") from None
    for line in run.stdout.splitlines():
        if line.startswith(TRIAL_MARK):
            answer: dict[str, Any] = json.loads(line.removeprefix(TRIAL_MARK))
            return answer
    raise refusal(index_type, "FAISS crashed at a trial of it")
