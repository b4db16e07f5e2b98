"""Inputs of bulk jobs, and ``face-serve-job`` in processes that may be killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from serve_app.errors import FaceServeError
from serve_app.index.store import GalleryStore, sqlite_url
from serve_app.index.store.job_store import JobStore
from serve_app.types import Job, Vectors

ROOT = Path(__file__).parents[2]
FACES = ROOT.parent / "shared" / "faces"
BIN = Path(sys.executable).parent


def portraits(directory: Path, count: int) -> Path:
    """A directory with gallery.txt of ``count`` pictures of one face, all different; every tenth
    line names a picture that shows none."""
    data = pytest.importorskip("skimage.data", reason="the portrait comes with scikit-image")
    portrait = cv2.cvtColor(data.astronaut()[0:300, 80:380], cv2.COLOR_RGB2BGR)
    (directory / "images").mkdir(parents=True)
    lines = []
    for number in range(count):
        picture = np.full((250, 250, 3), 90, dtype=np.uint8)
        if number % 10:
            side = 180 + number % 60
            turned = portrait[:, ::-1] if number % 2 else portrait
            picture[:side, :side] = cv2.resize(turned, (side, side))
        picture[-1, -1] = number % 256, number // 256, 0
        cv2.imwrite(str(directory / "images" / f"{number}.png"), picture)
        lines.append(f"images/{number}.png person {number}")
    (directory / "gallery.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return directory


class BulkJob:
    """``face-serve-job`` in the cluster at ``address``, on a data directory and the database in
    it, or the one at ``database_url``."""

    def __init__(
        self,
        data_dir: Path,
        address: str | None,
        *arguments: str,
        database_url: str | None = None,
    ) -> None:
        self.data_dir = data_dir
        self._arguments = arguments
        self._environ = {} if address is None else {"RAY_ADDRESS": address}
        data_dir.mkdir(parents=True, exist_ok=True)
        if database_url is not None:
            self._environ["FACE_SERVE_DATABASE_URL"] = database_url
        self.store = GalleryStore(
            database_url or sqlite_url(data_dir / "galleries.db"), migrate=True
        )
        self.jobs = JobStore(self.store)

    def start(self, job_id: str, log: Path, *more: str) -> subprocess.Popen[bytes]:
        environ = dict(os.environ) | self._environ
        with log.open("ab") as out:
            return subprocess.Popen(
                [
                    str(BIN / "face-serve-job"), *self._arguments, *more, "--job-id", job_id,
                    "--data-dir", str(self.data_dir),
                ],
                env=environ, cwd=self.data_dir, stdout=out, stderr=out,
            )  # fmt: skip

    def wait_until(self, job_id: str, done: int, timeout_s: float = 120) -> Job:
        """Until so many rows are settled."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                job = self.jobs.job(job_id)
            except FaceServeError:
                time.sleep(0.1)
                continue
            if job.done >= done or job.state.is_final:
                return job
            time.sleep(0.05)
        raise AssertionError(f"job {job_id} did not come to row {done} in {timeout_s} s")

    def templates(self, key: str) -> tuple[list[int], list[str], Vectors]:
        page = self.store.page(self.store.entry(key).info, -1, 1_000_000)
        return page.ids, page.labels, page.vectors
