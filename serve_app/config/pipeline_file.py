"""Reading pipeline files: PaddleX's tutorial form and its current form (CONTRACT 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from serve_app.config.pipeline import ModelConfig, PipelineConfig
from serve_app.config.strict import known_keys, mistakes
from serve_app.errors import ConfigError

OURS = ("device", "index", "enrol", "compat", "max_faces", "detect_size")
"""Keys that are named alike in both forms and in PipelineConfig."""

TUTORIAL_KEYS = {"score_thres": "rec_threshold", "return_k": "top_k"}
CURRENT_KEYS = {
    "det_threshold": "det_threshold",
    "rec_threshold": "rec_threshold",
    "rec_topk": "top_k",
}
OF_EXTRACTOR = ("mirror", "precision")
"""Keys of the tutorial form that are the extractor's alone."""

FAST = ("use_hpip", "hpi_config")
"""PaddleX's words for a faster runtime, for the whole pipeline or one submodule."""

DEFAULT_DETECTOR, DEFAULT_EXTRACTOR = "YuNet", "SFace"


def load_pipeline(name: str) -> PipelineConfig:
    """The embedded default for ``face_recognition``, else the pipeline file at that path.

    Raises ConfigError that names the file, the keys and what to write instead.
    """
    if name == "face_recognition":
        return PipelineConfig()
    path = Path(name)
    if path.suffix not in {".yaml", ".yml"}:
        raise ConfigError(
            f"pipeline: {name} is neither face_recognition nor a .yaml file; name one of them"
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError:
        raise ConfigError(f"pipeline: {path.name} can't be read; check the path") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigError(f"pipeline: {path.name} is not valid YAML") from None
    try:
        return parse_pipeline(content, base=path.parent)
    except ConfigError as error:
        raise ConfigError(f"{path.name}: {error}") from None


def parse_pipeline(content: object, *, base: Path) -> PipelineConfig:
    """A pipeline file's content in either form; model directories are relative to ``base``.

    A key given twice has its last value, as YAML loaders do it. Raises ConfigError that names
    everything that is wrong.
    """
    values, found = _read(content, base)
    if found:
        raise ConfigError("; ".join(found))
    return PipelineConfig.model_validate(values)


def pipeline_mistakes(content: object, *, base: Path) -> list[str]:
    """Everything that ``parse_pipeline`` refuses, a message each."""
    return _read(content, base)[1]


@dataclass(frozen=True, slots=True)
class _Reading:
    """One file while it is read. ``found``: what is wrong with it, so that all is said at once;
    ``written``: how it writes a key of PipelineConfig, where that is another word."""

    base: Path
    found: list[str] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)


def _read(content: object, base: Path) -> tuple[dict[str, Any], list[str]]:
    """Values for PipelineConfig, and what is wrong with them or with the content."""
    reading = _Reading(base)
    content = _nulls(content)
    if isinstance(content, Mapping) and "Pipeline" in content:
        sections = known_keys(content, {"Global", "Pipeline"}, "", reading.found)
        values, where = _from_tutorial_form(sections["Pipeline"], reading), "Pipeline"
    else:
        values, where = _from_current_form(content, reading), ""
    return values, reading.found + mistakes(PipelineConfig, values, where, reading.written)


def _from_tutorial_form(content: object, reading: _Reading) -> dict[str, Any]:
    own = {"det_model", "rec_model", "det_batch_size", "rec_batch_size", "runtime"}
    known = {*own, *OF_EXTRACTOR, *FAST, *OURS, *TUTORIAL_KEYS}
    section = known_keys(content, known, "Pipeline", reading.found)
    runtime, word = _runtime(section, "Pipeline", reading) or ({}, "Pipeline.runtime")
    models = {
        "detector": _named_or_local(section, "det_model", DEFAULT_DETECTOR, reading) | runtime,
        "extractor": _named_or_local(section, "rec_model", DEFAULT_EXTRACTOR, reading) | runtime,
    }
    for model, key in (("detector", "det_batch_size"), ("extractor", "rec_batch_size")):
        reading.written[f"{model}.batch_size"] = f"Pipeline.{key}"
        reading.written[f"{model}.runtime"] = word
        if key in section:
            models[model]["batch_size"] = section[key]
    for key in OF_EXTRACTOR:
        reading.written[f"extractor.{key}"] = f"Pipeline.{key}"
        if key in section:
            models["extractor"][key] = section[key]
    return _pipeline(section, TUTORIAL_KEYS, "Pipeline.", reading) | models


