"""The part of the index stage's host that answers for people's data and the audit log."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from serve_app.audit_rows import AuditQuery, AuditRow
from serve_app.deployments.replica import run_in
from serve_app.errors import FaceServeError
from serve_app.held import Erasure, HeldPage, HeldPlace
from serve_app.index.store import GalleryStore
from serve_app.index.store.audit_store import AuditStore
from serve_app.index.store.people_store import PeopleStore
from serve_app.types import Caller

AT_ONCE = 1


class IndexRecords:
    """What ``Index`` is besides. Apart from its other threads: an erasure may take long."""

    def _open_records(self, store: GalleryStore) -> None:
        self._people = PeopleStore(store)
        self._audit = AuditStore(store)
        self._record_threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="records")

    async def held(
        self,
        tenant: str,
        label: str,
        after: HeldPlace | None,
        limit: int,
        embeddings: bool,
        caller: Caller,
    ) -> HeldPage | FaceServeError:
        return await run_in(
            self._record_threads,
            lambda: self._people.held(
                tenant, label, after, limit, embeddings=embeddings, by=caller
            ),
        )

    async def erase_label(
        self, tenant: str, label: str, caller: Caller
    ) -> Erasure | FaceServeError:
        return await run_in(self._record_threads, lambda: self._people.erase(tenant, label, caller))

    async def audit_rows(self, asked: AuditQuery) -> list[AuditRow] | FaceServeError:
        return await run_in(self._record_threads, lambda: self._audit.page(asked))
