"""Configuration: two files and no third surface. The pipeline file says what is recognised, the
Serve file how it is scaled. Read once, at start, and passed down as frozen models."""

from serve_app.config.pipeline import (
    CompatConfig,
    DetectSizeConfig,
    EnrolConfig,
    ModelConfig,
    PipelineConfig,
)
from serve_app.config.pipeline_file import load_pipeline, parse_pipeline
from serve_app.config.service import (
    BatchSettings,
    FetchConfig,
    IngressBatching,
    Limits,
    ServiceArgs,
    default_cache_dir,
    parse_service_args,
)
from serve_app.config.strict import validate

__all__ = [
    "BatchSettings",
    "CompatConfig",
    "DetectSizeConfig",
    "EnrolConfig",
    "FetchConfig",
    "IngressBatching",
    "Limits",
    "ModelConfig",
    "PipelineConfig",
    "ServiceArgs",
    "default_cache_dir",
    "load_pipeline",
    "parse_pipeline",
    "parse_service_args",
    "validate",
]
