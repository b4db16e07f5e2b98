from __future__ import annotations

from serve_app.access.ring import KeyRing
from serve_app.api.probes import PROBES
from tests.access.registry import MemoryRegistry
from tests.api.harness import Api


async def test_probes_are_answered_without_a_key_and_under_no_other_name() -> None:
    api = Api(ring=KeyRing(MemoryRegistry()))
    for address in PROBES:
        assert (await api.send("GET", address)).status_code == 200
        for other in (f"{address}/", f"/x{address}", f"{address}x"):
            assert (await api.send("GET", other)).status_code == 401
