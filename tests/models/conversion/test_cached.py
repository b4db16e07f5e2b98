"""A directory in the cache is whole, or it is not there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from serve_app.models.conversion.cached import DIGESTS, cached_directory, digest_of, is_whole


class Builder:
    """Writes two files, and counts how often."""

    def __init__(self) -> None:
        self.built = 0

    def __call__(self, directory: Path) -> None:
        self.built += 1
        (directory / "network").write_bytes(b"network")
        (directory / "weights").write_bytes(b"weights")


def test_is_built_once(tmp_path: Path) -> None:
    build, target = Builder(), tmp_path / "new" / "cache" / "model"
    for _ in range(3):
        assert cached_directory(target, build) == target
    assert build.built == 1
    assert (target / "network").read_bytes() == b"network"
    assert not list(target.parent.glob(".part-*"))


def spoil(target: Path) -> None:
    (target / "weights").write_bytes(b"weightS")


def lose_a_file(target: Path) -> None:
    (target / "network").unlink()


def lose_the_digests(target: Path) -> None:
    (target / DIGESTS).unlink()


def spoil_the_digests(target: Path) -> None:
    (target / DIGESTS).write_bytes(b"\xff[")


def empty_the_digests(target: Path) -> None:
    (target / DIGESTS).write_bytes(b"{}")


def make_the_digests_a_list(target: Path) -> None:
    (target / DIGESTS).write_bytes(b'["network"]')


@pytest.mark.parametrize(
    "damage",
    [
        spoil, lose_a_file, lose_the_digests, spoil_the_digests, empty_the_digests,
        make_the_digests_a_list,
    ],
)  # fmt: skip
def test_what_was_spoilt_is_built_again(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    build, target = Builder(), tmp_path / "model"
    cached_directory(target, build)
    damage(target)
    cached_directory(target, build)
    assert build.built == 2
    assert (target / "network").read_bytes() == b"network"
    assert (target / "weights").read_bytes() == b"weights"
    cached_directory(target, build)
    assert build.built == 2


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(directory: Path) -> None:
        (directory / "network").write_bytes(b"half")
        raise OSError("no space left on device")

    target = tmp_path / "model"
    with pytest.raises(OSError, match="no space"):
        cached_directory(target, fail)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == []
    assert cached_directory(target, Builder()).is_dir()


def test_a_digest_is_of_the_content_in_order(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"1")
    other.write_bytes(b"2")
    assert digest_of(one, other) != digest_of(other, one)
    one.rename(tmp_path / "another")
    assert digest_of(tmp_path / "another") == "6b86b273ff34fce19d6b804eff5a3f57" \
        "47ada4eaa22f1d49c01e52ddb7875b4b"  # fmt: skip


BUILD = """
import os, sys
from pathlib import Path
from serve_app.models.conversion.cached import cached_directory
def build(directory):
    with open(sys.argv[2], "a") as log:
        log.write("built ")
    (directory / "network").write_bytes(b"network")
sys.stdin.readline()
print((cached_directory(Path(sys.argv[1]), build) / "network").read_bytes())
"""


def test_several_processes_build_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", BUILD, str(tmp_path / "model"), str(log)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert outputs == ["b'network'\n"] * 3
    assert log.read_text(encoding="ascii") == "built "


def test_whether_it_is_there(tmp_path: Path) -> None:
    target = tmp_path / "model"
    assert not is_whole(target)
    cached_directory(target, Builder())
    assert is_whole(target)
    spoil(target)
    assert not is_whole(target)
