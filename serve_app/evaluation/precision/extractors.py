"""A pipeline's extractor at fp32 and below, loaded; its int8 network made at the first call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from serve_app.config import ModelConfig, PipelineConfig
from serve_app.errors import ConfigError
from serve_app.models.conversion.to_int8 import newest_int8, to_int8
from serve_app.models.extractor import ExtractStage
from serve_app.models.network import Network
from serve_app.models.precision.choice import PrecisionChoice, open_at, why_not
from serve_app.models.precision.precision import BF16, FP16, LOWER_ON, Kind, Precision
from serve_app.models.runtime import Tensors
from serve_app.models.runtime.devices import choose_device
from serve_app.models.selection.choice import RunOptions
from serve_app.models.selection.forms import file_for
from serve_app.models.selection.machine import facts
from serve_app.models.zoo.extractors import extractor
from serve_app.pipeline import FacePipeline, open_pipeline


class Extractors(Protocol):
    """``facts``: the machine, and what it runs them with."""

    network: Network
    facts: dict[str, str]

    def plain(self) -> FacePipeline:
        """With the extractor at fp32, in the runtime that is fastest so."""
        ...

    def lower(self, kind: Kind, inputs: Callable[[], Tensors]) -> tuple[Precision, ExtractStage]:
        """``inputs``: what the network sees of faces, to make an int8 network of, where there is
        none. Raises ConfigError, ModelError where it can't be had."""
        ...


class PipelineExtractors:
    def __init__(self, config: PipelineConfig, cache_dir: Path, *, anew: bool) -> None:
        """``anew``: make another int8 network, even if there is one. Raises ConfigError,
        ModelError."""
        fastest = config.extractor.model_dump() | {"runtime": "fastest", "precision": "fp32"}
        self._config = config.model_copy(update={"extractor": ModelConfig(**fastest)})
        self._cache_dir = cache_dir
        self._anew = anew
        model = self._config.extractor
        self._options = RunOptions(
            model.runtime,
            choose_device(config.device),
            model.threads,
            cache_dir,
            max_batch=model.batch_size,
        )
        if self._options.device.kind not in LOWER_ON:
            raise ConfigError(
                "lower precisions are for the CPU and NVIDIA's GPUs, the device is "
                f"{self._options.device}: set device to cpu"
            )
        self.network, self._made_of = extractor(self._config, cache_dir)
        self.facts = facts(self._options.device, self._options.threads)

    def plain(self) -> FacePipeline:
        return open_pipeline(self._config, self._cache_dir)

    def lower(self, kind: Kind, inputs: Callable[[], Tensors]) -> tuple[Precision, ExtractStage]:
        if reason := why_not(kind, self._options):
            raise ConfigError(reason)
        plain = {"fp16": FP16, "bf16": BF16}
        precision = plain.get(kind) or Precision("int8", self._int8(inputs))
        session = open_at(self.network, precision, self._options)
        return precision, self._made_of(session, PrecisionChoice(precision))

    def _int8(self, inputs: Callable[[], Tensors]) -> str:
        made = newest_int8(self.network.digest, self._cache_dir)
        if made is not None and not self._anew:
            return made
        file = file_for(self.network, "openvino", self._options)
        return to_int8(file, self.network.digest, inputs(), self._cache_dir)
