from __future__ import annotations

import itertools
from pathlib import Path

from load_tests.drill.node_environment import Ports, node_environment, shared_environment
from serve_app.deployments.environment import serving_environment


def test_machines_share_no_port_but_those_of_replicas() -> None:
    numbers = itertools.count(9000)
    one, two = (node_environment(Ports.chosen(lambda: next(numbers), 30000)) for _ in range(2))
    same = {name for name, value in one.items() if two[name] == value}
    assert same == {
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT", "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT",
    }  # fmt: skip


def test_what_is_drilled_is_what_is_served_with() -> None:
    shared = shared_environment(Path("/tmp/x"), Path("/bin/haproxy"), "secret")
    assert serving_environment().items() <= shared.items()
