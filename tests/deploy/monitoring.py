"""What the dashboards and the alerts ask for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from deploy.monitoring.generate import contents

MONITORING = Path(__file__).parents[2] / "deploy" / "monitoring"
OURS = r"ray_face_serve_\w+"
RAYS = {"ray_component_rss_bytes", "ray_serve_deployment_replica_healthy"}
"""Of Ray's own metrics."""


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((MONITORING / "rules.yaml").read_text(encoding="utf-8"))
    return [rule for group in document["spec"]["groups"] for rule in group["rules"]]


def named_metrics() -> set[str]:
    """Metrics in the expressions of dashboards and rules, histograms by their own names."""
    text = "\n".join([*contents().values(), *(rule["expr"] for rule in rules())])
    return {
        re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bray_[a-z_]+\b", text)
    }
