"""Which runtime runs a network: the plain one, a named one, or the fastest as measured here."""

from __future__ import annotations

from serve_app.errors import ConfigError
from serve_app.models.network import Network
from serve_app.models.runtime import Session, runs_on
from serve_app.models.selection.fastest import measured
from serve_app.models.selection.forms import RunOptions, open_in, runtimes_of

__all__ = ["RunOptions", "open_network", "plain_runtime"]


def open_network(network: Network, options: RunOptions) -> Session:
    """Load ``network``. With ``fastest``, its runtimes are measured first unless this machine has
    done it before, which takes seconds (docs/decisions/0018).

    Raises ConfigError where the runtime is not installed or not for the device, ModelError where
    the network does not load in it.
    """
    runtime = options.runtime
    if runtime == "auto":
        runtime = plain_runtime(network, options)
    elif runtime == "fastest":
        runtime = measured(network, plain_runtime(network, options), options).chosen
    return open_in(network, runtime, options)


def plain_runtime(network: Network, options: RunOptions) -> str:
    """The first of those that the network prefers that is installed and runs on the device; then,
    for ONNX files, Paddle. Raises ConfigError where there is none."""
    known = runtimes_of(options.device)
    preferred = [name for name in network.preferred if name in known]
    if network.is_onnx and "paddle" not in preferred:
        preferred.append("paddle")
    for name in preferred:
        if runs_on(name, options.device):
            return name
    raise ConfigError(
        f"{network.name}: no runtime for it on {options.device} is installed; install one of "
        f"{', '.join(preferred)}"
    )
