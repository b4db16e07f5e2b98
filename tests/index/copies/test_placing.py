"""All or nothing, under the right name, for the owner only."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from serve_app.errors import InvalidRequestError, UnavailableError
from serve_app.index.copies.placing import new_directory, new_file, new_files, settled


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


def put(directory: Path, **files: str) -> None:
    for name, content in files.items():
        (directory / name).write_text(content, encoding="utf-8")


def seen(directory: Path) -> dict[str, str]:
    with settled(directory) as place:
        names = ("one", "two", "mine")
        return {name: place(name).read_text("utf-8") for name in names if place(name).is_file()}


def test_files_are_replaced_together_and_others_stay(tmp_path: Path) -> None:
    put(tmp_path, one="old", two="old", mine="mine")
    tmp_path.chmod(0o755)
    with new_files(tmp_path) as made:
        put(made, one="new", two="new")
        assert seen(tmp_path) == {"one": "old", "two": "old", "mine": "mine"}
    assert seen(tmp_path) == {"one": "new", "two": "new", "mine": "mine"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "one", "two"]
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o600
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_an_error_leaves_the_old_files(tmp_path: Path) -> None:
    put(tmp_path, one="old")
    with contextlib.suppress(KeyError), new_files(tmp_path) as made:
        put(made, one="new")
        raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    assert seen(tmp_path) == {"one": "old"}


class Killed(BaseException):
    """The process is no more."""


@pytest.mark.parametrize("step", range(40))
def test_a_crash_leaves_the_old_files_or_the_new(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before its nth call of the file system; a later ``new_files`` settles what is left."""
    put(tmp_path, one="old", two="old", mine="mine")
    left = [step]

    def counted(call: Any) -> Any:
        def run(*arguments: Any, **named: Any) -> Any:
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return call(*arguments, **named)

        return run

    finished = False
    with monkeypatch.context() as patch, contextlib.suppress(Killed):
        for name in ("mkdir", "rename", "unlink", "rmdir", "chmod"):
            patch.setattr(Path, name, counted(getattr(Path, name)))
        patch.setattr("os.fsync", counted(os.fsync))
        patch.setattr("shutil.rmtree", lambda *_, **__: None)  # a dead process tidies nothing
        with new_files(tmp_path) as made:
            put(made, one="new", two="new")
        finished = True
    old, new = ({"one": age, "two": age, "mine": "mine"} for age in ("old", "new"))
    assert seen(tmp_path) == new if finished else seen(tmp_path) in (old, new)
    # Whoever knows nothing of it finds no mixture.
    plain = {(tmp_path / name).read_text("utf-8") for name in ("one", "two")
             if (tmp_path / name).is_file()}  # fmt: skip
    assert len(plain) <= 1
    assert (step < 20) or finished
    with new_files(tmp_path) as made:
        put(made, two="newest")
    assert seen(tmp_path)["two"] == "newest"
    assert seen(tmp_path)["one"] in ("old", "new")
    assert not (tmp_path / ".face_serve.new").exists()


def test_nothing_changes_while_it_is_read(tmp_path: Path) -> None:
    put(tmp_path, one="old", two="old")
    begun = threading.Event()

    def save() -> None:
        with new_files(tmp_path) as made:
            put(made, one="new", two="new")
            begun.set()

    with settled(tmp_path) as place:
        saving = threading.Thread(target=save)
        saving.start()
        assert begun.wait(10)
        saving.join(0.2)
        assert saving.is_alive()
        assert [place(name).read_text("utf-8") for name in ("one", "two")] == ["old", "old"]
    saving.join(10)
    assert seen(tmp_path) == {"one": "new", "two": "new"}


def test_many_save_at_once(tmp_path: Path) -> None:
    def save(number: int) -> None:
        with new_files(tmp_path) as made:
            put(made, one=str(number), two=str(number))

    with ThreadPoolExecutor(8) as pool:
        saving = [pool.submit(save, number) for number in range(40)]
        while not all(future.done() for future in saving):
            found = seen(tmp_path)
            assert len(found) in (0, 2)
            assert len(set(found.values())) <= 1
        for future in saving:
            future.result()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_no_directory_to_read(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("file", "nowhere", "file/deeper"):
        with (
            pytest.raises(InvalidRequestError, match="is not a directory"),
            settled(tmp_path / name),
        ):
            pytest.fail("must not begin")
    with (
        pytest.raises(UnavailableError, match=r"^gone can't be written: No such file"),
        new_files(tmp_path / "gone"),
    ):
        pytest.fail("must not begin")
