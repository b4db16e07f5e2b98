"""Hosts of bulk jobs that were asked for over HTTP: a detached actor each, outside every replica.

A job outlives the replica that began it, and its node: Ray starts the actor again elsewhere, and
the job goes on where it was. When it is over, the actor removes itself.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from serve_app.config import ServiceArgs
from serve_app.errors import (
    ConfigError,
    FaceServeError,
    JobChangedError,
    JobConflictError,
    JobLostError,
    JobNotFoundError,
    UnavailableError,
)
from serve_app.index.store.job_store import JobStore
from serve_app.jobs.holding import held
from serve_app.jobs.opening import open_store
from serve_app.models.zoo.opening import Watch, unwatched
from serve_app.types import JobState

logger = logging.getLogger(__name__)

NAMESPACE = "face-serve-jobs"
AGAIN_S = 5.0
"""Until what another holds, or a store that does not answer, is tried again."""
ATTEMPTS = 3
"""Of a job that breaks off for a reason that nobody foresaw, without getting on between."""
BROKE_OFF = "the job broke off unexpectedly; the log of its actor says where"


class JobHosts:
    """Starts and ends hosts, from a replica that reaches the store.

    ``service`` holds the database's URL and perhaps a password. It gets to a host as the argument
    of an actor's constructor, as the replicas of Index get it: Ray keeps these pickled with the
    actor and shows them nowhere, neither in the dashboard nor in its lists; and a log that writes a
    ``ServiceArgs`` leaves these fields out (``repr=False``). A ``runtime_env`` or a command line,
    as a job of Ray's own API has them, is shown to everybody who may look at the dashboard.
    """

    def __init__(self, service: ServiceArgs, watch: Watch = unwatched) -> None:
        self._service = service
        self._watch = watch

    def start(self, job_id: str) -> None:
        """A host that runs the job, unless there is one. Raises UnavailableError."""
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        try:
            ray.remote(JobHost).options(
                name=name_of(job_id),
                namespace=NAMESPACE,
                lifetime="detached",
                get_if_exists=True,
                max_restarts=-1,
                num_cpus=0,  # it waits for its actors, which have their own
                scheduling_strategy=here,  # where the store is, if that is a file
            ).remote(job_id, self._service, self._watch)
        except RayError:
            raise UnavailableError("the cluster takes no jobs just now; try again") from None

    def end(self, job_id: str) -> None:
        end_host(job_id)


class JobHost:
    """The actor. Its constructor begins the job, so that starting it again goes on with it."""

    def __init__(self, job_id: str, service: ServiceArgs, watch: Watch) -> None:
        thread = threading.Thread(
            target=host, args=(job_id, service, watch), name="job", daemon=True
        )
        thread.start()


def host(job_id: str, service: ServiceArgs, watch: Watch) -> None:
    """Run a job to its end, and end this process with it."""
    try:
        run_to_end(job_id, service, watch)
    finally:
        end_host(job_id)


def run_to_end(job_id: str, service: ServiceArgs, watch: Watch) -> None:
    """Returns when the job is over: it did what was asked, failed, or was cancelled."""
    # The URL that the replicas have: a node's own environment may say nothing, or another.
    environ = {
        name: value for name, value in os.environ.items() if name != "FACE_SERVE_DATABASE_URL"
    }
    failures = done = 0
    while failures < ATTEMPTS:
        try:
            # Late, so that replicas, which import this module, do without Ray Data.
            from serve_app.jobs.build_gallery import run_job

            run_job(job_id, service, environ, allowed=service.jobs.inputs, say=_say, watch=watch)
            return
        except JobNotFoundError:
            return
        except JobChangedError as error:
            # Waiting changes nothing. It is kept, and begun again by the same request.
            logger.warning("%s", error)
            return
        except (JobConflictError, JobLostError, UnavailableError, ConfigError) as error:
            # The run that died with another node still counts for some seconds. A ConfigError is of
            # a database that can't be opened: any other ended the job.
            logger.info("job %s waits: %s", job_id, error.code)
        except FaceServeError as error:
            _fail(job_id, service, environ, str(error))
            return
        except Exception as error:
            # Its text may hold anything: a path, a row.
            logger.error("job %s broke off: %s", job_id, type(error).__name__)
            if isinstance(error, RayTaskError) or not isinstance(error, RayError):
                before, done = done, max(done, _done(job_id, service, environ))
                failures = 1 if done > before else failures + 1
            # Else the cluster lost an actor, which says nothing of the job.
        time.sleep(AGAIN_S)
    _fail(job_id, service, environ, BROKE_OFF)


def _fail(job_id: str, service: ServiceArgs, environ: dict[str, str], message: str) -> None:
    """Where the store does not answer either, or another runs it meanwhile, the job stays as it is,
    and can be begun again."""
    with (
        contextlib.suppress(FaceServeError),
        _jobs(service, environ) as jobs,
        held(jobs, job_id) as (hold, _),
    ):
        jobs.end(job_id, JobState.FAILED, message, hold.holder)


def _done(job_id: str, service: ServiceArgs, environ: dict[str, str]) -> int:
    """Rows that are settled; 0 where the store does not answer."""
    with contextlib.suppress(FaceServeError), _jobs(service, environ) as jobs:
        return jobs.job(job_id).done
    return 0


@contextlib.contextmanager
def _jobs(service: ServiceArgs, environ: dict[str, str]) -> Iterator[JobStore]:
    store = open_store(service, environ)
    try:
        yield JobStore(store)
    finally:
        store.close()


def end_host(job_id: str) -> None:
    """End the actor of a job for good, if there is one; its own process too."""
    with contextlib.suppress(ValueError, RayError):  # ValueError: none of that name
        ray.kill(ray.get_actor(name_of(job_id), namespace=NAMESPACE), no_restart=True)


def name_of(job_id: str) -> str:
    return f"face-serve-job-{job_id}"


def _say(line: str) -> None:
    """Into the actor's log, which is all that its process has."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
