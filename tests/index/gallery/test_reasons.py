"""FAISS's words without its places."""

from __future__ import annotations

import pytest

from serve_app.index.gallery.reasons import reason, templates_needed

PLACE = "Error in virtual void faiss::X::f(const float*) const at /project/faiss/X.cpp:12: "


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (PLACE + "could not parse index string x", "could not parse index string x"),
        (PLACE + "Error: '!(d % M == 0)' failed: d is odd", "d is odd"),
        (PLACE + "Error: 'nprobe > 0' failed", "nprobe > 0 does not hold"),
        ("std::bad_alloc", "it needs more memory than there is"),
        ("two\nlines", "two"),
        ("", "RuntimeError"),
    ],
)
def test_reason(said: str, expected: str) -> None:
    assert reason(RuntimeError(said)) == expected


def test_memory() -> None:
    assert reason(MemoryError()) == "it needs more memory than there is"


def test_templates_needed() -> None:
    text = (
        PLACE + "Error: 'nx >= k' failed: Number of training points (600) should be at least "
        "as large as number of clusters (4096)"
    )
    assert templates_needed(RuntimeError(text)) == 4096
    assert templates_needed(RuntimeError("something else")) == 0
