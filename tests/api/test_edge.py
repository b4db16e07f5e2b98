from __future__ import annotations

import pytest

from serve_app.api.client_address import HEADER
from serve_app.api.edge import Edge
from serve_app.api.hosts import Hosts
from serve_app.request_context import current_request
from serve_app.types import GalleryEntry
from tests.api.harness import Api

PROOF = "5f" * 32


def test_left_out_any_name_is_ours_and_nobodys_word_counts() -> None:
    Edge().hosts.check([(b"host", b"evil.example")])
    assert Edge().proof is None


@pytest.mark.parametrize(
    ("proof", "address"), [(PROOF, "192.0.2.7"), (None, "127.0.0.1"), ("another", "127.0.0.1")]
)
async def test_who_calls_is_who_our_own_proxy_says(
    proof: str | None, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Api(edge=Edge(proof=proof))
    seen: list[str] = []

    async def noting(*_: object, **__: object) -> list[GalleryEntry]:
        seen.append(current_request().caller.address)
        return []

    monkeypatch.setattr(api.index, "list", noting)
    await api.send("GET", "/v1/galleries", headers={HEADER: f"192.0.2.7 {PROOF}"})
    assert seen == [address]


async def test_an_application_is_called_by_its_names() -> None:
    api = Api(edge=Edge(Hosts(["faces.example"])))
    for host, status in (("faces.example", 200), ("evil.example", 421)):
        answer = await api.send("GET", "/v1/galleries", headers={"Host": host})
        assert answer.status_code == status
