"""What an application knows of where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field

from serve_app.api.hosts import ANY, Hosts


@dataclass(frozen=True, slots=True)
class Edge:
    """``hosts``: by which names it may be called. ``proof``: of the proxy whose word on a client's
    address counts; None if there is none."""

    hosts: Hosts = field(default_factory=lambda: Hosts([ANY]))
    proof: str | None = None
