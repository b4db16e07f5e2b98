"""The store's face for what is held about a label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from sqlalchemy import Connection

from serve_app.errors import FaceServeError, UnavailableError
from serve_app.held import Erased, Erasure, HeldPage, HeldPlace
from serve_app.index.mutations import unnamed
from serve_app.index.store import auditing, holding, job_rows, label_erasing
from serve_app.index.store.auditing import Entry
from serve_app.index.store.store import GalleryStore
from serve_app.types import OPERATOR, Caller

EXPORTED, ROWS_EXPORTED = "export_label", "export_label_rows"

Work = Callable[[Connection], list[Erased]]


class PeopleStore:
    """What the database of ``store`` holds about labels. Thread-safe."""

    def __init__(self, store: GalleryStore) -> None:
        self._store = store
        self._transactions = store.transactions

    def held(
        self,
        tenant: str,
        label: str,
        after: HeldPlace | None = None,
        limit: int = 1000,
        *,
        embeddings: bool = False,
        by: Caller = OPERATOR,
    ) -> HeldPage:
        """A page of everything that a tenant has of ``label``. It is told only once the audit log
        says so. Raises UnavailableError."""
        page = self._transactions.read(
            lambda connection: holding.page(
                connection, tenant, label, after or HeldPlace(), limit, embeddings
            )
        )
        if entries := _entries(page, by):
            self._transactions.write(partial(auditing.write, entries=entries))
        return page

    def erase(self, tenant: str, label: str, by: Caller = OPERATOR) -> Erasure:
        """Erase ``label`` everywhere in a tenant, a transaction a gallery and a job: one that fails
        keeps none from the others. Done again, it does what is left. Raises UnavailableError where
        it can't even be seen what there is."""
        keys, jobs, running = self._transactions.read(
            lambda connection: _places(connection, tenant, label)
        )
        name = unnamed().id  # of the request: its audit rows can be found by it
        # Jobs first, then their galleries too: one may publish what it has staged meanwhile.
        in_jobs = [
            (key, _work(label_erasing.erase_in_job, job_id, label, by, name))
            for job_id, key in jobs.items()
        ]
        in_galleries = [
            (key, _work(label_erasing.erase_in_gallery, key, label, by, name))
            for key in dict.fromkeys([*keys, *jobs.values()])
        ]
        failed: dict[str, str] = {}
        staged = self._each(in_jobs, failed)
        erased = [*self._each(in_galleries, failed), *staged]
        if erased:
            self._store.erase()
        return Erasure(erased, failed, running)

    def _each(self, works: Sequence[tuple[str, Work]], failed: dict[str, str]) -> list[Erased]:
        """What was erased, each in a transaction of its own; what fails is noted in ``failed``."""
        erased: list[Erased] = []
        for key, work in works:
            try:
                erased += self._transactions.write(work)
            except FaceServeError as error:
                failed[key] = error.code
        return erased


def _work(
    function: Callable[[Connection, str, str, Caller, str], list[Erased]],
    name: str,
    label: str,
    by: Caller,
    operation: str,
) -> Work:
    return lambda connection: function(connection, name, label, by, operation)


def _places(
    connection: Connection, tenant: str, label: str
) -> tuple[list[str], dict[str, str], list[str]]:
    """Keys of galleries that hold the label, jobs that do and their keys, and the jobs that are not
    over. (A label that comes meanwhile was enrolled after the request.)"""
    keys: list[str] = []
    holding_jobs: dict[str, str] = {}
    for row in holding.galleries(connection, tenant):
        try:
            if not holding.has(connection, row, label):
                continue
        except UnavailableError:
            pass  # a damaged one: its own transaction says so, and keeps none from the others
        key = holding.key_of(row)
        if row.job_id is not None:
            holding_jobs[row.job_id] = key
        elif key not in keys:
            keys.append(key)
    running: list[str] = []
    for row in holding.jobs(connection, tenant):
        if row.state not in job_rows.FINAL:
            running.append(row.id)
        if next(holding.rows_of(connection, row.id, label), None) is not None:
            holding_jobs[row.id] = row.key
    return keys, holding_jobs, running


def _entries(page: HeldPage, by: Caller) -> list[Entry]:
    """A row for each gallery that was told of, and for each job."""
    name = unnamed().id
    ids: dict[tuple[str, str, int], list[int]] = {}
    for one in page.templates:
        ids.setdefault((one.key, one.generation, one.seq), []).append(one.id)
    rows: dict[tuple[str, str], int] = {}
    for row in page.rows:
        rows[row.key, row.generation] = rows.get((row.key, row.generation), 0) + 1
    entries = [
        Entry(key, by, EXPORTED, generation, seq, numbers, operation=name)
        for (key, generation, seq), numbers in ids.items()
    ]
    entries += [
        Entry(key, by, ROWS_EXPORTED, generation, 0, (), count, name)
        for (key, generation), count in rows.items()
    ]
    return entries
