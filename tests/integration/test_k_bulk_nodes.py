"""A bulk job on a cluster of several nodes: its nodes and its driver are killed, and the gallery is
the same, with nothing twice and nothing lost."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve_app.types import JobState
from tests.integration.bulk import BulkJob, portraits

IMAGES = 1200
FACELESS = IMAGES // 10


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="fs-", dir="/tmp"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="module")
def gallery(directory: Path) -> Path:
    return portraits(directory / "gallery", IMAGES)


@pytest.fixture(scope="module")
def cluster(directory: Path) -> Iterator[Any]:
    """A head without processors, three nodes of one; each holds two actors."""
    before = dict(os.environ)
    os.environ |= {
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_TMPDIR": str(directory),
    }
    from ray.cluster_utils import Cluster

    try:
        nodes = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 0, "object_store_memory": 128 * 1024 * 1024},
        )
        for _ in range(3):
            nodes.add_node(num_cpus=1, object_store_memory=128 * 1024 * 1024)
        yield nodes
        nodes.shutdown()
    finally:
        os.environ.clear()
        os.environ.update(before)


SERVE_FILE = """\
applications:
  - name: face
    args:
      jobs: {detectors: 2, extractors: 2, cpus: 0.5}
"""


def bulk_job(directory: Path, cluster: Any, name: str, database_url: str | None = None) -> BulkJob:
    config = directory / "serve.yaml"
    config.write_text(SERVE_FILE, encoding="utf-8")
    return BulkJob(
        directory / f"data-{name}", cluster.address, "staff", str(directory / "gallery"),
        "--config", str(config), "--mode", "create", database_url=database_url,
    )  # fmt: skip


@pytest.fixture(scope="module")
def expected(directory: Path, gallery: Path, cluster: Any) -> Any:
    """What a job makes that nothing happens to."""
    undisturbed = bulk_job(directory, cluster, "undisturbed")
    log = directory / "undisturbed.log"
    assert undisturbed.start("undisturbed", log).wait(300) == 0, log.read_text()
    return undisturbed.templates("staff")


def check(job: BulkJob, job_id: str, expected: Any) -> None:
    found = job.jobs.job(job_id)
    assert (found.state, found.done, found.accepted) == (
        JobState.DONE, IMAGES, IMAGES - FACELESS,
    )  # fmt: skip
    assert found.rejected == FACELESS
    ids, labels, vectors = job.templates("staff")
    assert (ids, labels) == expected[:2]
    assert ids == list(range(IMAGES - FACELESS))
    np.testing.assert_allclose(vectors, expected[2], atol=1e-5)


def test_a_node_dies_in_mid_job(cluster: Any, directory: Path, expected: Any) -> None:
    job = bulk_job(directory, cluster, "node")
    log = directory / "node.log"
    running = job.start("node", log)
    job.wait_until("node", 1)
    victim = cluster.worker_nodes and next(iter(cluster.worker_nodes))
    cluster.remove_node(victim, allow_graceful=False)
    assert job.jobs.job("node").done < IMAGES
    assert running.wait(300) == 0, log.read_text()
    check(job, "node", expected)


def test_the_driver_dies_and_is_started_again(
    cluster: Any, directory: Path, expected: Any, postgres_url: str
) -> None:
    """On PostgreSQL, as a cluster has it; with another input it doesn't go on."""
    job = bulk_job(directory, cluster, "driver", postgres_url)
    log = directory / "driver.log"
    running = job.start("driver", log)
    job.wait_until("driver", 1)
    running.send_signal(signal.SIGKILL)
    running.wait()
    left = job.jobs.job("driver")
    assert 0 < left.done < IMAGES
    assert job.store.describe(["staff"]) == {}, "nothing is seen of it before it is done"
    assert job.start("driver", log, "--root", str(directory)).wait(120) == 2
    assert "was begun with other arguments" in log.read_text()
    deadline = time.monotonic() + 60
    code = 3
    while code == 3 and time.monotonic() < deadline:  # until the dead run counts as dead
        code = job.start("driver", log).wait(300)
    assert code == 0, log.read_text()
    assert f"going on at row {left.done} of {IMAGES}" in log.read_text()
    check(job, "driver", expected)
