"""The ports People and AuditLog over Ray handles: the Index deployment has the store."""

from __future__ import annotations

from collections.abc import Sequence

from serve_app.audit_rows import AuditQuery, AuditRow
from serve_app.deployments.store_caller import StoreCaller
from serve_app.held import Erasure, HeldPage, HeldPlace
from serve_app.request_context import current_request

PARTLY = "some of it may be erased all the same: send it again, until it is answered"


class RayRecords:
    """Whatever was sent to a replica that died is sent again: an erasure then says what was left to
    do, and an export is told twice."""

    def __init__(self, store: StoreCaller) -> None:
        self._store = store

    async def held(
        self,
        label: str,
        after: HeldPlace | None,
        limit: int,
        *,
        embeddings: bool,
        tenant: str = "",
    ) -> HeldPage:
        page: HeldPage = await self._store.ask(
            "held", tenant, label, after, limit, embeddings, current_request().caller
        )
        return page

    async def erase(self, label: str, *, tenant: str = "") -> Erasure:
        done: Erasure = await self._store.ask(
            "erase_label", tenant, label, current_request().caller, advice=PARTLY
        )
        return done

    async def rows(self, asked: AuditQuery) -> Sequence[AuditRow]:
        rows: Sequence[AuditRow] = await self._store.ask("audit_rows", asked)
        return rows
