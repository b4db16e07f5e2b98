"""Bulk jobs as users send them to a running service: from the command line and over HTTP."""

from __future__ import annotations

import base64
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from serve_app.index.store import GalleryStore, sqlite_url
from serve_app.types import Vectors
from tests.integration.bulk import BIN, FACES, ROOT, portraits
from tests.integration.service import Service

PAIRS_A_REQUEST = 100
MIRROR = ROOT / "configs" / "pipeline" / "mirror.yaml"


def templates(service: Service, key: str) -> tuple[list[int], list[str], Vectors]:
    store = GalleryStore(sqlite_url(service.data_dir / "galleries.db"))
    try:
        page = store.page(store.entry(key).info, -1, 100_000)
    finally:
        store.close()
    return page.ids, page.labels, page.vectors


def gallery(service: Service, command: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / "face-serve"), "gallery", command, *words, "--data-dir", str(service.data_dir)],
        capture_output=True, text=True, check=False, timeout=170,
    )  # fmt: skip


def done(ran: subprocess.CompletedProcess[str]) -> None:
    assert ran.returncode == 0, ran.stdout + ran.stderr


def infer_body(key: str, image: bytes) -> dict[str, Any]:
    return {"image": base64.b64encode(image).decode(), "indexKey": key, "visualize": False}


def labels_of(service: Service, key: str, image: bytes) -> list[str]:
    reply = service.post("/face-recognition-infer", infer_body(key, image)).json()
    (face,) = reply["result"]["faces"]
    return [found["label"] for found in face["recResults"]]


@pytest.fixture(scope="module")
def inputs(service: Service) -> Path:
    """What ``jobs.inputs`` of the service allows."""
    directory = service.directory / "inputs"
    directory.mkdir()
    portraits(directory / "people", 40)
    return directory


@pytest.mark.skipif(not FACES.exists(), reason="../shared/faces is not here")
def test_a_job_and_http_make_the_same_templates(service: Service) -> None:
    done(gallery(service, "build", "by-job", str(FACES / "gallery.txt")))
    lines = (FACES / "gallery.txt").read_text(encoding="utf-8").splitlines()
    for start in range(0, len(lines), PAIRS_A_REQUEST):
        pairs = []
        for line in lines[start : start + PAIRS_A_REQUEST]:
            path, label = line.split(" ", 1)
            image = base64.b64encode((FACES / path).read_bytes()).decode()
            pairs.append({"image": image, "label": label})
        route = "add" if start else "build"
        body: dict[str, Any] = {"imageLabelPairs": pairs, "indexKey": "by-http"}
        reply = service.post(f"/face-recognition-index-{route}", body | {"returnIdMap": False})
        assert reply.status_code == 200, reply.text
    ids, labels, vectors = templates(service, "by-job")
    expected_ids, expected_labels, expected = templates(service, "by-http")
    assert (ids, labels) == (expected_ids, expected_labels)
    assert len(ids) == len(lines)
    assert np.einsum("nd,nd->n", vectors, expected).min() >= 0.99999


def test_a_gallery_is_replaced_and_embedded_anew_and_both_undone(
    service: Service, inputs: Path
) -> None:
    shown = (inputs / "people" / "images" / "1.png").read_bytes()
    done(
        gallery(
            service, "build", "staff", str(inputs / "people"), "--keep-sources", "--report",
            str(inputs / "report.parquet"),
        )
    )  # fmt: skip
    assert labels_of(service, "staff", shown)[0] == "person 1"
    report = pq.read_table(inputs / "report.parquet").to_pydict()
    assert report["position"] == list(range(40))
    assert report["outcome"].count("rejected") == 4
    assert all("no face" in reason for reason in report["reason"][::10])
    enrolled = templates(service, "staff")

    renamed = inputs / "renamed"
    shutil.copytree(inputs / "people", renamed)
    text = (renamed / "gallery.txt").read_text(encoding="utf-8").replace("person", "human")
    (renamed / "gallery.txt").write_text(text, encoding="utf-8")
    done(gallery(service, "build", "staff", str(renamed), "--mode", "replace"))
    assert labels_of(service, "staff", shown)[0] == "human 1"
    done(gallery(service, "rollback", "staff", "--yes"))
    assert labels_of(service, "staff", shown)[0] == "person 1"

    done(gallery(service, "reembed", "staff", "--model", str(MIRROR)))
    anew = templates(service, "staff")
    assert anew[:2] == enrolled[:2], "ids and labels stay"
    cosines = np.einsum("nd,nd->n", anew[2], enrolled[2])
    assert 0.5 < cosines.min() < 0.9999, "the same faces by another model"
    reply = service.post("/face-recognition-infer", infer_body("staff", shown))
    assert reply.status_code == 409, "vectors of two models are compared"
    assert "model" in reply.json()["errorMsg"]
    done(gallery(service, "rollback", "staff", "--yes"))
    assert labels_of(service, "staff", shown)[0] == "person 1"
    np.testing.assert_array_equal(templates(service, "staff")[2], enrolled[2])


def test_a_job_over_http(service: Service, inputs: Path) -> None:
    body = {"key": "posted", "input": str(inputs / "people"), "jobId": "posted-1"}
    reply = service.post("/v1/jobs", body)
    assert reply.status_code == 202, reply.text
    assert service.post("/v1/jobs", body).json()["result"]["jobId"] == "posted-1"
    deadline = time.monotonic() + 120
    while True:
        job = service.get("/v1/jobs/posted-1").json()["result"]
        if job["state"] in ("done", "failed") or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    assert job["state"] == "done", job
    assert job["counts"]["accepted"] == 36
    rejected = service.get("/v1/jobs/posted-1/rejected").json()["result"]
    assert "no face" in str(rejected)
    ids, labels, _ = templates(service, "posted")
    assert (len(ids), labels[0]) == (36, "person 1")


@pytest.mark.parametrize("place", ["/etc", "../inputs/../../etc", "s3://bucket/people"])
def test_http_jobs_read_what_is_allowed_only(service: Service, inputs: Path, place: str) -> None:
    reply = service.post("/v1/jobs", {"key": "stolen", "input": place})
    assert reply.status_code == 422
    assert "jobs.inputs" in reply.json()["errorMsg"]


def test_what_cannot_work_changes_nothing(service: Service, inputs: Path, tmp_path: Path) -> None:
    """Each case: ``tests/jobs/inputs``. Here: that it comes to a user as a message and a code."""
    (tmp_path / "other.csv").write_text("file,name\na.jpg,Anna\n", encoding="utf-8")
    shown = (inputs / "people" / "images" / "1.png").read_bytes()
    pair = {"image": base64.b64encode(shown).decode(), "label": "person 1"}
    body = {"imageLabelPairs": [pair], "indexKey": "taken"}
    assert service.post("/face-recognition-index-build", body).status_code == 200
    for key, words, told in (
        ("never", (str(tmp_path / "other.csv"),), "column"),
        ("never", (str(inputs / "people"), "--max-rejected", "5%"), "rows were rejected, 2 may be"),
        ("taken", (str(inputs / "people"),), "gallery taken exists already"),
    ):
        ran = gallery(service, "build", key, *words)
        assert ran.returncode == 2, ran.stdout + ran.stderr
        assert told in ran.stdout + ran.stderr
        assert "Traceback" not in ran.stdout + ran.stderr
    assert service.get("/v1/galleries/never").status_code == 404
