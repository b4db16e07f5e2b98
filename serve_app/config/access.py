"""``args.access`` of the Serve file: whether API keys are asked for."""

from __future__ import annotations

import ipaddress

from serve_app.config.strict import StrictModel
from serve_app.errors import ConfigError


class AccessConfig(StrictModel):
    """``keys``: every request but the probes and the documentation needs an API key (``face-serve
    keys create``). ``anyone``: without keys, another address than loopback may be served all the
    same: whoever reaches the port may read, enrol and delete everything."""

    keys: bool = False
    anyone: bool = False


def check_access(access: AccessConfig, host: str | None) -> None:
    """``host``: the address that HTTP is served on. Raises ConfigError where everybody on a network
    would be let in and nothing says that this is meant."""
    if access.keys or access.anyone or host is None or is_loopback(host):
        return
    raise ConfigError(
        f"args.access: HTTP is served on {host} and no API keys are asked for: set access.keys to "
        "true and make keys with `face-serve keys create`; or http_options.host to 127.0.0.1; or "
        "access.anyone to true, if whoever reaches the port may do everything"
    )


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches ``host``. A name is only believed if it is
    ``localhost``: what others mean is decided elsewhere."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
