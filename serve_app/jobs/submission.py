"""A command as a job of a Ray cluster elsewhere: sent, followed, and its exit code brought back.

Through Ray's job API, which runs whatever it is given: whoever reaches it owns the cluster, so it
must stay behind Ray's own authentication (``RAY_AUTH_MODE=token``).
"""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Callable, Sequence

from ray.job_submission import JobStatus, JobSubmissionClient

from serve_app.errors import JobConflictError, UnavailableError

POLL_S = 0.5
LOST = 1
"""Exit code of a command that left none: it was stopped, or its node died."""


class Submission:
    """``address``: of the cluster's dashboard, ``http://HOST:8265``. Raises UnavailableError."""

    def __init__(self, address: str) -> None:
        try:
            self._client = JobSubmissionClient(address)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise UnavailableError(_unreachable(error)) from None

    def run(self, words: Sequence[str], name: str, say: Callable[[str], None]) -> int:
        """Run a command and follow what it prints; its exit code.

        ``name``: of the command among the cluster's jobs; while one of that name is running, this
        follows it. Raises JobConflictError, UnavailableError.
        """
        submission = self._submit(words, name)
        asyncio.run(self._follow(submission, say))
        return self._wait(submission)

    def _submit(self, words: Sequence[str], name: str) -> str:
        try:
            for attempt in range(100):  # Ray keeps a name for good: each run gets one of its own
                submission = f"face-serve-{name}-{attempt}"
                known = {info.submission_id: info for info in self._client.list_jobs()}
                if submission not in known:
                    return self._client.submit_job(
                        entrypoint=shlex.join(words), submission_id=submission
                    )
                if not known[submission].status.is_terminal():
                    return submission
        except RuntimeError as error:
            raise UnavailableError(_unreachable(error)) from None
        raise JobConflictError(f"job {name} was begun a hundred times: give it another job id")

    async def _follow(self, submission: str, say: Callable[[str], None]) -> None:
        rest = ""
        try:
            async for text in self._client.tail_job_logs(submission):
                *lines, rest = (rest + text).split("\n")
                for line in lines:
                    say(line)
        except RuntimeError:
            pass  # the connection broke: the job goes on, and so does waiting for it
        if rest:
            say(rest)

    def _wait(self, submission: str) -> int:
        while True:
            info = self._client.get_job_info(submission)
            if info.status.is_terminal():
                break
            time.sleep(POLL_S)
        if info.status is JobStatus.SUCCEEDED:
            return 0
        return info.driver_exit_code or LOST


def _unreachable(error: Exception) -> str:
    if "auth" in str(error).lower() or "401" in str(error):
        return "the cluster wants a token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH"
    return "the cluster does not answer: give the address of its dashboard with --address"
