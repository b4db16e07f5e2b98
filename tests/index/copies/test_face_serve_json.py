"""The facts beside PaddleX's files: any change to them or to those files is found out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serve_app.errors import InvalidRequestError
from serve_app.index.copies.face_serve_json import read_facts, write_facts

FACTS = {
    "gallery": "staff",
    "index_type": "Flat",
    "metric_type": "IP",
    "dimension": 8,
    "model_id": "m",
    "count": 3,
    "next_id": 4,
    "seq": 2,
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "vector.index").write_bytes(b"vectors")
    write_facts(tmp_path / "face_serve.json", FACTS, ["vector.index"])
    return tmp_path / "face_serve.json"


def test_facts_come_back(file: Path) -> None:
    found = read_facts(file)
    assert found is not None
    assert found.items() >= FACTS.items()


def test_no_file(tmp_path: Path) -> None:
    assert read_facts(tmp_path / "face_serve.json") is None


def test_every_cut_and_every_changed_bit(file: Path) -> None:
    content = file.read_bytes()
    for end in range(0, len(content) - 2, 7):
        file.write_bytes(content[:end])
        with pytest.raises(InvalidRequestError, match=r"^face_serve.json"):
            read_facts(file)
    for place in range(0, len(content), 3):
        changed = bytearray(content)
        changed[place] ^= 4
        file.write_bytes(changed)
        try:
            found = read_facts(file)
        except InvalidRequestError:
            continue
        assert found is not None  # white space
        assert found.items() >= FACTS.items()


def test_files_beside_it(file: Path) -> None:
    vectors = file.with_name("vector.index")
    vectors.write_bytes(b"vectorz")
    with pytest.raises(InvalidRequestError, match=r"^vector.index was changed"):
        read_facts(file)
    vectors.unlink()
    with pytest.raises(InvalidRequestError, match=r"^vector.index is missing"):
        read_facts(file)


def test_another_format(file: Path) -> None:
    file.write_text(json.dumps({"format": 2, "checksum": ""}), encoding="utf-8")
    with pytest.raises(InvalidRequestError, match="has format 2, this version reads 1"):
        read_facts(file)


@pytest.mark.parametrize("name", ["../vector.index", "/etc/passwd"])
def test_no_other_files_are_read(name: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "vector.index").write_bytes(b"vectors")
    file = tmp_path / "in" / "face_serve.json"
    write_facts(file, FACTS, [name])
    with pytest.raises(InvalidRequestError, match="is missing"):
        read_facts(file)
