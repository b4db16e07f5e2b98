"""A command as a job of a Ray cluster elsewhere: sent, followed, and its exit code brought back.

Through Ray's job API, which runs whatever it is given: whoever reaches it owns the cluster, so it
must stay behind Ray's own authentication (``RAY_AUTH_MODE=token``).
"""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import AsyncIterator, Callable, Sequence

import aiohttp
from ray.exceptions import AuthenticationError, RayError
from ray.job_submission import JobStatus, JobSubmissionClient

from serve_app.errors import InvalidRequestError, JobConflictError, UnavailableError

POLL_S = 0.5
PATIENCE_S = 30.0
"""For how long the cluster may not answer while its job is waited for."""
ATTEMPTS = 100
LOST = 3
"""Exit code of a command that left none of its own: it was stopped or killed, or its node died. As
``face-serve-job`` has it: it can be begun again."""
OWN_CODES = range(1, 128)
"""A shell's for a signal are above, those of Python below."""
FAILURES = (OSError, RuntimeError, ValueError, LookupError, RayError, aiohttp.ClientError)
"""What Ray's client raises where nobody answers, or somebody else does."""


class Submission:
    """``address``: of the cluster's dashboard, ``http://HOST:8265``. Raises InvalidRequestError for
    any other kind, UnavailableError."""

    def __init__(self, address: str) -> None:
        if not address.startswith(("http://", "https://")):
            raise InvalidRequestError("--address is that of a dashboard: http://HOST:8265")
        try:
            self._client = JobSubmissionClient(address)
        except FAILURES as error:
            raise UnavailableError(_unreachable(error)) from None

    def run(self, words: Sequence[str], name: str, say: Callable[[str], None]) -> int:
        """Run a command and follow what it prints; its exit code.

        ``name``: of the command among the cluster's jobs; while one of that name is running, this
        follows it. Raises JobConflictError if that is another command, UnavailableError.
        """
        submission = self._submit(words, name)
        asyncio.run(self._follow(submission, say))
        return self._wait(submission)

    def _submit(self, words: Sequence[str], name: str) -> str:
        entrypoint = shlex.join(words)
        try:
            known = {info.submission_id: info for info in self._client.list_jobs()}
            for attempt in range(ATTEMPTS):  # Ray keeps a name for good: each run has its own
                submission = f"face-serve-{name}-{attempt}"
                if submission not in known:
                    self._client.submit_job(entrypoint=entrypoint, submission_id=submission)
                    return submission
                if not known[submission].status.is_terminal():
                    _check_same(known[submission].entrypoint, entrypoint, name)
                    return submission
        except FAILURES as error:
            raise UnavailableError(_unreachable(error)) from None
        raise JobConflictError(f"job {name} was begun {ATTEMPTS} times: give it another job id")

    async def _follow(self, submission: str, say: Callable[[str], None]) -> None:
        texts = self._client.tail_job_logs(submission)
        rest = ""
        while (text := await _next(texts)) is not None:
            *lines, rest = (rest + text).split("\n")
            for line in lines:
                say(line)
        if rest:
            say(rest)

    def _wait(self, submission: str) -> int:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                info = self._client.get_job_info(submission)
            except FAILURES:
                if time.monotonic() > deadline:
                    raise UnavailableError(
                        "the cluster does not answer any more; the job may go on: follow it with "
                        "the same command and its --job-id"
                    ) from None
            else:
                deadline = time.monotonic() + PATIENCE_S
                if info.status is JobStatus.SUCCEEDED:
                    return 0
                if info.status.is_terminal():
                    stopped = info.status is JobStatus.STOPPED  # Ray ends it with a code of its own
                    code = info.driver_exit_code
                    return code if code in OWN_CODES and not stopped else LOST
            time.sleep(POLL_S)


async def _next(texts: AsyncIterator[str]) -> str | None:
    """None after the last, or when the connection broke: the job goes on then, and so does waiting
    for it."""
    try:
        return await anext(texts, None)
    except FAILURES:
        return None


def _check_same(running: str, entrypoint: str, name: str) -> None:
    if running != entrypoint:
        raise JobConflictError(
            f"job {name} is running with other arguments: give the same ones, or another job id"
        )


def _unreachable(error: Exception) -> str:
    if isinstance(error, AuthenticationError):
        return "the cluster wants its token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH"
    return "the cluster does not answer: give the address of its dashboard with --address"
