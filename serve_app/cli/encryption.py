"""``face-serve encryption``: which keys seal what, and new ones, beside a running service."""

from __future__ import annotations

import contextlib
import os
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

app = typer.Typer(
    help="Encryption at rest: status, rotate, rewrap.", no_args_is_help=True, rich_markup_mode=None
)

TenantOption = Annotated[
    str | None, typer.Option("--tenant", metavar="NAME", help="Of one tenant only.")
]


@app.command()
def status(
    tenant: TenantOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rows and snapshots of each tenant by the key that seals them, and the master key that wraps
    it. Version "-": not encrypted."""
    from serve_app.index.store.encryption_store import EncryptionStore

    with contextlib.closing(open_store(config, data_dir, os.environ)) as store:
        keys = EncryptionStore(store)
        names = keys.tenants() if tenant is None else [tenant]
        states = [keys.state(name) for name in names]
        first = store.vault.master.first.id if store.vault else None
    lines: list[dict[str, Any]] = []
    for state in states:
        for version in sorted({*state.wrapped_by, *state.rows, *state.snapshots}, key=_order):
            by = None if version is None else state.wrapped_by.get(version)
            lines.append(
                {
                    "tenant": state.tenant,
                    "version": version,
                    "rows": state.rows.get(version, 0),
                    "snapshots": state.snapshots.get(version, 0),
                    "wrapped_by": by,
                }
            )
    if as_json:
        print_json({"master_key": first, "keys": lines})
        return
    print(f"master key that wraps: {first or 'none, nothing is encrypted'}")
    rows = [("tenant", "version", "rows", "snapshots", "wrapped by")]
    rows += [
        (
            line["tenant"] or "-",
            "-" if line["version"] is None else str(line["version"]),
            str(line["rows"]),
            str(line["snapshots"]),
            line["wrapped_by"] or "-",
        )
        for line in lines
    ]
    print(table(rows))


@app.command()
def rotate(
    tenant: TenantOption = None,
    only_plain: Annotated[
        bool,
        typer.Option("--no-new-key", help="Only seal what the newest key does not seal yet."),
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    data_dir: DataDirOption = None,
) -> None:
    """Give tenants a new data key, seal their rows and snapshots by it, and delete the old one.

    The service goes on meanwhile. What was broken off is begun again by the same command.
    """
    from serve_app.config.service import snapshots_url
    from serve_app.index.snapshots import SnapshotStorage
    from serve_app.index.store.encryption_store import EncryptionStore
    from serve_app.index.upkeep.rotating import rotate as run

    storage = SnapshotStorage(snapshots_url(read_service_args(config, data_dir, os.environ)))
    with contextlib.closing(open_store(config, data_dir, os.environ)) as store:
        keys = EncryptionStore(store)
        for name in keys.living() if tenant is None else [tenant]:
            done = run(store, storage, name, new_version=not only_plain)
            print(
                f"{name or '-'}: sealed by version {done.version}; {done.snapshots} snapshots "
                f"sealed anew, {done.left} to be built anew; {len(done.retired)} old keys deleted"
            )


@app.command()
def rewrap(config: ConfigOption = DEFAULT_CONFIG, data_dir: DataDirOption = None) -> None:
    """Wrap every data key by the first of args.encryption.keys: the other master keys are needed no
    more, once every replica runs with the first."""
    from serve_app.index.store.encryption_store import EncryptionStore

    with contextlib.closing(open_store(config, data_dir, os.environ)) as store:
        count = EncryptionStore(store).rewrap()
        assert store.vault is not None
        print(f"{count} data keys wrapped anew, by master key {store.vault.master.first.id}")


def _order(version: int | None) -> int:
    return -1 if version is None else version
