from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from serve_app.errors import ModelError
from serve_app.models.zoo import archive
from serve_app.models.zoo.archive import digest_of, unpack
from tests.models.zoo.archives import model, special, tar

FILES = {"inference.json": b"{}", "inference.pdiparams": b"w" * 5000, "inference.yml": b"a: 1"}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def write(target: Path, content: bytes) -> Path:
    file = target.parent / "x.tar"
    file.write_bytes(content)
    return file


@pytest.mark.parametrize("folder", ["", "BlazeFace_infer/", "./BlazeFace_infer/", "a/b/"])
def test_the_model_in_whatever_folder(folder: str, target: Path) -> None:
    content = tar({folder + name: content for name, content in FILES.items()})
    digests = unpack(write(target, content), target)
    assert {file.name: file.read_bytes() for file in target.iterdir()} == FILES
    assert digests == {name: hashlib.sha256(c).hexdigest() for name, c in FILES.items()}


def test_other_files_stay_in_the_archive(target: Path) -> None:
    others = {"x/README.md": b"hello", "x/deploy/run.sh": b"#!", "x/._inference.yml": b"mac"}
    folder = {"x": special("x", tarfile.DIRTYPE)}
    content = tar({**folder, **others, **{f"x/{n}": c for n, c in FILES.items()}})
    assert unpack(write(target, content), target).keys() == FILES.keys()
    assert {file.name for file in target.iterdir()} == FILES.keys()


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("../inference.yml", b"out"),
        ("x/../../inference.yml", b"out"),
        ("/inference.yml", b"out"),
        ("x\\..\\inference.yml", b"out"),
    ],
)
def test_paths_that_lead_out(name: str, member: bytes, target: Path) -> None:
    with pytest.raises(ModelError, match="a path that leads out of it"):
        unpack(write(target, tar({name: member})), target)
    assert [path.name for path in target.parent.rglob("*")] == ["target", "x.tar"]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE]
)
def test_links_and_devices(kind: bytes, target: Path) -> None:
    link = special("x/inference.yml", kind, "/etc/passwd")
    with pytest.raises(ModelError, match="a link or a device"):
        unpack(write(target, tar({"": link})), target)
    assert list(target.iterdir()) == []


def test_a_file_written_through_a_link(target: Path) -> None:
    """The classic: a link to a directory outside, then a file below its name."""
    content = tar({"a": special("x", tarfile.SYMTYPE, ".."), "x/inference.yml": b"out"})
    with pytest.raises(ModelError, match="a link or a device"):
        unpack(write(target, content), target)
    assert not (target.parent / "inference.yml").exists()


def test_two_models(target: Path) -> None:
    twice = {"a/inference.yml": b"1", "b/inference.json": b"2"}
    with pytest.raises(ModelError, match="more than one model"):
        unpack(write(target, tar(twice)), target)


def test_a_name_twice(target: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as twice:
        for content in (b"one", b"two"):
            member = tarfile.TarInfo("inference.yml")
            member.size = len(content)
            twice.addfile(member, io.BytesIO(content))
    with pytest.raises(ModelError, match="more than one model"):
        unpack(write(target, buffer.getvalue()), target)


def test_limits(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_BYTES", 4999)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    with pytest.raises(ModelError, match="a file of more than"):
        unpack(write(target, tar(FILES)), target)
    many = tar({str(number): b"" for number in range(4)})
    with pytest.raises(ModelError, match="more than 3 entries"):
        unpack(write(target, many), target)


def test_a_size_that_is_not_there(target: Path) -> None:
    """A header that promises more than the archive holds must not give a file of holes."""
    claim = special("inference.pdiparams", tarfile.REGTYPE, size=2**29)
    with pytest.raises(ModelError, match="incomplete"):
        unpack(write(target, tar({"": claim})), target)


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>not found</html>" * 100, gzip.compress(model("BlazeFace"))],
    ids=["empty", "a page", "compressed"],
)
def test_no_archive(content: bytes, target: Path) -> None:
    with pytest.raises(ModelError, match="no tar file"):
        unpack(write(target, content), target)


@pytest.mark.parametrize("size", [100, 600, 1800, 5000])
def test_a_part_of_an_archive(size: int, target: Path) -> None:
    """A header, a file, or a header behind a file that is cut."""
    with pytest.raises(ModelError, match="incomplete"):
        unpack(write(target, tar(FILES)[:size]), target)


def test_digest_of(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    assert digest_of(tmp_path / "x") == hashlib.sha256(b"abc").hexdigest()
