"""Whether a database may be used with the keys that are there: decided when it is opened, so that
nothing is written beside what can't be read, and no new key is made next to unreadable ones."""

from __future__ import annotations

from sqlalchemy import Engine

from serve_app.encryption import Vault, WrappedKey
from serve_app.encryption.data_keys import unreadable
from serve_app.encryption.master import WHERE
from serve_app.errors import ConfigError
from serve_app.index.store.data_keys import wrapped
from serve_app.index.store.transactions import Transactions

OFF = (
    f"is encrypted, and {WHERE} names no master key: give the source of the one it was encrypted "
    "with"
)


def check_keys(transactions: Transactions, engine: Engine) -> None:
    """Raises ConfigError, with the engine's connections closed, unless every data key of the
    database can be unwrapped."""
    try:
        keys = transactions.query(wrapped)
        complaint = _complaint(keys, transactions.vault) if keys else None
    except BaseException:
        engine.dispose()
        raise
    if complaint is not None:
        engine.dispose()
        raise ConfigError(f"database {(engine.url.database or '').rpartition('/')[2]} {complaint}")


def _complaint(keys: list[WrappedKey], vault: Vault | None) -> str | None:
    if vault is None:
        return OFF
    if lost := unreadable(vault.master, keys):
        ids = ", ".join(sorted({key.wrapped_by for key in lost}))
        return (
            f"is encrypted with master key {ids}, which is not among those of {WHERE} "
            f"({', '.join(vault.master.ids)}), or its data keys were changed: give its source "
            "there as well"
        )
    return None
