"""The fake of the ports People and AuditLog: answers as it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from serve_app.audit_rows import AuditQuery, AuditRow
from serve_app.errors import UnavailableError
from serve_app.held import Erasure, HeldPage, HeldPlace


@dataclass(frozen=True)
class Asked:
    """What was asked about a label; ``limit`` 0: to erase it."""

    label: str
    tenant: str
    after: HeldPlace | None = None
    limit: int = 0
    embeddings: bool = False


@dataclass
class MemoryRecords:
    """``page``, ``erasure``: what ``tenant`` has; others have nothing. ``asked``, ``queries``: what
    was. ``down``: the store does not answer."""

    tenant: str = ""
    page: HeldPage = field(default_factory=lambda: HeldPage([], []))
    erasure: Erasure = field(default_factory=lambda: Erasure([], {}, []))
    log: list[AuditRow] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    queries: list[AuditQuery] = field(default_factory=list)
    down: bool = False

    async def held(
        self,
        label: str,
        after: HeldPlace | None,
        limit: int,
        *,
        embeddings: bool,
        tenant: str = "",
    ) -> HeldPage:
        self._reach()
        self.asked.append(Asked(label, tenant, after, limit, embeddings))
        return self.page if tenant == self.tenant else HeldPage([], [])

    async def erase(self, label: str, *, tenant: str = "") -> Erasure:
        self._reach()
        self.asked.append(Asked(label, tenant))
        return self.erasure if tenant == self.tenant else Erasure([], {}, [])

    async def rows(self, asked: AuditQuery) -> Sequence[AuditRow]:
        self._reach()
        self.queries.append(asked)
        rows = [row for row in self.log if asked.tenant in (None, row.tenant)]
        return rows[: asked.limit]

    def _reach(self) -> None:
        if self.down:
            raise UnavailableError("the gallery store is unavailable; try again shortly")
