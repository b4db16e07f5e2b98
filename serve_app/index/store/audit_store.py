"""The store's face for the audit log: each method but ``verify`` is one transaction."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from serve_app.audit_rows import AuditPlace, AuditQuery, AuditRow, ChainHead
from serve_app.errors import InvalidRequestError
from serve_app.index.store import audit_reading, verifying
from serve_app.index.store.store import GalleryStore
from serve_app.index.store.verifying import Complaint, Walked


class AuditStore:
    """The audit log in the database of ``store``. Thread-safe. Every method raises
    UnavailableError."""

    def __init__(self, store: GalleryStore) -> None:
        self._store = store
        self._transactions = store.transactions

    def page(self, asked: AuditQuery) -> list[AuditRow]:
        """By time, then by gallery, then by number."""
        return self._transactions.query(partial(audit_reading.page, asked=asked))

    def rows(self, asked: AuditQuery) -> Iterator[AuditRow]:
        """All of them, in pages of ``asked.limit``."""
        while page := self.page(asked):
            yield from page
            last = page[-1]
            asked = replace(asked, after=AuditPlace(last.at, last.chain, last.number))

    def heads(self, chain: str | None = None) -> list[ChainHead]:
        """The ends of all chains, or of one: to be kept elsewhere."""
        return self._transactions.query(partial(audit_reading.heads, chain=chain))

    def prune(self, keep_s: float) -> int:
        """Give up what is older than so many seconds: how many rows. What is left of a chain can
        still be verified."""
        before = time.time() - keep_s
        pruned = 0
        for chain in self._transactions.query(partial(audit_reading.old, before=before)):
            pruned += self._transactions.write(
                partial(audit_reading.prune, chain=chain, before=before)
            )
        return pruned

    def verify(
        self,
        chain: str | None = None,
        against: Sequence[ChainHead] = (),
        keep_s: float | None = None,
    ) -> tuple[list[Complaint], int]:
        """What is wrong with all chains, or with one: the first of each; and how many rows fit.

        ``against``: heads that were kept elsewhere. ``keep_s``: rows older than so many seconds
        may be pruned; None: none may since a head was kept, or ever where none was. Raises
        InvalidRequestError where there is nothing of ``chain``, nor a kept head.
        """
        kept = {head.chain: head for head in against if chain in (None, head.chain)}
        names = set(self._transactions.query(audit_reading.chains)) | kept.keys()
        if chain is not None and chain not in names:
            raise InvalidRequestError(
                "this gallery has no audit log, nor a kept head: `face-serve audit heads` lists "
                "those that have one"
            )
        pruned_before = None if keep_s is None else time.time() - keep_s
        complaints: list[Complaint] = []
        rows = 0
        for name in sorted(names if chain is None else names & {chain}):
            walked = self._walk(name, kept.get(name))
            rows += walked.next - walked.first
            complaint = walked.complaint
            if complaint is None:
                head = kept.get(name)
                complaint = verifying.compared(walked, head, pruned_before=pruned_before)
            if complaint is not None:
                complaints.append(complaint)
        return complaints, rows

    def _walk(self, chain: str, head: ChainHead | None) -> Walked:
        walked: Walked | None = None
        while walked is None or not (walked.whole or walked.complaint):
            walked = self._transactions.read(
                partial(verifying.walk, chain=chain, walked=walked, head=head)
            )
        return walked
