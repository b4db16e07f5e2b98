from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from serve_app.api.answered import Answered
from serve_app.batching import Admission, BatchRecord, Dropped
from serve_app.config import MetricsConfig
from serve_app.deployments.metrics import (
    DEFINITIONS,
    Definition,
    NoMeters,
    index_gauges,
    ingress_gauges,
    open_meters,
)
from serve_app.index.census import Census

UNITS = ("_seconds", "_items", "_requests", "_rejections", "_cost", "_up", "_galleries",
         "_templates", "_lag")  # fmt: skip


def test_names_are_ours_and_have_units() -> None:
    names = [one.name for one in DEFINITIONS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"face_serve_[a-z_]+", name) for name in names)
    assert all(name.endswith(UNITS) for name in names)
    assert all(one.help.endswith(".") for one in DEFINITIONS)
    assert {one.kind for one in DEFINITIONS if one.boundaries} == {"histogram"}


def test_no_label_holds_what_clients_choose() -> None:
    labels = {label for one in DEFINITIONS for label in one.labels}
    assert labels == {"route", "status", "stage", "reason", "end", "rank"}


class Gauges(NoMeters):
    def __init__(self) -> None:
        self.seen: dict[tuple[str, ...], float] = {}

    def gauge(self, definition: Definition, /):
        def put(value: float, labels: Mapping[str, str]) -> None:
            assert set(labels) == set(definition.labels)
            self.seen[(definition.name.removeprefix("face_serve_"), *labels.values())] = value

        return put


def test_what_is_published_of_a_replica_and_its_store() -> None:
    meters = Gauges()
    publish = index_gauges(meters, 3)
    publish(Census(9, 100, (60, 30), 2, 90, 7, 1))
    assert meters.seen == {
        ("store_up",): 1, ("galleries",): 9, ("templates",): 100,
        ("gallery_templates", "1"): 60, ("gallery_templates", "2"): 30,
        ("gallery_templates", "3"): 0,
        ("loaded_galleries",): 2, ("loaded_templates",): 90,
        ("index_seq_lag",): 7, ("index_replaced_galleries",): 1,
    }  # fmt: skip
    publish(None)
    assert meters.seen[("store_up",)] == 0


def test_what_is_published_of_the_queues() -> None:
    class Queue:
        queued_cost = 5

    meters, admission = Gauges(), Admission()
    admission.in_flight = 3
    ingress_gauges(meters, {"detector": Queue()}, admission)()
    assert meters.seen == {
        ("in_flight_requests",): 3, ("expected_wait_seconds",): 0, ("queue_cost", "detector"): 5
    }  # fmt: skip


@pytest.mark.parametrize("event", [BatchRecord(3, (0.1, 0.2)), Dropped("full")])
def test_off_nothing_is_recorded(event: BatchRecord | Dropped) -> None:
    meters = open_meters(MetricsConfig(enabled=False))
    assert isinstance(meters, NoMeters)
    meters.batches("detector", "replica")(event)
    meters.answers()(Answered("GET", "/x", 200, 0.1, {}))
    meters.gauge(DEFINITIONS[4])(1, {})
