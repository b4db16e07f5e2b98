"""What is sent, and when: the words between the benchmark and the process that sends.

A plan travels to the process that sends as a JSON file. Nothing here sends anything.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

NUMBER = b"{number}"
"""In a body: replaced by how many of its kind were sent, this one included."""

Arrivals = Literal["poisson", "even"]


@dataclass(frozen=True, slots=True)
class Request:
    """One kind of request. ``share``: of the mix, in relation to the others' shares. ``expects``:
    what a good answer holds; a fast wrong answer is no good one."""

    name: str
    path: str
    body: bytes = b""
    method: str = "POST"
    content_type: str = "application/json"
    api_key: str = ""
    share: float = 1.0
    expects: str = ""

    @classmethod
    def json(
        cls,
        name: str,
        path: str,
        content: Mapping[str, Any],
        *,
        share: float = 1.0,
        expects: str = "",
    ) -> Request:
        return cls(name, path, json.dumps(content).encode(), share=share, expects=expects)


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of time with either a rate, or clients that each wait for their answers.

    ``rate``: requests a second, started when the clock says so, whatever was answered (open loop).
    ``clients``: each sends its next request when it has its answer (closed loop).
    """

    name: str
    seconds: float
    rate: float | None = None
    clients: int | None = None

    def __post_init__(self) -> None:
        if (self.rate is None) == (self.clients is None):
            raise ValueError(f"phase {self.name}: give either a rate or clients")


@dataclass(frozen=True, slots=True)
class Plan:
    """``phases`` follow each other without a pause. ``seed``: of arrival times and of the mix."""

    phases: tuple[Phase, ...]
    requests: tuple[Request, ...]
    arrivals: Arrivals = "poisson"
    timeout_s: float = 60.0
    seed: int = 1

    @property
    def seconds(self) -> float:
        return sum(phase.seconds for phase in self.phases)

    def write(self, file: Path) -> None:
        content = asdict(self)
        for request in content["requests"]:
            request["body"] = base64.b64encode(request["body"]).decode()
        file.write_text(json.dumps(content), encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Plan:
        content = json.loads(file.read_text(encoding="utf-8"))
        for request in content["requests"]:
            request["body"] = base64.b64decode(request["body"])
        phases = tuple(Phase(**phase) for phase in content.pop("phases"))
        requests = tuple(Request(**request) for request in content.pop("requests"))
        return cls(phases, requests, **content)
