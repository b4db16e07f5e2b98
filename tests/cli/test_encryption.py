"""``face-serve encryption`` and ``tenants erase``, with backups, on an encrypted database."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from serve_app.errors import ConfigError, GalleryNotFoundError, InvalidRequestError
from serve_app.index.snapshots import SnapshotStorage
from serve_app.index.store import GalleryStore
from tests.index.samples import build, labels_of
from tests.index.shots import shoot
from tests.index.vaults import MASTER, OTHER, new_vault

from .commands import Commands

LABELS = {0: "0", 1: "1", 2: "2"}


@pytest.fixture
def encrypted(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """With a gallery of the default tenant and one of ``acme``; the latter has a snapshot."""
    monkeypatch.setattr("serve_app.index.store.encryption_store.GRACE_S", 0)
    monkeypatch.setenv("FIRST", MASTER)
    monkeypatch.setenv("SECOND", OTHER)
    configure("env:FIRST")
    with opened(commands) as store:
        build(store)
        build(store, "acme/staff")
        shoot(store, SnapshotStorage(str(commands.data_dir / "snapshots")), "acme/staff")
    return commands


def configure(*sources: str) -> None:
    file = Path("configs/serve/local.yaml")
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {"applications": [{"args": {"encryption": {"keys": sources}}}]}
    file.write_text(json.dumps(content))


def opened(commands: Commands, *masters: str) -> contextlib.closing[GalleryStore]:
    url = f"sqlite:///{commands.data_dir / 'galleries.db'}"
    return contextlib.closing(GalleryStore(url, vault=new_vault(*masters)))


def test_status_and_rotation(encrypted: Commands) -> None:
    status = json.loads(encrypted.run("encryption", "status", "--json"))
    first = new_vault().master.first.id
    line = {"version": 1, "rows": 3, "wrapped_by": first}
    assert status == {
        "master_key": first,
        "keys": [
            {"tenant": "", **line, "snapshots": 0},
            {"tenant": "acme", **line, "snapshots": 1},
        ],
    }
    assert encrypted.run("encryption", "rotate", "--tenant", "acme") == (
        "acme: sealed by version 2; 1 snapshots sealed anew, 0 to be built anew; "
        "1 old keys deleted\n"
    )
    (line,) = json.loads(encrypted.run("encryption", "status", "--tenant", "acme", "--json"))[
        "keys"
    ]
    assert (line["version"], line["rows"], line["snapshots"]) == (2, 3, 1)
    assert "acme" in encrypted.run("encryption", "status")
    assert len(encrypted.run("encryption", "rotate").splitlines()) == 2
    with opened(encrypted) as store:
        assert labels_of(store, "acme/staff") == LABELS


def test_another_master_key(encrypted: Commands) -> None:
    configure("env:SECOND", "env:FIRST")
    second = new_vault(OTHER).master.first.id
    assert encrypted.run("encryption", "rewrap") == (
        f"2 data keys wrapped anew, by master key {second}\n"
    )
    configure("env:SECOND")
    assert "staff" in encrypted.run("gallery", "list")
    configure("env:FIRST")
    with pytest.raises(ConfigError, match="is not among those of"):
        encrypted.run("gallery", "list")
    configure()
    with pytest.raises(ConfigError, match="names no master key"):
        encrypted.run("gallery", "list")


def test_what_was_plain_is_sealed(encrypted: Commands, tmp_path: Path) -> None:
    other = Commands(tmp_path / "other")
    other.data_dir.mkdir()
    configure()
    store = other.store()
    build(store)
    store.close()
    assert "none, nothing is encrypted" in other.run("encryption", "status")
    configure("env:FIRST")
    assert "-: sealed by version 1; 0" in other.run("encryption", "rotate", "--no-new-key")
    with opened(other) as store:
        assert labels_of(store) == LABELS
        page = store.page(store.describe(["staff"])["staff"], -1, 9)
    content = b"".join(file.read_bytes() for file in other.data_dir.glob("galleries.db*"))
    assert page.vectors[0].tobytes() not in content


def test_erasing_a_tenant(encrypted: Commands) -> None:
    with pytest.raises(InvalidRequestError, match="say --yes"):
        encrypted.run("tenants", "erase", "acme")
    reports = encrypted.data_dir / "jobs"
    (reports / "acme").mkdir(parents=True)
    (reports / "acme" / "job.parquet").touch()
    (reports / "job.parquet").touch()
    assert encrypted.run("tenants", "erase", "acme", "--yes") == (
        "tenant acme: 1 data keys, 1 galleries, 1 snapshots erased\n"
    )
    assert list(reports.iterdir()) == [reports / "job.parquet"]
    assert [file for file in (encrypted.data_dir / "snapshots").rglob("*") if file.is_file()] == []
    with pytest.raises(GalleryNotFoundError):
        encrypted.run("gallery", "show", "acme/staff")
    assert "erased" in encrypted.run("tenants", "list")
    assert len(encrypted.run("encryption", "rotate").splitlines()) == 1  # not of the erased one
    with opened(encrypted) as store:
        assert labels_of(store) == LABELS


def test_a_backup_is_sealed_and_needs_its_keys(encrypted: Commands, tmp_path: Path) -> None:
    file, keys = tmp_path / "my.backup", tmp_path / "keys.json"
    assert "losing the database loses the backup" in encrypted.run("backup", str(file))
    said = encrypted.run("backup", str(file), "--keys", str(keys), "--force")
    assert said == "backed up: 2 galleries, 6 templates, checked\n"
    with opened(encrypted) as store:
        page = store.page(store.describe(["staff"])["staff"], -1, 9)
    assert page.vectors[0].tobytes() not in file.read_bytes()

    assert "restored: 2" in encrypted.run("restore", str(file), "--replace")  # keys of the database
    other = Commands(tmp_path / "other")
    with pytest.raises(
        ConfigError,
        match=r"sealed by data keys of \(default\), acme that",
    ):
        other.run("restore", str(file))
    assert "restored: 2" in other.run("restore", str(file), "--keys", str(keys))
    with opened(other) as store:
        assert labels_of(store, "acme/staff") == LABELS
    configure()
    third = Commands(tmp_path / "third")
    with pytest.raises(ConfigError, match=r"^my.backup is sealed: give the master key"):
        third.run("restore", str(file))


def test_a_backup_taken_before_does_not_bring_an_erased_tenant_back(
    encrypted: Commands, tmp_path: Path
) -> None:
    file = tmp_path / "my.backup"
    encrypted.run("backup", str(file))
    encrypted.run("tenants", "erase", "acme", "--yes")
    with pytest.raises(ConfigError, match="what an erased tenant had can't be read any more"):
        encrypted.run("restore", str(file), "--replace")
    said = encrypted.run("restore", str(file), "--replace", "--skip-unreadable")
    assert said == "restored: 1 galleries, 3 templates, checked\n"
    assert "acme" not in encrypted.run("gallery", "list")


def test_erase_check_says_what_it_cant_see(
    encrypted: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "tmp"))
    output = encrypted.run("gallery", "erase-check", "staff")
    assert "nothing left" in output
    assert "what is sealed can't be searched for" in output