def _from_current_form(content: object, reading: _Reading) -> dict[str, Any]:
    known = {"pipeline_name", "SubModules", *FAST, *OURS, *CURRENT_KEYS}
    section = known_keys(content, known, "", reading.found)
    runtime = _runtime(section, "", reading)
    modules = known_keys(
        section.get("SubModules"), {"Detection", "Recognition"}, "SubModules", reading.found
    )
    models = {
        "detector": _submodule(modules, "Detection", DEFAULT_DETECTOR, runtime, reading),
        "extractor": _submodule(modules, "Recognition", DEFAULT_EXTRACTOR, runtime, reading),
    }
    reading.written.update(detector="SubModules.Detection", extractor="SubModules.Recognition")
    return _pipeline(section, CURRENT_KEYS, "", reading) | models


def _submodule(
    modules: dict[str, Any], name: str, default: str, inherited: Runtime | None, reading: _Reading
) -> dict[str, Any]:
    where = f"SubModules.{name}"
    known = {"module_name", *FAST, *ModelConfig.model_fields}
    module = known_keys(modules.get(name), known, where, reading.found)
    if runtime := _runtime(module, where, reading) or inherited:
        module |= runtime[0]
        ours = "detector" if name == "Detection" else "extractor"
        reading.written[f"{ours}.runtime"] = runtime[1]
    for key in ("module_name", *FAST):
        module.pop(key, None)
    module.setdefault("model_name", default)
    if module.get("model_dir") is not None:
        module["model_dir"] = (reading.base / str(module["model_dir"])).absolute()
    return module


def _pipeline(
    section: Mapping[str, Any], renamed: Mapping[str, str], prefix: str, reading: _Reading
) -> dict[str, Any]:
    reading.written.update({ours: f"{prefix}{theirs}" for theirs, ours in renamed.items()})
    values = {key: section[key] for key in OURS if section.get(key) is not None}
    return values | {ours: section[word] for word, ours in renamed.items() if word in section}


def _named_or_local(
    section: Mapping[str, Any], key: str, default: str, reading: _Reading
) -> dict[str, Any]:
    """The tutorial form names a model of the zoo or a local directory with one key."""
    model = section.get(key) or default
    if not isinstance(model, str):
        reading.found.append(f"Pipeline.{key} must be the name of a model or a directory")
        return {"model_name": default}
    directory = reading.base / model
    if "/" in model or directory.is_dir():
        return {"model_name": directory.name, "model_dir": directory.absolute()}
    return {"model_name": model}


Runtime = tuple[dict[str, Any], str]
"""``runtime`` for ModelConfig, and the key that says so."""


def _runtime(section: Mapping[str, Any], where: str, reading: _Reading) -> Runtime | None:
    """``runtime`` as a section says it: by our key, or by PaddleX's two. The pipeline's holds for
    its submodules, unless they say otherwise."""
    prefix = f"{where}." if where else ""
    if section.get("runtime") is not None:
        return {"runtime": section["runtime"]}, f"{prefix}runtime"
    hpi_config = known_keys(
        section.get("hpi_config"), {"backend"}, f"{prefix}hpi_config", reading.found
    )
    if hpi_config.get("backend") is not None:
        return {"runtime": hpi_config["backend"]}, f"{prefix}hpi_config.backend"
    use_hpip = section.get("use_hpip")
    if use_hpip is None:
        return None
    if use_hpip not in (True, False):
        reading.found.append(f"{prefix}use_hpip must be true or false")
    return {"runtime": "fastest" if use_hpip else "auto"}, f"{prefix}use_hpip"


def _nulls(content: object) -> object:
    """PaddleX evaluates strings: ``index: None`` means null."""
    if isinstance(content, Mapping):
        return {key: _nulls(value) for key, value in content.items()}
    return None if content == "None" else content
