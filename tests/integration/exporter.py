"""What Ray's exporter says of a running service."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import psutil

from tests.integration.service import Service


def exported(service: Service) -> str:
    return "".join(_answers(service))


def _answers(service: Service) -> Iterator[str]:
    """Of the one port of the agent that answers with metrics."""
    for process in service.processes():
        try:
            if "agent" not in " ".join(process.cmdline()).lower():
                continue
            ports = {
                connection.laddr.port
                for connection in process.net_connections("tcp")
                if connection.status == psutil.CONN_LISTEN
            }
        except psutil.Error:
            continue
        for port in ports:
            try:
                reply = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10, trust_env=False)
            except httpx.HTTPError:
                continue  # not an HTTP port
            if reply.status_code == 200:
                yield "\n" + reply.text
