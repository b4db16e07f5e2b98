"""Configuration: two files and no third surface. The pipeline file says what is recognised, the
Serve file how it is scaled. Read once, at start, and passed down as frozen models."""

from serve_app.config.encryption import EncryptionConfig, open_vault
from serve_app.config.job import InputKind, JobRequest, rejected_limit
from serve_app.config.observability import (
    MetricsConfig,
    ObservabilityConfig,
    TracingConfig,
    check_observability,
)
from serve_app.config.pipeline import (
    CompatConfig,
    DetectSizeConfig,
    EnrolConfig,
    ModelConfig,
    PipelineConfig,
    check_served_index,
)
from serve_app.config.pipeline_file import load_pipeline, parse_pipeline
from serve_app.config.service import (
    AdmissionSettings,
    AuditConfig,
    BatchSettings,
    FetchConfig,
    IndexConfig,
    IngressBatching,
    JobsConfig,
    Limits,
    ServiceArgs,
    SnapshotConfig,
    database_url,
    default_cache_dir,
    index_names,
    parse_service_args,
    snapshots_url,
)
from serve_app.config.strict import validate

__all__ = [
    "AdmissionSettings",
    "AuditConfig",
    "BatchSettings",
    "CompatConfig",
    "DetectSizeConfig",
    "EncryptionConfig",
    "EnrolConfig",
    "FetchConfig",
    "IndexConfig",
    "IngressBatching",
    "InputKind",
    "JobRequest",
    "JobsConfig",
    "Limits",
    "MetricsConfig",
    "ModelConfig",
    "ObservabilityConfig",
    "PipelineConfig",
    "ServiceArgs",
    "SnapshotConfig",
    "TracingConfig",
    "check_observability",
    "check_served_index",
    "database_url",
    "default_cache_dir",
    "index_names",
    "load_pipeline",
    "open_vault",
    "parse_pipeline",
    "parse_service_args",
    "rejected_limit",
    "snapshots_url",
    "validate",
]
