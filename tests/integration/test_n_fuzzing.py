"""Requests made from the service's own OpenAPI document; ``make fuzz`` makes them for longer."""

from __future__ import annotations

import httpx
import pytest

from tests.fuzzing.api import fuzz
from tests.integration.service import Service

SECONDS = 35


@pytest.mark.timeout(300)
def test_no_failure_no_undocumented_status_no_leak(service: Service) -> None:
    inputs = service.directory / "inputs"  # what serve_file lets bulk jobs read
    inputs.mkdir(exist_ok=True)
    status, output = fuzz(service.url, SECONDS, inputs=inputs)
    assert status == 0, output[-10_000:]
    assert "Tested: " in output
    assert service.get("/health").status_code == 200


@pytest.mark.parametrize("prefix", ["", "/paddlex"])
def test_probes_are_let_in_wherever_the_service_is_mounted(service: Service, prefix: str) -> None:
    """With a header that is refused elsewhere: only what is known as a probe is answered so."""
    headers = {"Request-Timeout": "soon"}
    for probe, status in (("/health", 200), ("/ready", 200), ("/v1/galleries/health", 422)):
        url = service.url + prefix + probe
        assert httpx.get(url, headers=headers, timeout=60, trust_env=False).status_code == status
