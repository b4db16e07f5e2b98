"""A job is run by one process at a time: this one says so until it ends."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from uuid import uuid4

from serve_app.errors import FaceServeError, JobLostError, UnavailableError
from serve_app.index.store.job_store import JobStore
from serve_app.types import Job

logger = logging.getLogger(__name__)

HELD_S = 20.0
"""After so long without a word a run counts as dead, and another may go on."""
WORD_S = 5.0


class Hold:
    """``lost`` is set once another runs the job, or it was cancelled."""

    def __init__(self, jobs: JobStore, job_id: str) -> None:
        self._jobs = jobs
        self._job_id = job_id
        self.holder = uuid4().hex
        self.lost = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="job-hold", daemon=True)

    def take(self) -> Job:
        """Raises JobConflictError while another runs it, JobNotFoundError, UnavailableError."""
        job = self._jobs.take(self._job_id, self.holder, HELD_S)
        self._thread.start()
        return job

    def release(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        with contextlib.suppress(FaceServeError):  # it runs out by itself
            self._jobs.let_go(self._job_id, self.holder)

    def _run(self) -> None:
        while not self._stop.wait(WORD_S):
            try:
                self._jobs.hold(self._job_id, self.holder, HELD_S)
            except UnavailableError:
                logger.warning("the gallery store does not answer; the job goes on")
            except FaceServeError:
                self.lost.set()
                return


@contextlib.contextmanager
def held(jobs: JobStore, job_id: str) -> Iterator[tuple[Hold, Job]]:
    """Run a job within. Raises as ``Hold.take``."""
    hold = Hold(jobs, job_id)
    job = hold.take()
    try:
        yield hold, job
    finally:
        hold.release()


def check_held(hold: Hold) -> None:
    """Raises JobLostError: for long work that does not write to the store."""
    if hold.lost.is_set():
        raise JobLostError("the job was cancelled, or is run by another process now")
