"""Which runtime runs a network: the plain one, a named one, or the fastest as measured here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from serve_app.config.device import Device
from serve_app.errors import ConfigError
from serve_app.models.network import Network
from serve_app.models.runtime import Session, is_installed, open_session


@dataclass(frozen=True, slots=True)
class RunOptions:
    """``runtime``: ``auto`` (the plain one: the first of the network's preferred that is
    installed), ``fastest`` (as measured on this machine), or a runtime's name. ``threads``: of one
    run. ``cache_dir``: holds converted networks and what was measured."""

    runtime: str
    device: Device
    threads: int
    cache_dir: Path


def open_network(network: Network, options: RunOptions) -> Session:
    """Load ``network``. Raises ConfigError where the runtime is not installed or can't run it."""
    runtime = options.runtime
    if runtime == "auto":
        runtime = plain_runtime(network)
    return open_session(
        network.path, runtime=runtime, device=options.device, threads=options.threads
    )


def plain_runtime(network: Network) -> str:
    for name in network.preferred:
        if is_installed(name):
            return name
    raise ConfigError(
        f"{network.name}: no runtime for it is installed; install one of "
        f"{', '.join(network.preferred)}"
    )
