"""A manifest that was changed anywhere is refused, and so are files that it does not describe."""

from __future__ import annotations

import hashlib
import json
from dataclasses import MISSING, asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest

from serve_app.index.snapshots.manifest import (
    BadSnapshotError,
    Manifest,
    check_files,
    decoded,
    file_facts,
)

MANIFEST = Manifest(
    gallery="Gäste",
    generation="5f1e",
    shard=1,
    shards=2,
    seq=7,
    next_id=12,
    index_type="IVF64,SQ8",
    metric="IP",
    dimension=8,
    model_id="sface-1234",
    size=5,
    files={"vector.index": (3, "ab" * 32), "templates.npz": (4, "cd" * 32)},
)


def signed(facts: dict[str, Any]) -> bytes:
    """As somebody writes it who knows of the checksum."""
    content = json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()
    return json.dumps({**facts, "checksum": hashlib.sha256(content).hexdigest()}).encode()


def test_there_and_back() -> None:
    assert decoded(MANIFEST.encoded()) == MANIFEST
    assert decoded(signed({"format": 1, **asdict(MANIFEST)})) == MANIFEST


@pytest.mark.parametrize("name", [field.name for field in fields(Manifest)])
def test_an_edited_fact(name: str) -> None:
    """Valid JSON: a later seq would skip what happened between."""
    value = getattr(MANIFEST, name)
    other: Any = value + 1 if isinstance(value, int) else {} if name == "files" else f"{value}x"
    facts = json.loads(MANIFEST.encoded())
    facts[name] = other
    with pytest.raises(BadSnapshotError, match="manifest was changed"):
        decoded(json.dumps(facts).encode())
    assert decoded(replace(MANIFEST, **{name: other}).encoded()) != MANIFEST


NEEDED = [field.name for field in fields(Manifest) if field.default is MISSING]


@pytest.mark.parametrize("name", NEEDED)
def test_a_fact_that_is_missing(name: str) -> None:
    facts = {"format": 1, **asdict(MANIFEST)}
    del facts[name]
    with pytest.raises(BadSnapshotError, match="lacks facts"):
        decoded(signed(facts))


@pytest.mark.parametrize("files", [None, [], {"a": 3}, {"a": (1, "b", 2)}, {"a": ("x", "b")}])
def test_files_of_another_form(files: object) -> None:
    with pytest.raises(BadSnapshotError, match="lacks facts"):
        decoded(signed({"format": 1, **asdict(MANIFEST), "files": files}))


def test_every_flipped_bit() -> None:
    content = MANIFEST.encoded()
    refused = 0
    for position in range(len(content)):
        for bit in range(8):
            flipped = bytearray(content)
            flipped[position] ^= 1 << bit
            try:
                # Another spelling of the same JSON (\u00e4 as \u00E4) is no damage.
                assert decoded(bytes(flipped)) == MANIFEST
            except BadSnapshotError:
                refused += 1
    assert refused >= 8 * len(content) - 2


def test_every_truncation() -> None:
    content = MANIFEST.encoded()
    for length in range(len(content)):
        with pytest.raises(BadSnapshotError, match="torn"):
            decoded(content[:length])


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", b'"x"', b"3", b"{}", b"\xff\x00", b"[" * 100_000]
)
def test_what_is_no_manifest(content: bytes) -> None:
    with pytest.raises(BadSnapshotError, match="torn"):
        decoded(content)


def test_another_format() -> None:
    with pytest.raises(BadSnapshotError, match="its format is 2, this version reads 1"):
        decoded(signed({"format": 2, "other": "facts"}))


@pytest.fixture
def written(tmp_path: Path) -> Manifest:
    (tmp_path / "a.bin").write_bytes(b"0123456789")
    (tmp_path / "b.bin").write_bytes(b"")
    return replace(MANIFEST, files=file_facts(tmp_path, ["a.bin", "b.bin"]))


def test_whole_files(tmp_path: Path, written: Manifest) -> None:
    assert written.files["a.bin"] == (10, hashlib.sha256(b"0123456789").hexdigest())
    check_files(tmp_path, decoded(written.encoded()))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "a.bin is missing"),
        (b"", "a.bin has 0 bytes instead of 10"),
        (b"012345678", "a.bin has 9 bytes instead of 10"),
        (b"0123456789a", "a.bin has 11 bytes instead of 10"),
        (b"1123456789", "a.bin was changed"),
        (b"0123456788", "a.bin was changed"),
    ],
)
def test_other_files(
    tmp_path: Path, written: Manifest, content: bytes | None, message: str
) -> None:
    (tmp_path / "a.bin").unlink()
    if content is not None:
        (tmp_path / "a.bin").write_bytes(content)
    with pytest.raises(BadSnapshotError, match=message) as caught:
        check_files(tmp_path, written)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("name", ["../a.bin", "/etc/hostname", "", ".", "..", "sub/a.bin", "sub"])
def test_names_that_lead_elsewhere(tmp_path: Path, written: Manifest, name: str) -> None:
    (tmp_path / "sub").mkdir()
    with pytest.raises(BadSnapshotError, match="is missing"):
        check_files(tmp_path, replace(written, files={name: (10, "ab")}))
