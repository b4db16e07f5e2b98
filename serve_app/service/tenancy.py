"""Each tenant among its own: the ports as the caller's tenant sees them.

On the way in a key becomes the whole name that the stages know (``serve_app.tenancy``), on the way
out it is the key again, in results and in what an error says. So another tenant's gallery is one
that is not there, in every answer and in the time it takes. The services above know nothing of it.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from serve_app.config import JobRequest
from serve_app.errors import FaceServeError
from serve_app.ports import Galleries, Index, Jobs
from serve_app.request_context import current_request
from serve_app.tenancy import SEPARATOR, bare, owned
from serve_app.types import (
    Consistency,
    Embeddings,
    GalleryEntry,
    GalleryInfo,
    Job,
    JobRejection,
    Metric,
    Operation,
    Receipt,
    SearchResult,
    TemplateEntry,
)


class TenantIndex:
    """The port Index."""

    def __init__(self, index: Index) -> None:
        self._index = index

    async def build(
        self,
        key: str,
        index_type: str,
        metric: Metric,
        labels: Sequence[str],
        embeddings: Embeddings,
        *,
        with_labels: bool,
        operation: Operation | None = None,
    ) -> Receipt:
        with in_tenant() as tenant:
            return _receipt(
                await self._index.build(
                    owned(tenant, key),
                    index_type,
                    metric,
                    labels,
                    embeddings,
                    with_labels=with_labels,
                    operation=operation,
                )
            )

    async def add(
        self,
        key: str,
        labels: Sequence[str],
        embeddings: Embeddings,
        *,
        with_labels: bool,
        operation: Operation | None = None,
    ) -> Receipt:
        with in_tenant() as tenant:
            return _receipt(
                await self._index.add(
                    owned(tenant, key),
                    labels,
                    embeddings,
                    with_labels=with_labels,
                    operation=operation,
                )
            )

    async def remove(
        self,
        key: str,
        ids: Sequence[int],
        *,
        with_labels: bool,
        operation: Operation | None = None,
    ) -> Receipt:
        with in_tenant() as tenant:
            name = owned(tenant, key)
            return _receipt(
                await self._index.remove(name, ids, with_labels=with_labels, operation=operation)
            )

    async def answered(self, operation: Operation, *, with_labels: bool = False) -> Receipt | None:
        """An operation's id is made with its tenant: another's is never met."""
        with in_tenant():
            found = await self._index.answered(operation, with_labels=with_labels)
            return None if found is None else _receipt(found)

    async def search(
        self,
        key: str,
        probes: Embeddings,
        top_k: int,
        *,
        consistency: Consistency = Consistency.STRONG,
    ) -> SearchResult:
        with in_tenant() as tenant:
            name = owned(tenant, key)
            return await self._index.search(name, probes, top_k, consistency=consistency)

    async def describe(self, key: str) -> GalleryInfo:
        with in_tenant() as tenant:
            found = await self._index.describe(owned(tenant, key))
            return replace(found, key=bare(found.key))


class TenantGalleries:
    """The port Galleries."""

    def __init__(self, galleries: Galleries) -> None:
        self._galleries = galleries

    async def list(
        self,
        after: str,
        limit: int,
        *,
        tenant: str | None = None,  # noqa: ARG002 # the port's
    ) -> Sequence[GalleryEntry]:
        """Of the caller's tenant, whatever ``tenant`` says."""
        with in_tenant() as own:
            # Above "" are all of a tenant, and above TENANT/ too.
            found = await self._galleries.list(owned(own, after), limit, tenant=own)
            return [_entry(entry) for entry in found]

    async def entry(self, key: str) -> GalleryEntry:
        with in_tenant() as tenant:
            return _entry(await self._galleries.entry(owned(tenant, key)))

    async def templates(
        self, key: str, label: str | None, after: int, limit: int
    ) -> Sequence[TemplateEntry]:
        with in_tenant() as tenant:
            return await self._galleries.templates(owned(tenant, key), label, after, limit)

    async def remove_label(
        self, key: str, label: str, *, operation: Operation | None = None
    ) -> Receipt:
        with in_tenant() as tenant:
            name = owned(tenant, key)
            return _receipt(await self._galleries.remove_label(name, label, operation=operation))

    async def drop(self, key: str, *, operation: Operation | None = None) -> Receipt:
        with in_tenant() as tenant:
            return _receipt(await self._galleries.drop(owned(tenant, key), operation=operation))

    async def optimize(self, key: str, *, operation: Operation | None = None) -> Receipt:
        with in_tenant() as tenant:
            return _receipt(await self._galleries.optimize(owned(tenant, key), operation=operation))


class TenantJobs:
    """The port Jobs."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def submit(self, job_id: str, request: JobRequest) -> Job:
        with in_tenant() as tenant:
            owns = request.model_copy(update={"key": owned(tenant, request.key)})
            return _job(await self._jobs.submit(owned(tenant, job_id), owns), tenant)

    async def job(self, job_id: str) -> Job:
        with in_tenant() as tenant:
            return _job(await self._jobs.job(owned(tenant, job_id)), tenant)

    async def jobs(
        self,
        limit: int,
        *,
        tenant: str | None = None,  # noqa: ARG002 # the port's
    ) -> Sequence[Job]:
        """Of the caller's tenant, whatever ``tenant`` says."""
        with in_tenant() as own:
            return [_job(job, own) for job in await self._jobs.jobs(limit, tenant=own)]

    async def rejections(self, job_id: str, after: int, limit: int) -> Sequence[JobRejection]:
        with in_tenant() as tenant:
            return await self._jobs.rejections(owned(tenant, job_id), after, limit)

    async def cancel(self, job_id: str) -> Job:
        with in_tenant() as tenant:
            return _job(await self._jobs.cancel(owned(tenant, job_id)), tenant)

    async def forget(self, job_id: str) -> None:
        with in_tenant() as tenant:
            await self._jobs.forget(owned(tenant, job_id))


@contextlib.contextmanager
def in_tenant() -> Iterator[str]:
    """The caller's tenant; errors from within name what they name as it knows it."""
    tenant = current_request().caller.tenant
    try:
        yield tenant
    except FaceServeError as error:
        if not tenant:
            raise
        error.args = (_untold(str(error), tenant), *error.args[1:])
        raise


def _untold(text: str, tenant: str) -> str:
    return re.sub(rf"(?<![\w./-]){re.escape(tenant + SEPARATOR)}", "", text)


def _receipt(receipt: Receipt) -> Receipt:
    return replace(receipt, key=bare(receipt.key))


def _entry(entry: GalleryEntry) -> GalleryEntry:
    return replace(entry, info=replace(entry.info, key=bare(entry.info.key)))


def _job(job: Job, tenant: str) -> Job:
    message = _untold(job.message, tenant) if tenant else job.message
    return replace(job, id=bare(job.id), key=bare(job.key), message=message)
