"""``create_pipeline``: PaddleX's entry, from a name or a file to loaded networks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from serve_app.config import ModelConfig, PipelineConfig, default_cache_dir, validate
from serve_app.config.pipeline_file import load_pipeline, parse_pipeline
from serve_app.config.strict import refuse_unknown
from serve_app.errors import ConfigError
from serve_app.imaging import ImageLimits, leave_threads_to_callers
from serve_app.index.index_data import IndexData
from serve_app.models.runtime.devices import choose_device
from serve_app.pipeline.face_recognition import FaceRecognitionPipeline
from serve_app.pipeline.inputs import InputReader
from serve_app.pipeline.pool import StagePool
from serve_app.pipeline.stages import FacePipeline, open_pipeline
from serve_app.pipeline.timings import Recorders, Timings
from serve_app.pipeline.url_images import UrlReader

NAME = "face_recognition"
LIMITS = ImageLimits(max_bytes=256 * 1024 * 1024, max_pixels=200_000_000)
"""A caller's own files may be larger than what a service takes from strangers."""


def create_pipeline(
    pipeline: str | Path = NAME,
    *,
    config: Mapping[str, Any] | None = None,
    device: str | None = None,
    use_hpip: bool | None = None,
    hpi_params: Mapping[str, Any] | None = None,
    hpi_config: Mapping[str, Any] | None = None,
    index: IndexData | str | Path | None = None,
    workers: int | None = None,
    cache_dir: str | Path | None = None,
    fetch_allow: Sequence[str] = (),
    record_timings: bool = False,
) -> FaceRecognitionPipeline:
    """Load a face recognition pipeline into this process, without Ray.

    ``pipeline``: ``face_recognition`` (the embedded YuNet and SFace) or a pipeline file;
    ``config``: such a file's content instead. ``device``: cpu, gpu:0, npu:0, xpu:0, mlu:0; left
    out, a GPU if one is there, else the CPU. ``use_hpip``: run each network in the runtime that is
    fastest here, measured at first use and remembered, and the extractor at a lower precision where
    ``face-serve models calibrate`` allowed one; ``hpi_params`` (``hpi_config`` in newer
    releases): ``{"backend": "openvino"}`` names one instead. ``index``: the gallery that
    ``predict`` searches if it is given none. ``workers``: threads, each with networks of its own;
    left out, one a core; with more than one, OpenCV's own threads are switched off in the process.
    ``cache_dir``: for downloaded and converted networks; left out, FACE_SERVE_CACHE or the user's.
    ``fetch_allow``: private hosts or networks whose URLs may be read too. ``record_timings``: keep
    some of the networks' inputs, to tell later what they take alone (``timings``).

    What is left out is as the pipeline file says. Raises ConfigError, ModelError,
    InvalidRequestError for an ``index`` that can't be read.
    """
    if config is None:
        loaded = load_pipeline(str(pipeline))
    else:
        loaded = parse_pipeline(config, base=Path.cwd())
    loaded = with_options(loaded, device, use_hpip, _backend(hpi_config or hpi_params))
    cache = default_cache_dir(os.environ) if cache_dir is None else Path(cache_dir)
    count = default_workers(loaded) if workers is None else workers
    if count < 1:
        raise ConfigError(f"workers is {count}: it must be 1 or more")
    if count > 1:
        leave_threads_to_callers()
    timings = Timings()

    def open_stages() -> FacePipeline:
        if not record_timings:
            return open_pipeline(loaded, cache, LIMITS)
        recorders = Recorders()
        stages = open_pipeline(loaded, cache, LIMITS, recorders.watch)
        timings.add_worker(recorders)
        return stages

    pool = StagePool(open_stages)
    reader = InputReader(LIMITS, UrlReader(allow=fetch_allow, max_bytes=LIMITS.max_bytes))
    return FaceRecognitionPipeline(
        loaded,
        pool,
        reader,
        workers=count,
        timings=timings,
        index=loaded.index if index is None else index,
    )


def with_options(
    config: PipelineConfig, device: str | None, use_hpip: bool | None, backend: str | None
) -> PipelineConfig:
    """``config`` with what a caller says besides the file; None says nothing.

    Raises ConfigError.
    """

    def model(given: ModelConfig) -> dict[str, Any]:
        runtime = given.runtime
        if use_hpip and runtime == "auto":
            runtime = "fastest"
        if use_hpip is False and runtime == "fastest":
            runtime = "auto"
        return given.model_dump() | {"runtime": backend or runtime}

    changed = {"detector": model(config.detector), "extractor": model(config.extractor)}
    if device is not None:
        changed |= {"device": device}  # type: ignore[dict-item]
    return validate(PipelineConfig, config.model_dump() | changed, "create_pipeline")


def default_workers(config: PipelineConfig) -> int:
    """One for each core that is free for it: sessions have threads of their own. One on a GPU."""
    if choose_device(config.device).kind != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0))
    return max(1, cores // max(config.detector.threads, config.extractor.threads))


def _backend(hpi_config: Mapping[str, Any] | None) -> str | None:
    backend = refuse_unknown(hpi_config, {"backend"}, "hpi_config").get("backend")
    return None if backend is None else str(backend)
