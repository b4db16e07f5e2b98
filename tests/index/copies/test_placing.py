"""All or nothing, under the right name, for the owner only."""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path

import pytest

from serve_app.errors import InvalidRequestError, UnavailableError
from serve_app.index.copies.placing import new_directory, new_file


def test_a_directory_is_there_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "index"
    with new_directory(target) as made:
        (made / "one").write_text("1", encoding="utf-8")
        assert not target.exists()
    assert [path.name for path in target.parent.iterdir()] == ["index"]
    assert target.stat().st_mode & 0o777 == 0o700
    assert (target / "one").stat().st_mode & 0o777 == 0o600


def test_an_empty_directory_is_taken_over(tmp_path: Path) -> None:
    with new_directory(tmp_path / "index") as made:
        (made / "one").touch()
        (tmp_path / "index").mkdir()
    assert (tmp_path / "index" / "one").exists()


def test_a_directory_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "mine").touch()
    with (
        pytest.raises(InvalidRequestError, match=r"^index exists already"),
        new_directory(tmp_path / "index"),
    ):
        pytest.fail("must not begin")
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    with contextlib.suppress(KeyError), new_directory(tmp_path / "index") as made:
        (made / "one").touch()
        raise KeyError
    with contextlib.suppress(KeyError), new_file(tmp_path / "file") as made:
        made.with_name(made.name + "-wal").touch()
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_errors_of_the_disk_name_the_target_only(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "x"))
    with pytest.raises(UnavailableError) as raised, new_file(tmp_path / "mine"):
        raise full
    assert str(raised.value) == "mine can't be written: No space left on device"
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError) as raised, new_file(tmp_path / "file" / "mine"):
        pytest.fail("must not begin")
    assert str(tmp_path) not in str(raised.value)


def test_a_file_takes_its_name_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "backup"
    with new_file(target) as made:
        made.write_text("1", encoding="utf-8")
        made.with_name(made.name + ".lock").touch()
        assert not target.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["backup"]
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_file_that_exists_needs_force(tmp_path: Path) -> None:
    target = tmp_path / "backup"
    target.write_text("old", encoding="utf-8")
    with pytest.raises(InvalidRequestError, match="--force"), new_file(target):
        pytest.fail("must not begin")
    with new_file(target, force=True) as made:
        assert target.read_text(encoding="utf-8") == "old"
        made.write_text("new", encoding="utf-8")
    assert target.read_text(encoding="utf-8") == "new"
    (tmp_path / "folder").mkdir()
    with pytest.raises(InvalidRequestError, match="is a directory"), new_file(tmp_path / "folder"):
        pytest.fail("must not begin")


def test_a_file_that_came_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "backup"
    with pytest.raises(InvalidRequestError), new_file(target):
        target.write_text("another's", encoding="utf-8")
    assert target.read_text(encoding="utf-8") == "another's"
    assert [path.name for path in tmp_path.iterdir()] == ["backup"]
