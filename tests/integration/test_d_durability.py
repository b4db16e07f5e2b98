"""Nothing that was acknowledged is lost: not with a killed replica, not with a stop and start."""

from __future__ import annotations

import time

import pytest

from tests.integration.pictures import gallery_image, scene
from tests.integration.service import Service

PREFIX = "/paddlex/face-recognition"


def test_killed_index_replica_loses_nothing(service: Service) -> None:
    key = build(service, [1, 2])
    victims = service.replicas("Index", "paddlex")
    assert victims
    for victim in victims:
        victim.kill()
    assert eventually(service, key, person=1, status=(503, 500)) == "person 1"
    assert ids(service, key) == {"0": "person 1", "1": "person 2"}
    reply = service.post(
        f"{PREFIX}-index-add",
        {"imageLabelPairs": [{"image": gallery_image(3), "label": "person 3"}], "indexKey": key},
    )
    assert reply.json()["result"]["idMap"]["2"] == "person 3"
    assert infer(service, key, 3) == "person 3"


@pytest.mark.timeout(300)
def test_stop_and_start_loses_nothing(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    key = build(service, [11, 12, 13])
    service.post(f"{PREFIX}-index-remove", {"ids": [0], "indexKey": key})
    service.stop()
    assert service.is_closed()
    assert not service.left_behind
    service.start()
    with capsys.disabled():
        print(f"\nsecond start: ready after {service.seconds_to_ready:.1f} s (two applications)")
    assert service.seconds_to_ready < 60
    assert ids(service, key) == {"1": "person 12", "2": "person 13"}
    assert infer(service, key, 12) == "person 12"


def test_data_is_private(service: Service) -> None:
    assert service.data_dir.stat().st_mode & 0o077 == 0


def build(service: Service, people: list[int]) -> str:
    pairs = [{"image": gallery_image(i), "label": f"person {i}"} for i in people]
    reply = service.post(f"{PREFIX}-index-build", {"imageLabelPairs": pairs})
    key: str = reply.json()["result"]["indexKey"]
    return key


def ids(service: Service, key: str) -> dict[str, str]:
    reply = service.post(f"{PREFIX}-index-remove", {"ids": [], "indexKey": key})
    found: dict[str, str] = reply.json()["result"]["idMap"]
    return found


def infer(service: Service, key: str, person: int) -> str:
    body = {"image": scene(person), "indexKey": key, "visualize": False}
    reply = service.post(f"{PREFIX}-infer", body)
    assert reply.status_code == 200, reply.text
    label: str = reply.json()["result"]["faces"][0]["recResults"][0]["label"]
    return label


def eventually(service: Service, key: str, *, person: int, status: tuple[int, ...]) -> str:
    """The answer once the replica is back; until then only ``status`` will do."""
    deadline = time.monotonic() + 60
    while True:
        body = {"image": scene(person), "indexKey": key, "visualize": False}
        reply = service.post(f"{PREFIX}-infer", body)
        if reply.status_code == 200:
            label: str = reply.json()["result"]["faces"][0]["recResults"][0]["label"]
            return label
        assert reply.status_code in status, reply.text
        assert time.monotonic() < deadline
        time.sleep(0.2)
