"""What is recorded: everything held about a label, and the audit log of what was done.

Owns how long a page is and what an erasure that was not done everywhere is called. Must not know
HTTP, Ray or the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from serve_app import policy
from serve_app.audit_rows import AuditPlace, AuditQuery, AuditRow
from serve_app.errors import UnavailableError
from serve_app.held import Erasure, HeldPage, HeldPlace
from serve_app.ports import AuditLog, People
from serve_app.service.galleries import DEFAULT_PAGE, check_limit

TOLD = 20
"""Galleries that a message names; the rest is only counted."""


@dataclass(frozen=True, slots=True)
class AuditPage:
    """``next``: after which place the next page starts, None after the last one."""

    rows: Sequence[AuditRow]
    next: AuditPlace | None = None


class RecordService:
    """Every method raises UnavailableError."""

    def __init__(self, people: People, log: AuditLog) -> None:
        self._people = people
        self._log = log

    async def held(
        self,
        label: str,
        after: HeldPlace | None = None,
        limit: int = DEFAULT_PAGE,
        *,
        embeddings: bool = False,
    ) -> HeldPage:
        """Up to ``limit`` templates and rows of ``label`` after a place."""
        check_limit(limit)
        return await self._people.held(label, after, limit, embeddings=embeddings)

    async def erase(self, label: str) -> Erasure:
        """Erase ``label`` in every gallery and every job. One that nobody has is no error.

        Raises UnavailableError that says where it was done and where not, if it is not done
        everywhere: sent again, the rest is done.
        """
        done = await self._people.erase(label)
        if done.failed:
            erased = sorted({one.key for one in done.erased} - done.failed.keys())
            raise UnavailableError(
                f"not erased everywhere: send it again. Not yet in {_named(list(done.failed))}; "
                f"done in {_named(erased)}"
            )
        return done

    async def audit(self, asked: AuditQuery) -> AuditPage:
        """Up to ``asked.limit`` rows."""
        check_limit(asked.limit)
        if asked.chain is not None:
            policy.check_key(asked.chain)
        # One more than asked for: whether there is a next page.
        found = await self._log.rows(replace(asked, limit=asked.limit + 1))
        if len(found) <= asked.limit:
            return AuditPage(found)
        last = found[asked.limit - 1]
        return AuditPage(found[: asked.limit], AuditPlace(last.at, last.chain, last.number))


def _named(keys: list[str]) -> str:
    more = len(keys) - TOLD
    named = ", ".join(keys[:TOLD]) or "none"
    return named + (f" and {more} more" if more > 0 else "")
