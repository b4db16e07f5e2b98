"""Rows of tenants, API keys and their shared buckets. Functions of a connection.

Every change takes the next number of one counter, whose row it holds until it commits: whoever was
told everything up to a revision misses nothing that has a lower one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from serve_app.access import NO_LIMITS, ApiKey, Quota, Scope, strictest
from serve_app.access.changes import AccessNews, Spent, TenantHolding, TenantQuota
from serve_app.errors import KeyNotFoundError
from serve_app.index.store.living import check_living
from serve_app.index.store.schema import HIDDEN, api_key, counter, gallery, rate, tenant
from serve_app.types import Caller

ACCESS = "access"


def add_key(connection: Connection, key: ApiKey) -> ApiKey:
    """``key`` with its revision. Raises InvalidRequestError for a tenant that was erased."""
    revision = next_revision(connection)
    check_living(connection, key.tenant)
    connection.execute(
        insert(api_key).values(
            id=key.id,
            tenant=key.tenant,
            name=key.name,
            secret=key.secret,
            scopes=" ".join(sorted(key.scopes)),
            quota=key.quota.text(),
            created_at=key.created_at,
            expires_at=key.expires_at,
            revision=revision,
        )
    )
    return find_key(connection, key.id)


def change_key(connection: Connection, key_id: str, **values: Any) -> ApiKey:
    """``key_id`` with other ``values``. Raises KeyNotFoundError."""
    find_key(connection, key_id)
    values["revision"] = next_revision(connection)
    connection.execute(update(api_key).where(api_key.c.id == key_id).values(**values))
    return find_key(connection, key_id)


def find_key(connection: Connection, key_id: str) -> ApiKey:
    """Raises KeyNotFoundError."""
    row = connection.execute(select(api_key).where(api_key.c.id == key_id)).one_or_none()
    if row is None:
        raise KeyNotFoundError(f"API key {key_id} does not exist; list them")
    return _key(row)


def keys(connection: Connection, tenant_name: str | None = None) -> list[ApiKey]:
    """Of one tenant, or all; oldest first."""
    query = select(api_key).order_by(api_key.c.created_at, api_key.c.id)
    if tenant_name is not None:
        query = query.where(api_key.c.tenant == tenant_name)
    return [_key(row) for row in connection.execute(query)]


def set_quota(connection: Connection, name: str, quota: Quota) -> None:
    """Of a tenant, which need not have been there."""
    change_tenant(connection, name, quota=quota.text())


def change_tenant(connection: Connection, name: str, **values: Any) -> None:
    values["revision"] = next_revision(connection)
    changed = connection.execute(update(tenant).where(tenant.c.name == name).values(**values))
    if not changed.rowcount:  # nobody else can be adding it: the counter's row is held
        connection.execute(insert(tenant).values(name=name, created_at=time.time(), **values))


def tenants(connection: Connection) -> list[TenantQuota]:
    """Those that have a quota or were erased, by name."""
    return [_tenant(row) for row in connection.execute(select(tenant).order_by(tenant.c.name))]


def holdings(connection: Connection) -> list[TenantHolding]:
    """Every tenant that has galleries, keys or a quota, by name."""
    held = {
        row.tenant: (row.galleries, int(row.faces))
        for row in connection.execute(
            select(
                gallery.c.tenant,
                func.count().label("galleries"),
                func.coalesce(func.sum(gallery.c.size), 0).label("faces"),
            )
            .where(gallery.c.state.not_in(HIDDEN))
            .group_by(gallery.c.tenant)
        )
    }
    counted = select(api_key.c.tenant, func.count()).group_by(api_key.c.tenant)
    made: dict[str, int] = {name: count for name, count in connection.execute(counted)}  # noqa: C416
    known = {one.name: one for one in tenants(connection)}
    return [
        TenantHolding(
            known.get(name, TenantQuota(name, NO_LIMITS)),
            *held.get(name, (0, 0)),
            keys=made.get(name, 0),
        )
        for name in sorted({*held, *made, *known})
    ]


def limited_now(connection: Connection, caller: Caller) -> Caller:
    """``caller`` with the quotas that its key (where it is known here) and its tenant have now: a
    job may run for hours."""
    of_key = select(api_key.c.quota).where(api_key.c.id == caller.actor)
    of_tenant = select(tenant.c.quota).where(tenant.c.name == caller.tenant)
    key = _quota(connection.execute(of_key).scalar())
    shared = _quota(connection.execute(of_tenant).scalar()) or NO_LIMITS
    faces, galleries = caller.max_faces, caller.max_galleries
    if key is not None:
        faces, galleries = key.faces, key.galleries
    return replace(
        caller,
        max_faces=strictest(faces, shared.faces),
        max_galleries=strictest(galleries, shared.galleries),
    )


def _quota(text: str | None) -> Quota | None:
    return None if text is None else Quota.parse(text)


def news(connection: Connection, known: int) -> AccessNews:
    """What changed after the revision ``known``; everything if it is no revision of this database.
    To be called where all queries see one state."""
    revision = _revision(connection)
    whole = not 0 <= known <= revision
    after = -1 if whole else known
    return AccessNews(
        revision,
        [
            _key(row)
            for row in connection.execute(select(api_key).where(api_key.c.revision > after))
        ],
        [
            _tenant(row)
            for row in connection.execute(select(tenant).where(tenant.c.revision > after))
        ],
        whole=whole,
    )


def spend(connection: Connection, spent: Mapping[str, Spent]) -> dict[str, float]:
    """Take what replicas let through off the shared buckets: what is left of each, below nothing
    where several spent the same."""
    levels: dict[str, float] = {}
    for subject in sorted(spent):  # in one order, or two replicas would deadlock
        levels[subject] = _spend(connection, subject, spent[subject])
    return levels


def prune(connection: Connection, idle_s: float) -> None:
    """Forget buckets that nobody took from for so long."""
    connection.execute(delete(rate).where(rate.c.at < time.time() - idle_s))


def next_revision(connection: Connection) -> int:
    """Holds the counter until the transaction ends."""
    following = update(counter).where(counter.c.name == ACCESS).values(value=counter.c.value + 1)
    if not connection.execute(following).rowcount:
        try:
            with connection.begin_nested():
                connection.execute(insert(counter).values(name=ACCESS, value=0))
        except IntegrityError:  # somebody was first
            pass
        connection.execute(following)
    return _revision(connection)


def _revision(connection: Connection) -> int:
    found = connection.execute(select(counter.c.value).where(counter.c.name == ACCESS)).scalar()
    return int(found or 0)


def _spend(connection: Connection, subject: str, spent: Spent) -> float:
    now = time.time()
    query = select(rate).where(rate.c.subject == subject).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        try:
            with connection.begin_nested():
                new = insert(rate).values(subject=subject, level=spent.burst, at=now)
                connection.execute(new)
        except IntegrityError:  # another replica was first
            pass
        row = connection.execute(query).one()
    refilled = row.level + spent.rate * max(0.0, now - row.at)
    level = min(spent.burst, refilled) - spent.count
    connection.execute(
        update(rate).where(rate.c.subject == subject).values(level=level, at=max(now, row.at))
    )
    return float(level)


def _key(row: Any) -> ApiKey:
    return ApiKey(
        id=row.id,
        tenant=row.tenant,
        name=row.name,
        secret=row.secret,
        scopes=frozenset(map(Scope, row.scopes.split())),
        quota=Quota.parse(row.quota),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        revision=row.revision,
    )


def _tenant(row: Any) -> TenantQuota:
    return TenantQuota(row.name, Quota.parse(row.quota), row.erased_at is not None)
