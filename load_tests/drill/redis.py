"""A Redis server of the drill's own: where the control store of a cluster outlives its head.

It listens on a free port of 127.0.0.1, asks for a password, and writes nothing that outlives it.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import port_for

STARTS_WITHIN_S = 20.0


class UnavailableError(Exception):
    """Redis cannot run here; the message says what is missing."""


class RedisServer:
    """Started by the constructor; ``close`` ends it and removes all it wrote."""

    def __init__(self) -> None:
        """Raises UnavailableError if Redis is not installed or does not start."""
        program = shutil.which("redis-server")
        if program is None:
            raise UnavailableError("Redis is not installed: apt-get install redis-server")
        self.password = secrets.token_hex(16)
        # Outside the range of outgoing connections: nobody else is given it meanwhile.
        self.port = port_for.select_random()
        self._directory = Path(tempfile.mkdtemp(prefix="redis-"))  # for its owner only
        settings = self._directory / "redis.conf"  # a command line is for everybody to read
        settings.write_text(configuration(self.port, self.password, self._directory))
        with (self._directory / "log").open("wb") as log:
            self._process = subprocess.Popen([program, str(settings)], stdout=log, stderr=log)
        try:
            self._wait_until_ready()
        except UnavailableError:
            self.close()
            raise

    @property
    def address(self) -> str:
        """As RAY_REDIS_ADDRESS takes it."""
        return f"127.0.0.1:{self.port}"

    def close(self) -> None:
        self._process.kill()  # what it holds is worthless now
        self._process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + STARTS_WITHIN_S
        log = self._directory / "log"
        while "Ready to accept connections" not in log.read_text(errors="replace"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise UnavailableError(f"Redis did not start: {log.read_text(errors='replace')}")
            time.sleep(0.05)


def configuration(port: int, password: str, directory: Path) -> str:
    """redis.conf: loopback, a password, nothing kept on disk."""
    return (
        f"bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir {directory}\n"
        'save ""\nappendonly no\ndaemonize no\n'
    )
