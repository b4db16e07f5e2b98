"""The store's face for upkeep: snapshots, leases, pruning. Each method is one transaction."""

from __future__ import annotations

from sqlalchemy import Connection, Engine

from serve_app.encryption import Vault
from serve_app.encryption.files import FileSeal
from serve_app.index.records import SnapshotRow, Standing
from serve_app.index.store import data_keys, upkeep
from serve_app.index.store.sqlite import erase_log
from serve_app.index.store.transactions import Transactions
from serve_app.tenancy import tenant_of
from serve_app.types import Shard


class Keeping:
    """The part of ``GalleryStore`` that upkeep and replicas need besides galleries.

    Every method raises UnavailableError.
    """

    _engine: Engine
    _transactions: Transactions

    @property
    def vault(self) -> Vault | None:
        """What seals embeddings and labels; None where they are not encrypted."""
        return self._transactions.vault

    def standings(self, shard: Shard, least_size: int) -> list[Standing]:
        """Every gallery whose index may need work."""
        return self._transactions.read(
            lambda connection: upkeep.standings(connection, shard, least_size)
        )

    def snapshots(self, generation: str | None, shard: Shard) -> list[SnapshotRow]:
        """Snapshots of a shard, newest first; of every gallery if ``generation`` is None."""
        return self._transactions.query(
            lambda connection: upkeep.snapshots(connection, generation, shard)
        )

    def every_snapshot(self) -> list[SnapshotRow]:
        """Snapshots of all shards."""
        return self._transactions.query(upkeep.every_snapshot)

    def sealing_version(self, key: str) -> int | None:
        """Of the data key that seals what is written now for the gallery ``key``; None where
        nothing is sealed."""

        if self.vault is None:
            return None

        def newest(connection: Connection) -> int | None:
            keys = data_keys.sealing(connection, tenant_of(key))
            return None if keys is None else keys.newest.version

        return self._transactions.write(newest)

    def snapshot_seal(self, key: str, snapshot: SnapshotRow) -> FileSeal | None:
        """What seals and opens a snapshot of the gallery ``key``; None for a plain one."""
        version = snapshot.key_version
        if version is None:
            return None
        data_key = self._transactions.query(
            lambda connection: data_keys.opening(connection, tenant_of(key), version)
        )
        return FileSeal(data_key, snapshot.context)

    def register(self, snapshot: SnapshotRow) -> bool:
        """Tell the replicas of a snapshot. False if its gallery is gone."""
        return self._transactions.write(lambda connection: upkeep.register(connection, snapshot))

    def forget(self, name: str) -> None:
        """Tell nobody of this snapshot any more."""
        self._transactions.write(lambda connection: upkeep.forget(connection, name))

    def take_lease(self, name: str, holder: str, seconds: float) -> bool:
        """Take or prolong a piece of upkeep. False if another has it."""
        return self._transactions.write(
            lambda connection: upkeep.take(connection, name, holder, seconds)
        )

    def leases(self, prefix: str) -> list[str]:
        """Names of the leases that begin with ``prefix`` and have not run out, ascending."""
        return self._transactions.query(lambda connection: upkeep.leases(connection, prefix))

    def give_back_lease(self, name: str, holder: str) -> None:
        self._transactions.write(lambda connection: upkeep.give_back(connection, name, holder))

    def erase(self) -> None:
        """See that what was just removed is in none of SQLite's files."""
        erase_log(self._engine)

    def prune(self, answers_s: float, tombstones: int) -> None:
        """See ``upkeep.prune``."""
        self._transactions.write(lambda connection: upkeep.prune(connection, answers_s, tombstones))
        erase_log(self._engine)
