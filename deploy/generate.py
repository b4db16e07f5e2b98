"""Writes what the manifests take from the project: Serve files and the process environment.

``python -m deploy.generate`` (``make manifests``) writes; ``tests/deploy`` compares. So a cluster
and a laptop run the same graph with the same settings; only where things lie differs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from serve_app.deployments.environment import serving_environment

ROOT = Path(__file__).resolve().parent.parent

IN_IMAGE = "/srv/face-serve"
"""Where deploy/Dockerfile puts ``configs``."""
DATA_DIR = "/var/lib/face-serve"
"""A volume of every pod."""
DATABASE = "env:FACE_SERVE_DATABASE_URL"
"""Without it a service does not start: else each pod would have galleries of its own."""
HTTP_PORT = 8000
"""Ray's own convention; 8080 is where KubeRay lets Ray export metrics."""
EVERYWHERE = "0.0.0.0"  # nosec B104 # in a pod, where the NetworkPolicy says who reaches it
ANY_HOST = ["*"]
"""Where no keys are asked for: the names by which a cluster's clients call are the cluster's."""
KEYS, ANYONE = {"keys": True}, {"anyone": True}
"""Who is let in: with an API key, but on a cluster for trying."""
SCRATCH = "/tmp"  # nosec B108 # a volume of the pod's own
LABEL = "face-serve/"
"""Before a stage's name: the label of the nodes that are for it."""

SERVED = {"cpu": "autoscale", "gpu": "gpu", "dev": "laptop"}
"""Overlay to the file in configs/serve that it serves."""
JOB = {"detectors": 4, "extractors": 8, "cpus": 1}
"""Actors of a bulk job on a cluster of its own: as many as deploy/job has cores for."""


def for_kubernetes(content: dict[str, Any], access: dict[str, bool]) -> dict[str, Any]:
    """A file of configs/serve for a cluster: reachable, by whom ``access`` says, on each stage's
    own nodes, with the paths of the image."""
    changed = content | {"proxy_location": "EveryNode"}
    changed["http_options"] = content["http_options"] | {"host": EVERYWHERE, "port": HTTP_PORT}
    changed["applications"] = [_application(one, access) for one in content["applications"]]
    return changed


def _application(application: dict[str, Any], access: dict[str, bool]) -> dict[str, Any]:
    args = application["args"] | {"database_url": DATABASE, "data_dir": DATA_DIR}
    args["access"] = access
    if access == ANYONE:
        args["hosts"] = ANY_HOST
    if args["pipeline"].endswith(".yaml"):
        args["pipeline"] = f"{IN_IMAGE}/{args['pipeline']}"
    return application | {
        "args": args,
        "deployments": [_placed(one) for one in application["deployments"]],
    }


def _placed(deployment: dict[str, Any]) -> dict[str, Any]:
    stage = deployment["name"].rstrip("0123456789").lower()  # a shard is of its stage
    options = deployment["ray_actor_options"] | {"label_selector": {f"{LABEL}{stage}": "true"}}
    return deployment | {"ray_actor_options": options}


def environment() -> dict[str, str]:
    """Of every Ray container. What is secret comes from secrets, per pod."""
    return serving_environment() | {
        # Should the operator not know authOptions, Ray then refuses to start without a token.
        "RAY_AUTH_MODE": "token",
        "RAY_SERVE_HAPROXY_BINARY_PATH": "/usr/local/bin/face-serve-haproxy",
        # Of a pod that ends; Ray's 30 s are less than a request may take, 120 s is what a pod has.
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "75",
        # Ray's logs lie in /tmp, a volume of 8 GiB: its default for a file is 512 MiB, and none for
        # the output of workers, where request_log writes.
        "RAY_ROTATION_MAX_BYTES": str(100 * 2**20),
        "RAY_ROTATION_BACKUP_COUNT": "3",
        "FACE_SERVE_CACHE": f"{DATA_DIR}/cache",
        # The image's own home is read-only as all of it: libraries keep caches there.
        "HOME": SCRATCH,
    }


def generated() -> dict[Path, str]:
    """Every generated file with its content."""
    files = {
        ROOT / "deploy/overlays" / overlay / "serve-config.yaml": _patch(_serve_file(name), name)
        for overlay, name in SERVED.items()
    }
    cluster = _serve_file("cluster")
    cluster["applications"][0]["args"]["jobs"] = JOB
    files[ROOT / "deploy/job/serve.yaml"] = _header("cluster") + _dump(cluster)
    lines = [f"{name}={value}" for name, value in sorted(environment().items())]
    files[ROOT / "deploy/environment/environment.env"] = "\n".join(
        [
            "# Made by python -m deploy.generate from serve_app/deployments/environment.py.",
            *lines,
            "",
        ]
    )
    return files


def _serve_file(name: str) -> dict[str, Any]:
    text = (ROOT / "configs/serve" / f"{name}.yaml").read_text(encoding="utf-8")
    return for_kubernetes(yaml.safe_load(text), ANYONE if name == SERVED["dev"] else KEYS)


def _patch(content: dict[str, Any], name: str) -> str:
    head = "apiVersion: ray.io/v1\nkind: RayService\nmetadata: { name: face-serve }\nspec:\n"
    block = "".join(f"    {line}\n" for line in _dump(content).splitlines())
    return f"{_header(name)}{head}  serveConfigV2: |\n{block}"


def _header(name: str) -> str:
    return (
        f"# Made by python -m deploy.generate from configs/serve/{name}.yaml; comments are there.\n"
    )


def _dump(content: dict[str, Any]) -> str:
    return yaml.safe_dump(content, sort_keys=False, default_flow_style=False)


def main() -> None:
    for file, text in generated().items():
        file.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{file.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
