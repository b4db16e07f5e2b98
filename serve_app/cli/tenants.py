"""``face-serve tenants``: who shares the service, and how much of it each may use."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import Annotated, Any

import typer

from serve_app.cli.database import (
    DEFAULT_CONFIG,
    ConfigOption,
    DataDirOption,
    open_store,
    read_service_args,
)
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

app = typer.Typer(help="Tenants: list, set quotas, erase.", no_args_is_help=True,
                  rich_markup_mode=None)  # fmt: skip

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The tenant's name.")]


@app.command("list")
def list_tenants(
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every tenant that has galleries, keys or a quota, a line each."""
    from serve_app.index.store.access_store import AccessStore

    with contextlib.closing(open_store(config, data_dir, os.environ, reads_sealed=False)) as store:
        holdings = AccessStore(store).holdings()
    found: list[dict[str, Any]] = [
        {
            "tenant": one.tenant.name,
            "galleries": one.galleries,
            "faces": one.faces,
            "keys": one.keys,
            "erased": one.tenant.erased,
            "quota": quota_text(one.tenant.quota),
        }
        for one in holdings
    ]
    if as_json:
        print_json(found)
        return
    rows = [("tenant", "galleries", "faces", "keys", "state", "quota")]
    for one in found:
        state = "erased" if one["erased"] else "-"
        rows.append(
            (one["tenant"] or "-", str(one["galleries"]), str(one["faces"]), str(one["keys"]),
             state, one["quota"])
        )  # fmt: skip
    print(table(rows))


@app.command()
def quota(
    name: NameArgument,
    requests_per_s: RequestsOption = None,
    burst: BurstOption = None,
    body_bytes: BodyBytesOption = None,
    faces: FacesOption = None,
    galleries: GalleriesOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Set what all keys of a tenant may use together: what is left out has no limit."""
    from serve_app.index.store.access_store import AccessStore
    from serve_app.policy import check_tenant

    check_tenant(name)
    wanted = quota_of(requests_per_s, burst, body_bytes, faces, galleries)
    with contextlib.closing(open_store(config, data_dir, os.environ, reads_sealed=False)) as store:
        AccessStore(store).set_tenant_quota(name, wanted)
    print(f"tenant {name}: {quota_text(wanted)}")


@app.command()
def erase(
    name: NameArgument,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it: nothing brings it back, no backup either.")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Erase a tenant for good: first its data keys, so that every copy of what they sealed is
    unreadable, then its API keys, galleries, jobs with their reports, and snapshots. Its name
    is never used again."""
    from serve_app.config.service import snapshots_url
    from serve_app.errors import InvalidRequestError
    from serve_app.index.snapshots import SnapshotStorage
    from serve_app.index.store.encryption_store import EncryptionStore
    from serve_app.policy import check_tenant

    check_tenant(name)
    if not yes:
        raise InvalidRequestError(f"tenant {name} would be erased for good: say --yes")
    service = read_service_args(config, data_dir, os.environ)
    storage = SnapshotStorage(snapshots_url(service))
    with contextlib.closing(open_store(config, data_dir, os.environ)) as store:
        keys = EncryptionStore(store)
        count = keys.erase_keys(name)
        galleries, snapshots = keys.drop_all(name)
        postgresql = not store.one_writer
    for snapshot in snapshots:
        storage.remove(snapshot)
    if name:  # what its jobs reported: labels and paths, plain
        shutil.rmtree(service.data_dir / "jobs" / name, ignore_errors=True)
    print(f"tenant {name}: {count} data keys, {galleries} galleries, {len(snapshots)} snapshots "
          "erased")  # fmt: skip
    if count and postgresql:
        print("PostgreSQL keeps deleted keys until `VACUUM FULL data_key`, and its log longer: "
              "docs/encryption.md.")  # fmt: skip
    if not count:
        print("It had no data key: copies of what it had can be read (docs/erasure.md).")
