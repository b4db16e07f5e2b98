"""Reading pipeline files: PaddleX's tutorial form and its current form (CONTRACT 5)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from serve_app.config.pipeline import ModelConfig, PipelineConfig
from serve_app.config.strict import refuse_unknown, validate
from serve_app.errors import ConfigError

OURS = ("device", "index", "enrol", "compat", "max_faces", "detect_size")
"""Keys that are named alike in both forms and in PipelineConfig."""

TUTORIAL_KEYS = {"score_thres": "rec_threshold", "return_k": "top_k"}
CURRENT_KEYS = {
    "det_threshold": "det_threshold",
    "rec_threshold": "rec_threshold",
    "rec_topk": "top_k",
}
FAST = ("use_hpip", "hpi_config")
"""PaddleX's words for a faster runtime, for the whole pipeline or one submodule."""

DEFAULT_DETECTOR, DEFAULT_EXTRACTOR = "YuNet", "SFace"


def load_pipeline(name: str) -> PipelineConfig:
    """The embedded default for ``face_recognition``, else the pipeline file at that path.

    Raises ConfigError that names the key and what to write instead.
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
    return parse_pipeline(content, base=path.parent)


def parse_pipeline(content: object, *, base: Path) -> PipelineConfig:
    """A pipeline file's content in either form; model directories are relative to ``base``.

    A key given twice has its last value, as YAML loaders do it.
    """
    content = _nulls(content)
    if isinstance(content, Mapping) and "Pipeline" in content:
        sections = refuse_unknown(content, {"Global", "Pipeline"}, "")
        return _from_tutorial_form(sections["Pipeline"], base)
    return _from_current_form(content, base)


def _from_tutorial_form(content: object, base: Path) -> PipelineConfig:
    own = {"det_model", "rec_model", "det_batch_size", "rec_batch_size", "mirror", "runtime"}
    section = refuse_unknown(content, {*own, *FAST, *OURS, *TUTORIAL_KEYS}, "Pipeline")
    runtime = _runtime(section, {}, "Pipeline")
    detector = _named_or_local(section, "det_model", DEFAULT_DETECTOR, base) | runtime
    extractor = _named_or_local(section, "rec_model", DEFAULT_EXTRACTOR, base) | runtime
    for model, key in ((detector, "det_batch_size"), (extractor, "rec_batch_size")):
        if key in section:
            model["batch_size"] = section[key]
    if "mirror" in section:
        extractor["mirror"] = section["mirror"]
    return _pipeline(section, TUTORIAL_KEYS, detector, extractor)


def _from_current_form(content: object, base: Path) -> PipelineConfig:
    known = {"pipeline_name", "SubModules", *FAST, *OURS, *CURRENT_KEYS}
    content = refuse_unknown(content, known, "")
    runtime = _runtime(content, {}, "")
    modules = refuse_unknown(content.get("SubModules"), {"Detection", "Recognition"}, "SubModules")
    return _pipeline(
        content,
        CURRENT_KEYS,
        _submodule(modules, "Detection", DEFAULT_DETECTOR, base, runtime),
        _submodule(modules, "Recognition", DEFAULT_EXTRACTOR, base, runtime),
    )


def _submodule(
    modules: dict[str, Any], name: str, default: str, base: Path, inherited: dict[str, Any]
) -> dict[str, Any]:
    where = f"SubModules.{name}"
    known = {"module_name", *FAST, *ModelConfig.model_fields}
    module = refuse_unknown(modules.get(name), known, where)
    module |= _runtime(module, inherited, where)
    for key in ("module_name", *FAST):
        module.pop(key, None)
    module.setdefault("model_name", default)
    if module.get("model_dir") is not None:
        module["model_dir"] = (base / str(module["model_dir"])).absolute()
    return module


def _pipeline(
    section: Mapping[str, Any],
    renamed: Mapping[str, str],
    detector: dict[str, Any],
    extractor: dict[str, Any],
) -> PipelineConfig:
    values = {key: section[key] for key in OURS if section.get(key) is not None}
    values |= {ours: section[theirs] for theirs, ours in renamed.items() if theirs in section}
    return validate(
        PipelineConfig, values | {"detector": detector, "extractor": extractor}, "pipeline"
    )


def _named_or_local(
    section: Mapping[str, Any], key: str, default: str, base: Path
) -> dict[str, Any]:
    """The tutorial form names a model of the zoo or a local directory with one key."""
    model = section.get(key) or default
    if not isinstance(model, str):
        raise ConfigError(f"Pipeline.{key} must be the name of a model or a directory")
    directory = base / model
    if "/" in model or directory.is_dir():
        return {"model_name": directory.name, "model_dir": directory.absolute()}
    return {"model_name": model}


def _runtime(section: Mapping[str, Any], inherited: dict[str, Any], where: str) -> dict[str, Any]:
    """``runtime`` as a section says it: by our key, or by PaddleX's two. The pipeline's holds for
    its submodules, unless they say otherwise."""
    if section.get("runtime") is not None:
        return {"runtime": section["runtime"]}
    prefix = f"{where}." if where else ""
    hpi_config = refuse_unknown(section.get("hpi_config"), {"backend"}, f"{prefix}hpi_config")
    if hpi_config.get("backend") is not None:
        return {"runtime": hpi_config["backend"]}
    use_hpip = section.get("use_hpip")
    if use_hpip not in (None, True, False):
        raise ConfigError(f"{prefix}use_hpip must be true or false")
    return inherited if use_hpip is None else {"runtime": "fastest" if use_hpip else "auto"}


def _nulls(content: object) -> object:
    """PaddleX evaluates strings: ``index: None`` means null."""
    if isinstance(content, Mapping):
        return {key: _nulls(value) for key, value in content.items()}
    return None if content == "None" else content
