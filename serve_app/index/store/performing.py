"""A group of mutations in one transaction: each alone in a savepoint, and their audit log.

Functions of a connection; committing is the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select
from sqlalchemy.exc import DataError, IntegrityError

from serve_app.errors import FaceServeError, InvalidRequestError, UnavailableError
from serve_app.index.mutations import Create, Mutation
from serve_app.index.records import DAMAGED
from serve_app.index.store import auditing
from serve_app.index.store.answers import kept
from serve_app.index.store.auditing import Entry
from serve_app.index.store.schema import gallery
from serve_app.index.store.writing import exists, find, perform, receipt
from serve_app.tenancy import tenant_of
from serve_app.types import Receipt


def perform_all(
    connection: Connection, mutations: Sequence[Mutation]
) -> list[Receipt | FaceServeError]:
    """Each of ``mutations`` alone, in their order; and the audit log of them all. A chain that is
    damaged fails the mutations of its gallery. Raises UnavailableError where there is no other."""
    keys = {mutation.key for mutation in mutations}
    if len(keys) > 1 and connection.dialect.name != "sqlite":
        # All in one order, or two replicas that have the same galleries in hand would deadlock.
        tenants = {tenant_of(key) for key in keys}
        query = select(gallery.c.id).where(gallery.c.tenant.in_(tenants), gallery.c.key.in_(keys))
        connection.execute(query.order_by(gallery.c.id).with_for_update()).all()
    if len(keys) == 1:
        return _told(connection, mutations)
    try:
        with connection.begin_nested():
            return _told(connection, mutations)
    except UnavailableError:  # of a chain: what else fails is an answer, or no error of ours
        # By name, as chains are locked; those of one gallery stay in their order.
        order = sorted(range(len(mutations)), key=lambda place: mutations[place].key)
        answers = {place: _apart(connection, mutations[place]) for place in order}
        return [answers[place] for place in range(len(mutations))]


def _told(connection: Connection, mutations: Sequence[Mutation]) -> list[Receipt | FaceServeError]:
    entries: list[Entry] = []
    answers = [_audited(connection, mutation, entries) for mutation in mutations]
    auditing.write(connection, entries)
    return answers


def _apart(connection: Connection, mutation: Mutation) -> Receipt | FaceServeError:
    """With its audit log in a savepoint: what can't be told is not done."""
    try:
        with connection.begin_nested():
            (answer,) = _told(connection, [mutation])
            return answer
    except UnavailableError as error:
        return error


def _audited(
    connection: Connection, mutation: Mutation, entries: list[Entry]
) -> Receipt | FaceServeError:
    answer = _alone(connection, mutation, entries)
    if isinstance(answer, FaceServeError):
        by, name = mutation.by, mutation.operation.id
        entries += auditing.refusal(connection, mutation.key, by, mutation.action, answer, name)
    return answer


def _alone(
    connection: Connection, mutation: Mutation, entries: list[Entry]
) -> Receipt | FaceServeError:
    """``perform`` in a savepoint: what fails leaves nothing behind and its neighbours alone."""
    try:
        with connection.begin_nested():
            answered = perform(connection, mutation)
            answer = receipt(connection, answered, mutation)
        if answered.fresh:  # one that was sent again did nothing
            entries.append(auditing.told(mutation, answered))
        return answer
    except FaceServeError as error:
        return error
    except DataError:
        return InvalidRequestError("the database can't hold this: a text may have no NUL")
    except IntegrityError:
        return _beaten(connection, mutation)


def _beaten(connection: Connection, mutation: Mutation) -> Receipt | FaceServeError:
    """Somebody was first: with the same operation, or with another gallery of this key."""
    try:
        answered = kept(connection, mutation.operation)
    except FaceServeError as error:
        return error
    if answered is not None:
        return receipt(connection, answered, mutation)
    if not isinstance(mutation, Create):
        return UnavailableError(DAMAGED)  # an id that is there already
    if find(connection, mutation.key) is not None:
        return exists(mutation.key)
    return UnavailableError("the gallery store is busy with this gallery; try again shortly")
