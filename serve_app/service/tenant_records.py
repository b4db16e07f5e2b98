"""Each tenant among its own, as ``tenancy`` has it: the ports People and AuditLog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from serve_app.audit_rows import AuditQuery, AuditRow
from serve_app.held import Erasure, HeldPage, HeldPlace
from serve_app.ports import AuditLog, People
from serve_app.service.tenancy import in_tenant
from serve_app.tenancy import bare, owned


class TenantPeople:
    """The port People. Of the caller's tenant, whatever ``tenant`` says."""

    def __init__(self, people: People) -> None:
        self._people = people

    async def held(
        self,
        label: str,
        after: HeldPlace | None,
        limit: int,
        *,
        embeddings: bool,
        tenant: str = "",  # noqa: ARG002 # the port's
    ) -> HeldPage:
        with in_tenant() as own:
            page = await self._people.held(label, after, limit, embeddings=embeddings, tenant=own)
            return replace(
                page,
                templates=[
                    replace(one, key=bare(one.key), job=bare(one.job)) for one in page.templates
                ],
                rows=[replace(row, key=bare(row.key), job=bare(row.job)) for row in page.rows],
            )

    async def erase(
        self,
        label: str,
        *,
        tenant: str = "",  # noqa: ARG002 # the port's
    ) -> Erasure:
        with in_tenant() as own:
            done = await self._people.erase(label, tenant=own)
            return Erasure(
                [replace(one, key=bare(one.key), job=bare(one.job)) for one in done.erased],
                {bare(key): code for key, code in done.failed.items()},
                [bare(job_id) for job_id in done.running],
            )


class TenantAuditLog:
    """The port AuditLog. Of the caller's tenant, whatever is asked for."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    async def rows(self, asked: AuditQuery) -> Sequence[AuditRow]:
        with in_tenant() as own:
            after = asked.after
            if after is not None:
                after = replace(after, chain=owned(own, after.chain))
            chain = None if asked.chain is None else owned(own, asked.chain)
            found = await self._log.rows(replace(asked, chain=chain, tenant=own, after=after))
            return [replace(row, chain=bare(row.chain)) for row in found]
