"""Sealing rows anew, by the tenant's newest data key: a page a transaction, beside whoever reads
and writes. What a row says, its seq and its gallery's stay. Functions of a connection.

Rows are locked while they are rewritten, so none is removed meanwhile and comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    Table,
    and_,
    bindparam,
    func,
    or_,
    select,
    update,
)

from serve_app.encryption import TenantKeys
from serve_app.encryption.pairs import Kind
from serve_app.index.store import input_rows
from serve_app.index.store.data_keys import sealing
from serve_app.index.store.schema import gallery, job, job_row, template, template_source
from serve_app.index.store.sealed_rows import (
    TEMPLATE,
    opened,
    sealed_texts,
    template_contents,
    texts_opener,
)
from serve_app.tenancy import tenant_of

PAGE = 2000


def generations(connection: Connection, tenant: str) -> list[tuple[str, str]]:
    """Keys and generations of every gallery of a tenant: served, staged, kept for a rollback."""
    query = select(gallery.c.key, gallery.c.generation).where(gallery.c.tenant == tenant)
    return [(row.key, row.generation) for row in connection.execute(query.order_by(gallery.c.id))]


def jobs(connection: Connection, tenant: str) -> list[str]:
    """Ids of every job of a tenant."""
    query = select(job.c.id).where(job.c.tenant == tenant).order_by(job.c.id)
    return list(connection.execute(query).scalars())


def templates(connection: Connection, key: str, generation: str, after: int) -> int | None:
    """Seal the next page of templates with ids above ``after``: the last one's, None at the end."""
    keys, tenant_rows = _begun(
        connection,
        key,
        select(*TEMPLATE).where(
            template.c.generation == generation,
            template.c.id > after,
            template.c.removed_seq.is_(None),
        ),
        template,
        template.c.id,
    )
    if not tenant_rows:
        return None
    rows = opened(connection, key, generation, tenant_rows)
    ids = [row[0] for row in rows]
    contents = template_contents(
        keys, generation, ids, [row[1] for row in rows], [row[2] for row in rows]
    )
    _rewrite(
        connection,
        template,
        and_(template.c.generation == generation, template.c.id == bindparam("at")),
        ids,
        contents,
    )
    return int(ids[-1])


def sources(connection: Connection, key: str, generation: str, after: int) -> int | None:
    """As ``templates``, where their images were."""
    table = template_source
    keys, rows = _begun(
        connection,
        key,
        select(table).where(table.c.generation == generation, table.c.id > after),
        table,
        table.c.id,
    )
    if not rows:
        return None
    text = texts_opener(connection, key, Kind.SOURCE, generation)
    ids = [row.id for row in rows]
    plain = [text(row.id, row.source, "", row.key_version)[0] for row in rows]
    sealed = sealed_texts(keys, Kind.SOURCE, generation, ids, plain, [""] * len(ids))
    contents = [{"source": source, "key_version": version} for source, _, version in sealed]
    where = and_(table.c.generation == generation, table.c.id == bindparam("at"))
    _rewrite(connection, table, where, ids, contents)
    return int(ids[-1])


def job_rows(connection: Connection, job_id: str, after: int) -> int | None:
    """As ``templates``, of a job's input."""
    keys, rows = _begun(
        connection,
        job_id,
        select(job_row).where(job_row.c.job == job_id, job_row.c.position > after),
        job_row,
        job_row.c.position,
    )
    if not rows:
        return None
    settled = list(map(input_rows.reader(connection, job_id), rows))
    positions = [row.position for row in settled]
    contents = input_rows.row_contents(keys, job_id, settled)
    where = and_(job_row.c.job == job_id, job_row.c.position == bindparam("at"))
    _rewrite(connection, job_row, where, positions, contents)
    return positions[-1]


def counts(connection: Connection, tenant: str) -> dict[int | None, int]:
    """How many rows of a tenant are sealed by which version of its key; None: by none."""
    found: dict[int | None, int] = {}
    for query in (
        select(template.c.key_version, func.count())
        .join_from(template, gallery, gallery.c.generation == template.c.generation)
        .where(gallery.c.tenant == tenant, template.c.removed_seq.is_(None))
        .group_by(template.c.key_version),
        select(template_source.c.key_version, func.count())
        .join_from(template_source, gallery, gallery.c.generation == template_source.c.generation)
        .where(gallery.c.tenant == tenant)
        .group_by(template_source.c.key_version),
        select(job_row.c.key_version, func.count())
        .join_from(job_row, job, job.c.id == job_row.c.job)
        .where(job.c.tenant == tenant)
        .group_by(job_row.c.key_version),
    ):
        for version, count in connection.execute(query):
            found[version] = found.get(version, 0) + count
    return found


def _begun(
    connection: Connection, key: str, query: Select[Any], table: Table, number: Any
) -> tuple[TenantKeys | None, Sequence[Any]]:
    """The keys, held, and the next rows that are not by the newest of them, locked."""
    keys = sealing(connection, tenant_of(key))
    assert keys is not None
    version = table.c.key_version
    old = or_(version.is_(None), version != keys.newest.version)
    rows = connection.execute(query.where(old).order_by(number).limit(PAGE).with_for_update())
    return keys, rows.all()


def _rewrite(
    connection: Connection,
    table: Table,
    where: Any,
    numbers: Sequence[int],
    contents: Sequence[dict[str, Any]],
) -> None:
    columns: dict[str, Any] = {name: bindparam(f"new_{name}") for name in contents[0]}
    connection.execute(
        update(table).where(where).values(**columns),
        [
            {"at": number, **{f"new_{name}": value for name, value in content.items()}}
            for number, content in zip(numbers, contents, strict=True)
        ],
    )
