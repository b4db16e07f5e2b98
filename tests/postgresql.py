"""A PostgreSQL server of the tests' own: where its program is, its life, its databases.

It listens on 127.0.0.1 only, trusts whoever connects, and writes without fsync: what it holds
outlives the server (``stop`` is a crash to it) but not the machine. PostgreSQL refuses to run as
root, so root runs it as the user ``postgres``, whom Debian's package creates.
"""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import port_for
import psutil
import psycopg
from psycopg import sql
from pytest_postgresql.executors import PostgreSQLExecutor

USER = "postgres"
"""The role that connects; where the tests run as root, also the system's user who runs it."""

DEBIAN = Path("/usr/lib/postgresql")
"""Holds a directory for each major version; Debian leaves its programs off PATH."""

TIMEOUT_S = 60


class UnavailableError(Exception):
    """PostgreSQL cannot run here; the message says what is missing."""


def find_pg_ctl(debian: Path = DEBIAN) -> Path:
    """The newest of Debian's, or else the one on PATH. Raises UnavailableError."""
    found = [path for path in debian.glob("*/bin/pg_ctl") if path.parts[-3].isdigit()]
    if found:
        return max(found, key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("pg_ctl")
    if on_path is None:
        raise UnavailableError("PostgreSQL is not installed: apt-get install postgresql")
    return Path(on_path)


class PostgresServer:
    """One server, started by the constructor; ``close`` ends it and removes all it wrote.

    ``stop`` and ``start`` in between are a database that is down for a while: same port, same data.
    """

    def __init__(self) -> None:
        """Raises UnavailableError if PostgreSQL is not installed or may not run as this user."""
        program = find_pg_ctl()
        owner = system_user() if os.geteuid() == 0 else None
        # Short, since it holds a unix socket, whose path ends at 107 bytes; not pytest's own
        # directory, which no other user may enter.
        self.directory = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        home = self.directory / "server"
        home.mkdir(mode=0o700)
        if owner is not None:
            self.directory.chmod(0o755)
            os.chown(home, owner.pw_uid, owner.pw_gid)
            program = as_user(owner, program, home, self.directory / "pg_ctl")
        # Outside the range of outgoing connections: while the server is down, nobody is given its
        # port, and a client that keeps trying cannot end up connected to itself.
        self.port = port_for.select_random()
        self._program = program
        self._data = home / "data"
        self._log = home / "log"
        self._postmaster: psutil.Process | None = None
        self._executor = PostgreSQLExecutor(
            executable=str(program),
            host="127.0.0.1",
            port=self.port,
            datadir=str(self._data),
            unixsocketdir=str(home),
            logfile=str(self._log),
            startparams="-w",
            dbname=USER,
            user=USER,
            timeout=TIMEOUT_S,
            postgres_options="-c listen_addresses=127.0.0.1 -c shared_buffers=32MB",
        )
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def url(self, database: str = "postgres") -> str:
        """SQLAlchemy's URL of a database; the default one is there from the start, and empty."""
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """URL of a new, empty database; dropped at the end, open connections or not."""
        name = f"test_{uuid4().hex}"
        self._run(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield self.url(name)
        finally:
            self._run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def start(self) -> None:
        """Returns when it answers, its recovery included. Raises AssertionError if it does not."""
        if self.is_running():
            return
        try:
            self._executor.start()
            # The port is open before recovery ends; pg_ctl waits for the end of it. It is no longer
            # the executor's process then, which would signal its process group later.
            launcher, self._executor.process = self._executor.process, None
            assert launcher is not None
            launcher.communicate(timeout=TIMEOUT_S)
            assert launcher.returncode == 0, f"pg_ctl ended with {launcher.returncode}"
        except Exception as error:
            raise AssertionError(f"PostgreSQL did not start: {self._end_of_log()}") from error
        first, *_ = (self._data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        self._postmaster = psutil.Process(int(first))

    def stop(self) -> None:
        """As a crash: connections break, the next start recovers. Returns when it has ended."""
        if self.is_running():
            subprocess.run(
                [self._program, "stop", "-D", self._data, "-m", "immediate"],
                check=True,
                capture_output=True,
                timeout=TIMEOUT_S,
            )
            # pg_ctl waits for its pid file to go, which is a moment before the process does.
            deadline = time.monotonic() + TIMEOUT_S
            while self.is_running() and time.monotonic() < deadline:
                time.sleep(0.01)

    def close(self) -> None:
        """Stops it and removes its directory. Raises AssertionError if it outlived that."""
        try:
            self.stop()
            assert not self.is_running(), "PostgreSQL outlived its tests"
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)

    def is_running(self) -> bool:
        """Whether its main process, of which all others are children, is there."""
        if self._postmaster is None:
            return False
        try:
            # One that ended may stay in the table: in a container nobody may be waiting for it.
            return (
                self._postmaster.is_running() and self._postmaster.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            return False

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement)

    def _end_of_log(self) -> str:
        try:
            return self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
        except FileNotFoundError:
            return "it wrote no log"


def system_user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(USER)
    except KeyError:
        raise UnavailableError(
            f"root may not run PostgreSQL and there is no user {USER}: apt-get install postgresql"
        ) from None


def as_user(owner: pwd.struct_passwd, program: Path, home: Path, wrapper: Path) -> Path:
    """Writes a program that runs another one as somebody else, in a directory that is theirs."""
    command = shlex.join(
        [
            "setpriv",
            f"--reuid={owner.pw_uid}",
            f"--regid={owner.pw_gid}",
            "--init-groups",
            str(program),
        ]
    )
    wrapper.write_text(
        f'#!/bin/sh\ncd {shlex.quote(str(home))} || exit\nexec {command} "$@"\n', encoding="utf-8"
    )
    wrapper.chmod(0o755)
    return wrapper
