"""Whether a database may be used with the keys that are there: decided when it is opened, so that
nothing is written beside what can't be read, and no new key is made next to unreadable ones."""

from __future__ import annotations

from sqlalchemy import URL

from serve_app.encryption import Vault
from serve_app.encryption.data_keys import unreadable
from serve_app.encryption.master import WHERE
from serve_app.errors import ConfigError
from serve_app.index.store.data_keys import wrapped
from serve_app.index.store.transactions import Transactions

OFF = (
    f"is encrypted, and {WHERE} names no master key: give the source of the one it was encrypted "
    "with"
)


def check_keys(transactions: Transactions, url: URL, vault: Vault | None) -> None:
    """Raises ConfigError unless every data key of the database can be unwrapped."""
    keys = transactions.query(wrapped)
    if not keys:
        return
    name = f"database {(url.database or '').rpartition('/')[2]}"
    if vault is None:
        raise ConfigError(f"{name} {OFF}")
    if lost := unreadable(vault.master, keys):
        ids = ", ".join(sorted({key.wrapped_by for key in lost}))
        raise ConfigError(
            f"{name} is encrypted with master key {ids}, which is not among those of {WHERE} "
            f"({', '.join(vault.master.ids)}): give its source there as well"
        )
