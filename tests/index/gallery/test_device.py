"""Where FAISS computes, with a stand-in for a FAISS that knows GPUs."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import faiss
import numpy as np
import pytest

from serve_app.errors import ConfigError
from serve_app.index.gallery import (
    LabelColumn,
    Segment,
    choose_device,
    set_faiss_threads,
    to_device,
)
from serve_app.index.gallery.kinds import GPU_MOST_CANDIDATES
from serve_app.types import Metric
from tests.index.samples import vectors


class GpuIndexFlat:
    """Takes no selector and gives at most 2048 candidates, as FAISS's of this name."""

    def __init__(self, index: Any) -> None:
        self._index = index
        self.ntotal, self.d, self.this = index.ntotal, index.d, index.this
        self.asked: list[int] = []

    def search(self, probes: Any, k: int, params: Any = None) -> Any:
        self.asked.append(k)
        if k > 2048 or (params is not None and params.sel is not None):
            raise RuntimeError("not on a GPU")
        return self._index.search(probes, k)


def gpus(count: int) -> Any:
    return SimpleNamespace(
        StandardGpuResources=lambda: "memory",
        get_num_gpus=lambda: count,
        index_cpu_to_gpu=lambda resources, number, index: GpuIndexFlat(index),
    )


def test_the_cpu() -> None:
    device = choose_device("cpu")
    index = faiss.IndexFlatIP(8)
    assert str(device) == "cpu"
    assert to_device(index, device) is index


def test_a_faiss_for_cpus() -> None:
    with pytest.raises(ConfigError) as caught:
        choose_device("gpu", SimpleNamespace())
    assert str(caught.value) == (
        "device gpu:0: the installed FAISS is for CPUs: "
        "install the extra gpu, or set index.device: cpu"
    )


@pytest.mark.parametrize(
    ("device", "count", "message"),
    [
        ("gpu:2", 2, "device gpu:2: there is gpu:0, gpu:1"),
        ("gpu", 0, "device gpu:0: there is no GPU"),
        ("cuda", 2, "index.device is cpu, gpu or gpu:N, not cuda"),
        ("gpu:-1", 2, "index.device is cpu"),
        ("gpu:", 2, "index.device is cpu"),
    ],
)
def test_devices_that_are_not_there(device: str, count: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        choose_device(device, gpus(count))


@pytest.mark.parametrize(("device", "number"), [("gpu", 0), ("gpu:1", 1)])
def test_a_gpu(device: str, number: int) -> None:
    chosen = choose_device(device, gpus(2))
    assert (chosen.number, str(chosen)) == (number, f"gpu:{number}")
    moved = to_device(faiss.IndexFlatIP(8), chosen)
    assert isinstance(moved, GpuIndexFlat)


def test_what_stays_on_the_cpu(caplog: pytest.LogCaptureFixture) -> None:
    index = faiss.index_factory(8, "HNSW32")
    with caplog.at_level(logging.WARNING):
        assert to_device(index, choose_device("gpu", gpus(1))) is index
    assert "no IndexHNSWFlat for GPUs" in caplog.text


def test_a_segment_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    downcast = faiss.downcast_index
    monkeypatch.setattr(
        faiss, "downcast_index", lambda i: i if isinstance(i, GpuIndexFlat) else downcast(i)
    )
    index = faiss.IndexFlatL2(8)
    index.add(vectors(5000))
    moved = to_device(index, choose_device("gpu", gpus(1)))
    labels = LabelColumn()
    labels.append([""] * 5000)
    segment = Segment.sealed("Flat", Metric.L2, moved, np.arange(5000), labels)
    assert (segment.search(vectors(2), 4000)[1][:, GPU_MOST_CANDIDATES:] == -1).all()
    truth = segment.search(vectors(3), 2000)[1]
    gone = truth[:, :200].ravel()
    segment.remove(gone.tolist())
    _, ids = segment.search(vectors(3), 10)
    for row, found in zip(truth, ids, strict=True):
        assert found.tolist() == row[~np.isin(row, gone)][:10].tolist()
    assert max(moved.asked) <= GPU_MOST_CANDIDATES


def test_faiss_threads() -> None:
    before = faiss.omp_get_max_threads()
    for count in (1, 2):
        set_faiss_threads(count)
        assert faiss.omp_get_max_threads() == count
    set_faiss_threads(before)
