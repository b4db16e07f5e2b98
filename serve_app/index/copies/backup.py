"""Backup and restore: every gallery copied between two stores, one at a time and whole.

A backup is a SQLite file of the store's own schema, whatever database it was taken from.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from serve_app.encryption import Vault, WrappedKey
from serve_app.encryption.data_keys import unreadable
from serve_app.encryption.master import WHERE
from serve_app.errors import ConfigError, GalleryExistsError, GalleryNotFoundError, UnavailableError
from serve_app.index.copies.parts import PAGE, CopiedRows, Ending, Part, parts
from serve_app.index.copies.placing import new_file
from serve_app.index.store import GalleryStore, sqlite_url
from serve_app.index.store.backup_file import BackupFile, seal
from serve_app.index.store.encryption_store import EncryptionStore
from serve_app.tenancy import tenant_of
from serve_app.types import GalleryInfo

KEYS_A_PAGE = 1000
NAMED_KEYS = 5
"""How many galleries an error names."""

Progress = Callable[[GalleryInfo], None]


def nothing(_: GalleryInfo) -> None:
    """Nobody wants to know the progress."""


def backup(
    store: GalleryStore,
    file: Path,
    *,
    force: bool = False,
    progress: Progress = nothing,
    sealed_by: list[WrappedKey] | None = None,
) -> list[GalleryInfo]:
    """Copy every gallery into a new ``file`` (mode 0600), each as it is at one moment, while they
    may be written to. The finished file is read back and checked before it gets its name.

    Of an encrypted store it is sealed by the same data keys, which are not in it: ``backup_keys``,
    given as ``sealed_by`` by whoever keeps them apart; else ``store`` must still have them when the
    backup is finished. Returns the facts of the galleries in it. One that is dropped meanwhile is
    left out, and those of tenants that had no data key yet.
    Raises InvalidRequestError if ``file`` exists, unless ``force``, and UnavailableError.
    """
    with new_file(file, force=force) as made:
        copied: list[GalleryInfo] = []
        wanted = list(keys(store))
        found = backup_keys(store) if sealed_by is None else sealed_by
        vault, tenants = _fixed(store, found), {key.tenant for key in found}
        if vault is not None:
            wanted = [key for key in wanted if tenant_of(key) in tenants]
        with contextlib.closing(GalleryStore(sqlite_url(made), vault=vault)) as target:
            for key in wanted:
                with contextlib.suppress(GalleryNotFoundError):
                    info = target.restore(key, lambda key=key: parts(store, key))  # type: ignore[misc]
                    copied.append(info)
                    progress(info)
        seal(made)
        with contextlib.closing(_opened_again(made, file, vault)) as written:
            verify(written, copied, file.name)
            if sealed_by is None:
                _check_still_there(store, written)
    return copied


def backup_keys(store: GalleryStore) -> list[WrappedKey]:
    """The wrapped data keys that a backup of ``store`` is sealed by; none of a plain one. Tenants
    that have none yet get theirs."""
    if store.vault is None:
        return []
    for tenant in {tenant_of(key): key for key in keys(store)}.values():
        store.sealing_version(tenant)
    return EncryptionStore(store).wrapped_keys()


def restore(
    file: Path,
    store: GalleryStore,
    *,
    replace: bool = False,
    progress: Progress = nothing,
    sealed_by: list[WrappedKey] | None = None,
    skip_unreadable: bool = False,
) -> list[GalleryInfo]:
    """Copy every gallery of a backup into ``store``, each in one transaction and as a new
    generation. Returns their facts. ``sealed_by``: the data keys of a sealed one; left out, those
    that ``store`` has. ``skip_unreadable``: leave out tenants whose keys are gone.

    Raises GalleryExistsError, before anything is written, if there is any of them and not
    ``replace``; ConfigError that names the file if it is damaged, foreign or of another version.
    """
    found = EncryptionStore(store).wrapped_keys() if sealed_by is None else sealed_by
    with contextlib.closing(BackupFile(file, _fixed(store, found))) as source:
        try:
            sealed = _unreadable(file, source, store, found)
            there = list(keys(source))
        except UnavailableError:
            raise ConfigError(f"{file.name} is damaged: take another backup") from None
        if sealed and not skip_unreadable:
            names = ", ".join(sorted(name or "(default)" for name in sealed)[:NAMED_KEYS])
            raise ConfigError(
                f"{file.name} is sealed by data keys of {names} that are not here: give the file "
                "that --keys wrote with it, and its master key; what an erased tenant had can't "
                "be read any more, and is left out with --skip-unreadable"
            )
        wanted = [key for key in there if tenant_of(key) not in sealed]
        if not replace:
            _refuse_existing(store, wanted)
        restored: list[GalleryInfo] = []
        for key in wanted:
            info = store.restore(
                key,
                lambda key=key: _named(file, parts(source, key)),  # type: ignore[misc]
                replace=replace,
            )
            restored.append(info)
            progress(info)
    return restored


def verify(store: GalleryStore, galleries: list[GalleryInfo], name: str) -> None:
    """Read every template of ``galleries`` and count them: reading checks each one's CRC.

    Raises UnavailableError that names the file ``name``.
    """
    for info in galleries:
        count, last = 0, -1
        while (rows := store.page(info, last, PAGE)).ids:
            count, last = count + len(rows.ids), rows.ids[-1]
        if count != info.size:
            raise UnavailableError(
                f"{name} can't be trusted: gallery {info.key} has {count} templates in it, "
                f"{info.size} were written"
            )


def keys(store: GalleryStore) -> Iterator[str]:
    """Of every gallery, ascending; those that are made meanwhile may be missing."""
    after = ""
    while page := store.galleries(after, KEYS_A_PAGE):
        yield from (entry.info.key for entry in page)
        after = page[-1].info.key


def _opened_again(made: Path, file: Path, vault: Vault | None) -> BackupFile:
    try:
        return BackupFile(made, vault)
    except ConfigError:
        raise UnavailableError(f"{file.name} can't be trusted: it reads back damaged") from None


def _check_still_there(store: GalleryStore, written: BackupFile) -> None:
    there = {(key.tenant, key.version) for key in EncryptionStore(store).wrapped_keys()}
    if written.sealed_by() - there:
        raise UnavailableError(
            "the data keys that sealed the backup are gone, a rotation ran meanwhile: back up again"
        )


def _fixed(store: GalleryStore, keys: list[WrappedKey]) -> Vault | None:
    return None if store.vault is None else Vault(store.vault.master, fixed=keys)


def _unreadable(
    file: Path, source: BackupFile, store: GalleryStore, keys: list[WrappedKey]
) -> set[str]:
    """Tenants whose galleries can't be read. Raises ConfigError where no master key is given."""
    needed = source.sealed_by()
    if not needed:
        return set()
    if store.vault is None:
        raise ConfigError(f"{file.name} is sealed: give the master key in {WHERE}")
    there = {(key.tenant, key.version): key for key in keys}
    lost = unreadable(store.vault.master, [there[one] for one in needed & there.keys()])
    missing = {tenant for tenant, _ in needed - there.keys()} | {key.tenant for key in lost}
    # Another database has versions of the same numbers.
    return missing | {
        tenant
        for tenant, version in needed
        if tenant not in missing and not source.opens(tenant, version)
    }


def _refuse_existing(store: GalleryStore, wanted: list[str]) -> None:
    present = sorted(store.describe(wanted))
    if present:
        more = f" and {len(present) - NAMED_KEYS} more" if len(present) > NAMED_KEYS else ""
        raise GalleryExistsError(
            f"there is already a gallery {', '.join(present[:NAMED_KEYS])}{more}: nothing was "
            "restored; use --replace to put the backup's in their place"
        )


def _named(file: Path, copied: Iterator[Part]) -> Iterator[Part]:
    """``copied`` from a file that nobody writes to; what is wrong with it names the file."""
    count = 0
    try:
        for part in copied:
            if isinstance(part, CopiedRows):
                count += len(part.added)
            if isinstance(part, Ending) and part.entry.info.size != count:
                raise ConfigError(
                    f"{file.name} is damaged: gallery {part.entry.info.key} should have "
                    f"{part.entry.info.size} templates, {count} are there"
                )
            yield part
    except UnavailableError:
        raise ConfigError(f"{file.name} holds a damaged template: take another backup") from None
