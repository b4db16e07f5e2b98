"""``face-serve serve``: the whole graph on this machine, in HAProxy mode, until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from serve_app.errors import ConfigError


def serve(
    config: Annotated[
        Path, typer.Option(help="The Serve file: stages, replicas, resources, arguments.")
    ] = Path("configs/serve/local.yaml"),
    port: Annotated[int | None, typer.Option(help="Port instead of the file's.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the galleries lie, instead of the file's.")
    ] = None,
) -> None:
    """Serve the documented HTTP API on this machine.

    Prints one line when it is ready; Ctrl-C ends it and leaves nothing running.
    """
    from serve_app.deployments.environment import free_port, loopback_environment

    started = time.monotonic()
    run_dir = Path(tempfile.mkdtemp(prefix="face-serve-"))
    try:
        token = _data_directory(config, data_dir) / "ray" / "auth_token"
        token.parents[1].mkdir(mode=0o700, parents=True, exist_ok=True)  # as build_app would
        os.environ.update(
            loopback_environment(
                haproxy=haproxy_program(), run_dir=run_dir, token=token, given=os.environ
            )
        )
        # Ray reads its environment when it is imported: not before the lines above.
        from serve_app.deployments.serve_file import load_serve_file, our_applications
        from serve_app.deployments.server import ensure_token, running_service

        content = load_serve_file(config, port=port, data_dir=data_dir)
        for application in our_applications(content):
            _prepare(application["args"])
        ensure_token(token)
        stop = threading.Event()
        dashboard_port = free_port()
        with running_service(content, dashboard_port=dashboard_port) as url:
            # For `face-serve gallery build`, with the token beside it.
            found = token.with_name("dashboard")
            found.write_text(f"http://127.0.0.1:{dashboard_port}\n", encoding="ascii")
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: stop.set())
            seconds = time.monotonic() - started
            print(f"face-serve is ready at {url} ({seconds:.0f} s), documentation at {url}/docs",
                  flush=True)  # fmt: skip
            stop.wait()
            print("stopping", flush=True)
    except KeyboardInterrupt:
        print("stopped before it was ready", file=sys.stderr)
        raise typer.Exit(130) from None
    finally:
        shutil.rmtree(run_dir, ignore_errors=True)


def _prepare(args: Mapping[str, Any]) -> None:
    """Say what can't work before a cluster is started for it, and fetch the models before replicas
    would, unseen and against the clock of their start."""
    from serve_app.config import default_cache_dir, parse_service_args
    from serve_app.deployments.start_checks import check_devices, check_start
    from serve_app.models.zoo.opening import fetch_missing

    service = parse_service_args(args)
    pipeline = check_start(service, os.environ)
    check_devices(service, pipeline)
    fetch_missing(pipeline, service.cache_dir or default_cache_dir(os.environ))


def _data_directory(config: Path, chosen: Path | None) -> Path:
    """Where the galleries will lie. The file itself is checked later: that needs Ray."""
    import yaml

    if chosen is None:
        with contextlib.suppress(OSError, yaml.YAMLError, AttributeError, LookupError, TypeError):
            content = yaml.safe_load(config.read_text(encoding="utf-8"))
            chosen = Path(content["applications"][0]["args"]["data_dir"]).expanduser()
    return (chosen or Path("data")).absolute()


def haproxy_program() -> Path:
    """``face-serve-haproxy`` beside this interpreter. Raises ConfigError if it is not installed."""
    program = Path(sys.executable).parent / "face-serve-haproxy"
    if not program.exists():
        raise ConfigError(
            "face-serve-haproxy is not beside this Python: install face-serve into its environment"
        )
    return program
