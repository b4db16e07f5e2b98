"""The networks of a job on Ray Data: parts of the input to settled columns, in their order.

Ray Data brings the actor pools, tries again what a dead node had in hand, and holds back stages
that are faster than the next. Owns how the work is cut and which resources an actor takes.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext
from ray.exceptions import RayTaskError

from serve_app.config import JobsConfig, Limits, PipelineConfig
from serve_app.errors import FaceServeError
from serve_app.jobs.faces import Columns, FaceEmbedder, FaceFinder, Part
from serve_app.jobs.inputs.reading import ImageReader
from serve_app.jobs.inputs.rows import ImageInput
from serve_app.models.zoo.opening import Watch, open_extractor

PART = 64
"""Images of a part: 2.4 MB of crops, and half a second of a core, beside which what Ray Data takes
for a part is little."""
DEATHS = 3
"""Of actors while they start, one after another, that are made good: of a node that went, or of
one where others need the memory. What always fails does so four times."""
IN_FLIGHT = 2
"""Parts that an actor has or is about to have: the next one is there when it is ready."""


@dataclass(frozen=True, slots=True)
class Parts:
    """``start`` to ``stop`` in parts of ``size``."""

    start: int
    stop: int
    size: int = PART

    def __len__(self) -> int:
        return len(range(self.start, self.stop, self.size))

    def __call__(self, number: int) -> Part:
        begin = self.start + number * self.size
        return begin, min(begin + self.size, self.stop)


@dataclass(frozen=True, slots=True)
class Networks:
    """What the actors run. ``watch``: as ``models.zoo.opening`` has it."""

    pipeline: PipelineConfig
    limits: Limits
    cache_dir: Path
    watch: Watch


def extractor_facts(networks: Networks, settings: JobsConfig) -> tuple[str, int, frozenset[str]]:
    """The model id, the dimension of its vectors and the ids it may be mixed with, from where it
    will run: the driver may have no GPU. Raises ConfigError, ModelError."""
    ask = ray.remote(_facts).options(num_cpus=settings.cpus, num_gpus=settings.gpus)
    answer = ray.get(ask.remote(networks))
    if isinstance(answer, FaceServeError):
        raise answer
    facts: tuple[str, int, frozenset[str]] = answer
    return facts


def shortage(settings: JobsConfig) -> str | None:
    """What the actors wait for, where the cluster has no room for them now; a line for a user."""
    free = ray.available_resources()
    actors = settings.detectors + settings.extractors
    wanted = {
        "CPU": settings.cpus * (settings.detectors if settings.gpus else actors),
        "GPU": settings.gpus * settings.extractors,
    }
    short = [
        f"{amount:g} {kind}s ({free.get(kind, 0):g} are free)"
        for kind, amount in wanted.items()
        if amount > free.get(kind, 0) + 1e-9
    ]
    return f"the actors wait for {' and '.join(short)} of the cluster" if short else None


def embedded(
    rows: ImageInput,
    start: int,
    open_reader: Callable[[], ImageReader],
    networks: Networks,
    settings: JobsConfig,
) -> Iterator[Columns]:
    """Columns with ``vector`` of the input from position ``start`` on, in order and without gaps.

    Raises what an actor raised, or RayTaskError where nobody foresaw that.
    """
    parts = Parts(start, rows.total)
    # Not ``ray.data.range``: its tasks want a processor each, which the actors may have taken all.
    numbers = [pa.table({"id": [number]}) for number in range(len(parts))]
    _set_context()
    finders = ActorPoolStrategy(size=settings.detectors, max_tasks_in_flight_per_actor=IN_FLIGHT)
    embedders = ActorPoolStrategy(size=settings.extractors, max_tasks_in_flight_per_actor=IN_FLIGHT)
    dataset = (
        ray.data.from_arrow(numbers)
        .map_batches(
            FaceFinder,
            fn_constructor_args=(
                rows,
                parts,
                open_reader,
                networks.pipeline,
                networks.limits,
                networks.cache_dir,
                networks.watch,
            ),
            batch_size=None,
            batch_format="numpy",
            compute=finders,
            num_cpus=settings.cpus,
        )
        .map_batches(
            FaceEmbedder,
            fn_constructor_args=(networks.pipeline, networks.cache_dir, networks.watch),
            batch_size=PART,
            batch_format="numpy",
            compute=embedders,
            # Of a GPU's actor Ray would want a whole processor, if it were not said.
            num_cpus=0 if settings.gpus else settings.cpus,
            num_gpus=settings.gpus or None,
        )
    )
    batches = dataset.iter_batches(batch_size=None, batch_format="numpy", prefetch_batches=1)
    yield from told_plainly(batches)


def told_plainly(batches: Iterable[Columns]) -> Iterator[Columns]:
    """Raises what an actor raised, made anew: Ray's copy is of the same type, and says where in the
    actor's process it was raised."""
    try:
        yield from batches
    except RayTaskError as error:
        cause = error.cause
        while cause is not None and not isinstance(cause, FaceServeError):
            cause = cause.__cause__
        if cause is None:
            raise
        raise type(cause)(str(cause)) from None


def told_elsewhere(record: logging.LogRecord) -> bool:
    """A filter of Ray Data's log: without our own errors, of which it would show the tracebacks.
    Whoever runs the job says what went wrong."""
    _, error, _ = record.exc_info or sys.exc_info()
    return not isinstance(error, FaceServeError)


def _facts(networks: Networks) -> tuple[str, int, frozenset[str]] | FaceServeError:
    try:
        stage = open_extractor(networks.pipeline, networks.cache_dir)
    except FaceServeError as error:
        return error
    return stage.model_id, stage.dimension, stage.compatible_with


def _set_context() -> None:
    """For this driver's datasets."""
    context = DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.max_consecutive_actor_init_deaths = DEATHS
    # A wrapped one would lose what it wraps on its way here: see ``told_plainly``.
    context.raise_original_map_exception = True
    # What it warns of is its own affair: no progress bars, guesses about memory.
    context.issue_detectors_config.detectors = []
    logger = logging.getLogger("ray.data")
    logger.setLevel(logging.ERROR)
    for handler in logger.handlers:
        handler.addFilter(told_elsewhere)
