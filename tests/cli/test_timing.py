"""``--timings`` as text and as JSON."""

from __future__ import annotations

from serve_app.cli.timing import as_dict, as_text
from serve_app.pipeline.timings import Report

REPORT = Report(
    images=100,
    faces=120,
    workers=2,
    wall_s=4.0,
    stages={"read and decode": 1.0, "detect": 4.0},
    networks={"YuNet": 3.0},
    alone_s=3.0,
)


def test_text() -> None:
    assert as_text(REPORT).splitlines() == [
        "100 pictures, 120 faces in 4.00 s: 25.0 pictures/s, 2 workers",
        "read and decode      1.00 s   12.5%",
        "detect               4.00 s   50.0%",
        "YuNet network        3.00 s   37.5%",
        "the networks alone: 3.00 s, 0.75 of the run",
    ]


def test_dict() -> None:
    found = as_dict(REPORT)
    assert (found["images"], found["share"], found["stages"]["detect"]) == (100, 0.75, 4.0)


def test_nothing_was_done() -> None:
    nothing = Report(0, 0, 0, 0.0, {}, {}, 0.0)
    assert as_text(nothing).startswith("0 pictures, 0 faces in 0.00 s: 0.0 pictures/s, 0 workers")
