"""The store's face: each method is one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from serve_app.encryption import Vault
from serve_app.errors import FaceServeError, GalleryExistsError, GalleryNotFoundError
from serve_app.index.copies.parts import CopiedRows, Ending, Part
from serve_app.index.mutations import ERASING, Add, Create, Mutation, Remove, unnamed
from serve_app.index.records import (
    Changes,
    TemplateRows,
    Totals,
)
from serve_app.index.store import auditing, copying, performing, reading, restoring, writing
from serve_app.index.store.answers import kept
from serve_app.index.store.encrypted import check_keys
from serve_app.index.store.engine import AUDITED, BUSY_TIMEOUT_S, open_engine, revisions
from serve_app.index.store.keeping import Keeping
from serve_app.index.store.sqlite import erase_log
from serve_app.index.store.transactions import PATIENCE_S, Transactions
from serve_app.types import (
    OPERATOR,
    Caller,
    Embeddings,
    GalleryEntry,
    GalleryInfo,
    Metric,
    Operation,
    Receipt,
    Shard,
    TemplateEntry,
)

WHOLE = Shard()


class GalleryStore(Keeping):
    """Galleries and templates in the database at ``url`` (SQLAlchemy's form). Thread-safe.

    Every method raises UnavailableError where the database does not answer, after
    ``busy_timeout_s`` seconds if it is locked. ``create`` False: the database must be there;
    ``migrate``: bring a PostgreSQL database's schema up to date (SQLite's always is). ``audited``:
    whether changes are told in the audit log. ``vault``: seals embeddings and labels; without one,
    a database that was encrypted is refused, unless ``reads_sealed`` is False.
    """

    def __init__(
        self,
        url: str,
        *,
        busy_timeout_s: float = BUSY_TIMEOUT_S,
        create: bool = True,
        migrate: bool = False,
        patience_s: float = PATIENCE_S,
        audited: bool = True,
        vault: Vault | None = None,
        reads_sealed: bool = True,
    ) -> None:
        engine = open_engine(url, busy_timeout_s, create=create, migrate=migrate)
        self._engine = engine.execution_options(**{AUDITED: audited})
        self._transactions = Transactions(self._engine, patience_s=patience_s, vault=vault)
        if reads_sealed:
            check_keys(self._transactions, self._engine)

    @property
    def one_writer(self) -> bool:
        """Whether a writer keeps all others out, not only those of its gallery."""
        return self._engine.dialect.name == "sqlite"

    @property
    def file(self) -> Path | None:
        """Of SQLite; there may be journals beside it, whose names begin with its own."""
        database = self._engine.url.database
        return Path(database) if self.one_writer and database else None

    @property
    def revision(self) -> str:
        """Of the schema: the newest that is known here, as the store would not have opened else."""
        return revisions(self._engine)[1]

    @property
    def transactions(self) -> Transactions:
        """For ``JobStore``, another face of the same database."""
        return self._transactions

    def close(self) -> None:
        self._engine.dispose()

    # Changing

    def apply(self, mutations: Sequence[Mutation]) -> list[Receipt | FaceServeError]:
        """All of ``mutations`` in one transaction, in their order; what they did once it is
        committed. One that fails leaves nothing behind and fails alone, with GalleryExistsError,
        GalleryNotFoundError, GalleryMismatchError or OperationReusedError as its answer."""
        answers = self._transactions.write(
            lambda connection: performing.perform_all(connection, mutations)
        )
        if any(
            isinstance(mutation, ERASING) and isinstance(answer, Receipt)
            for mutation, answer in zip(mutations, answers, strict=True)
        ):
            erase_log(self._engine)
        return answers

    def do(self, mutation: Mutation) -> Receipt:
        """``apply`` one; raises its error."""
        (answer,) = self.apply([mutation])
        if isinstance(answer, FaceServeError):
            raise answer
        return answer

    def create(
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
        """A new gallery with its first templates, ids from 0. Raises GalleryExistsError."""
        named = operation or unnamed()
        return self.do(Create(key, index_type, metric, labels, embeddings, with_labels, named))

    def add(
        self,
        key: str,
        labels: Sequence[str],
        embeddings: Embeddings,
        *,
        with_labels: bool,
        operation: Operation | None = None,
    ) -> Receipt:
        """Append templates. Raises GalleryNotFoundError, GalleryMismatchError."""
        return self.do(Add(key, labels, embeddings, with_labels, operation or unnamed()))

    def remove(
        self,
        key: str,
        ids: Sequence[int],
        *,
        with_labels: bool,
        operation: Operation | None = None,
    ) -> Receipt:
        """Remove those of ``ids`` that are there; others are ignored. Raises GalleryNotFoundError.

        Their labels and embeddings are overwritten, the row stays as a tombstone.
        """
        return self.do(Remove(key, ids, with_labels, operation or unnamed()))

    def answered(self, operation: Operation, *, with_labels: bool = False) -> Receipt | None:
        """What ``operation`` did, if it was done before; with the labels that are left of what was
        there then. Raises OperationReusedError."""

        def look(connection: Connection) -> Receipt | None:
            found = kept(connection, operation)
            if found is None:
                return None
            # Nothing is removed: a mutation's receipt is what labels are read for.
            asked = Remove(found.key, [], with_labels, operation)
            return writing.receipt(connection, found, asked)

        # Labels are a second query, which has to see the same state.
        return self._transactions.read(look) if with_labels else self._transactions.query(look)

    # Asking

    def describe(
        self, keys: Sequence[str], shard: Shard = WHOLE, *, patient: bool = True
    ) -> dict[str, GalleryInfo]:
        """Facts of those galleries that exist, in one query. ``patient`` False: try once only."""
        return self._transactions.query(
            lambda connection: reading.describe(connection, keys, shard), patient=patient
        )

    def totals(self, largest: int) -> Totals:
        """Counts over all galleries, and the sizes of so many. Tries once only."""
        return self._transactions.query(
            lambda connection: reading.totals(connection, largest), patient=False
        )

    def of_generation(self, generation: str, shard: Shard = WHOLE) -> GalleryInfo | None:
        """Facts of a gallery that is served, staged by a job or kept for a rollback; its key is one
        that no user gives unless it is served. None if it is gone."""
        return self._transactions.query(
            lambda connection: reading.of_generation(connection, generation, shard)
        )

    def changes(
        self,
        known: GalleryInfo,
        shard: Shard = WHOLE,
        *,
        added_after: int | None = None,
        up_to: int | None = None,
    ) -> Changes | None:
        """What happened after ``known``, or None if that can't be told: the gallery is gone, was
        built anew, or its history back to ``known.seq`` was pruned. Read the gallery whole then.

        ``added_after``: templates added up to this seq are known already. ``up_to``: stop at this
        seq; where a template of that moment has been erased since, it goes on to the newest.
        """
        after = known.seq if added_after is None else added_after
        return self._transactions.read(
            lambda connection: reading.changes(connection, known, shard, after, up_to)
        )

    def page(
        self, info: GalleryInfo, after_id: int, limit: int, shard: Shard = WHOLE
    ) -> TemplateRows:
        """Up to ``limit`` templates of ``info.generation`` with ids above ``after_id``, by id.

        Pages are separate transactions: replay ``changes(info)`` after the last one.
        """
        return self._transactions.query(
            lambda connection: reading.page(connection, info, after_id, limit, shard)
        )

    def live_count(self, info: GalleryInfo, shard: Shard = WHOLE) -> int:
        """How many templates of the shard there are now."""
        return self._transactions.query(
            lambda connection: reading.live_count(connection, info, shard)
        )

    def galleries(self, after: str, limit: int, tenant: str | None = None) -> list[GalleryEntry]:
        """Up to ``limit`` galleries with names above ``after``, by name; of one tenant if given."""
        return self._transactions.query(
            lambda connection: reading.galleries(connection, after, limit, tenant)
        )

    def entry(self, key: str) -> GalleryEntry:
        """Raises GalleryNotFoundError."""
        found = self._transactions.read(lambda connection: reading.entry(connection, key))
        if found is None:
            raise GalleryNotFoundError(f"gallery {key} does not exist; build it first")
        return found

    def templates(
        self, info: GalleryInfo, label: str | None, after_id: int, limit: int
    ) -> list[TemplateEntry]:
        """Up to ``limit`` templates with ids above ``after_id``, by id; of ``label`` if given."""
        return self._transactions.read(
            lambda connection: reading.templates(connection, info, label, after_id, limit)
        )

    # Copying whole galleries: see ``index.copies``

    def copied_page(self, info: GalleryInfo, after_id: int, limit: int) -> CopiedRows:
        """``page`` with what a copy needs besides."""
        return self._transactions.query(
            lambda connection: copying.copied_page(connection, info, after_id, limit)
        )

    def copied_ending(self, info: GalleryInfo, after_id: int) -> Ending | None:
        """How the gallery stands after its pages up to ``after_id``; None: begin again."""
        return self._transactions.read(
            lambda connection: copying.copied_ending(connection, info, after_id)
        )

    def restore(
        self,
        key: str,
        parts: Callable[[], Iterable[Part]],
        *,
        replace: bool = False,
        action: str = "restore",
        by: Caller = OPERATOR,
    ) -> GalleryInfo:
        """A gallery of a new generation from a copy: ids and seq are kept. ``parts`` is called
        again where the transaction is. With SQLite other writers wait until it is done. ``action``:
        what the audit log calls it.

        Raises GalleryExistsError unless ``replace``, UnavailableError for half a copy.
        """

        def work(connection: Connection) -> GalleryInfo:
            return restoring.restore(
                connection, key, parts(), replace=replace, action=action, by=by
            )

        try:
            info = self._transactions.write(work)
        except GalleryExistsError as error:
            self._transactions.write(
                partial(auditing.refuse, key=key, by=by, action=action, error=error)
            )
            raise
        if replace:
            self.erase()
        return info
