"""``face-serve keys``: API keys, made and taken back beside a running service, which notices within
five seconds."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serve_app.access import NO_LIMITS, ApiKey, Quota, Scope
from serve_app.cli.database import DEFAULT_CONFIG, ConfigOption, DataDirOption, open_store
from serve_app.cli.durations import seconds_of
from serve_app.cli.options import JsonOption
from serve_app.cli.output import print_json, table
from serve_app.cli.quota_options import (
    BodyBytesOption,
    BurstOption,
    FacesOption,
    GalleriesOption,
    RequestsOption,
    quota_of,
    quota_text,
)

if TYPE_CHECKING:
    from pathlib import Path

    from serve_app.index.store import GalleryStore
    from serve_app.index.store.access_store import AccessStore

app = typer.Typer(help="API keys: create, list, rotate, revoke.", no_args_is_help=True,
                  rich_markup_mode=None)  # fmt: skip

ANYTIME = "never"
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as it is listed.")]
TenantOption = Annotated[
    str, typer.Option(metavar="NAME", help="Whose galleries; left out, those of no tenant.")
]
ScopeOption = Annotated[
    list[Scope],
    typer.Option(
        help="read: recognise and look; enrol: build, add, remove, jobs; admin: drop galleries, "
        "people's data, the audit log. Give it once for each."
    ),
]
ExpiresOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="After so long it opens nothing: 12h, 90d.")
]


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What it is for, as it is listed.")],
    scope: ScopeOption,
    tenant: TenantOption = "",
    expires: ExpiresOption = None,
    requests_per_s: RequestsOption = None,
    burst: BurstOption = None,
    body_bytes: BodyBytesOption = None,
    faces: FacesOption = None,
    galleries: GalleriesOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Make a key and print it. It is shown this once: only a hash of it is kept."""
    from serve_app.policy import check_tenant

    if tenant:
        check_tenant(tenant)
    quota = quota_of(requests_per_s, burst, body_bytes, faces, galleries)
    token, key = _new(name, tenant, frozenset(scope), quota)
    expires_at = None if expires is None else time.time() + seconds_of("--expires", expires)
    with _opened(config, data_dir, create=True) as access:
        access.add(_until(key, expires_at))
    _show_once(token, f"key {key.id}: it is shown this once, and opens within 5 s")


@app.command("list")
def list_keys(
    tenant: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this one's keys.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every key, a line each: never the key itself."""
    with _opened(config, data_dir) as access:
        found = access.listed(tenant)
    if as_json:
        print_json([_facts(key) for key in found])
        return
    rows = [("id", "name", "tenant", "scopes", "state", "created", "expires", "quota")]
    for key in found:
        rows.append(
            (key.id, key.name, key.tenant or "-", ",".join(sorted(key.scopes)), _state(key),
             _time(key.created_at), _time(key.expires_at), quota_text(key.quota))
        )  # fmt: skip
    print(table(rows))


@app.command()
def revoke(
    key_id: IdArgument, config: ConfigOption = DEFAULT_CONFIG, data_dir: DataDirOption = None
) -> None:
    """Take a key back: within 5 s it opens nothing on any replica."""
    with _opened(config, data_dir) as access:
        key = access.revoke(key_id)
    print(f"key {key.id} ({key.name}) is revoked")


@app.command()
def rotate(
    key_id: IdArgument,
    grace: Annotated[
        str, typer.Option(metavar="TIME", help="For so long the old one still opens: 10m, 24h.")
    ] = "0s",
    expires: ExpiresOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Make a key that may what the old one may, and print it; the old one opens nothing after
    --grace. It expires when the old one would have, unless --expires says otherwise."""
    token, key = _new("", "", frozenset(), NO_LIMITS)
    expires_at = None if expires is None else time.time() + seconds_of("--expires", expires)
    with _opened(config, data_dir) as access:
        made = access.rotate(key_id, _until(key, expires_at), seconds_of("--grace", grace))
    _show_once(
        token,
        f"key {made.id} ({made.name}) in place of {key_id}, expires {_time(made.expires_at)}: it "
        "is shown this once",
    )


@app.command()
def quota(
    key_id: IdArgument,
    requests_per_s: RequestsOption = None,
    burst: BurstOption = None,
    body_bytes: BodyBytesOption = None,
    faces: FacesOption = None,
    galleries: GalleriesOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Set a key's quota: what is left out has no limit."""
    wanted = quota_of(requests_per_s, burst, body_bytes, faces, galleries)
    with _opened(config, data_dir) as access:
        key = access.set_key_quota(key_id, wanted)
    print(f"key {key.id} ({key.name}): {quota_text(key.quota)}")


def _new(name: str, tenant: str, scopes: frozenset[Scope], wanted: Quota) -> tuple[str, ApiKey]:
    """A token and what is kept of it."""
    from serve_app.access.keys import new_token, parse_token
    from serve_app.access.secrets import hash_secret

    token = new_token()
    parsed = parse_token(token)
    assert parsed is not None
    key_id, secret = parsed
    return token, ApiKey(
        key_id, tenant, name, hash_secret(secret), scopes, wanted, created_at=time.time()
    )


def _until(key: ApiKey, expires_at: float | None) -> ApiKey:
    from dataclasses import replace

    return replace(key, expires_at=expires_at)


def _show_once(token: str, said: str) -> None:
    """The token alone on standard output, so that a script can take it."""
    print(token)
    typer.echo(said, err=True)


def _store(config: Path, data_dir: Path | None, *, create: bool) -> GalleryStore:
    return open_store(config, data_dir, os.environ, create=create, reads_sealed=False)


@contextlib.contextmanager
def _opened(config: Path, data_dir: Path | None, *, create: bool = False) -> Iterator[AccessStore]:
    from serve_app.index.store.access_store import AccessStore

    with contextlib.closing(_store(config, data_dir, create=create)) as store:
        yield AccessStore(store)


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "live" if key.is_live(time.time()) else "expired"


def _facts(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "tenant": key.tenant,
        "scopes": sorted(key.scopes),
        "state": _state(key),
        "created": _time(key.created_at),
        "expires": None if key.expires_at is None else _time(key.expires_at),
        "revoked": None if key.revoked_at is None else _time(key.revoked_at),
        "quota": key.quota.text(),
    }


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ANYTIME
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
