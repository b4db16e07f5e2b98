from __future__ import annotations

import io
import os

import pytest

from serve_app.encryption import UnreadableError, files
from serve_app.encryption.files import CHUNK, TAG_BYTES, FileSeal

from .samples import data_key

SEAL = FileSeal(data_key(), b"snapshot/g/1-0/5")
HEADER = 8 + 4 + 32
STEP = CHUNK + TAG_BYTES


def sealed(content: bytes, seal: FileSeal = SEAL, name: str = "vector.index") -> bytes:
    file = io.BytesIO()
    writer = seal.writer(file, name)
    for start in range(0, len(content), 300_000):
        writer.write(content[start : start + 300_000])
    writer.close()
    return file.getvalue()


def opened(content: bytes, seal: FileSeal = SEAL, name: str = "vector.index") -> bytes:
    return seal.reader(io.BytesIO(content), name).read_all()


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5])
def test_what_was_written_is_read(size: int) -> None:
    content = os.urandom(size)
    made = sealed(content)
    assert len(made) == HEADER + size + TAG_BYTES * max(1, -(-size // CHUNK))
    assert opened(made) == content
    assert content[:32] not in made or size < 32


def test_two_files_of_the_same_share_nothing() -> None:
    one, other = sealed(b"a" * 100), sealed(b"a" * 100)
    assert one[HEADER:] != other[HEADER:]


def parts(content: bytes) -> tuple[bytes, list[bytes]]:
    rest = content[HEADER:]
    return content[:HEADER], [rest[at : at + STEP] for at in range(0, len(rest), STEP)]


def test_chunks_that_are_missing_moved_or_repeated_are_found() -> None:
    head, chunks = parts(sealed(os.urandom(3 * CHUNK + 5)))
    one, two, three, last = chunks
    for wrong in (
        [one, two, three],  # cut where a chunk ends
        [one, two, last],
        [one, three, two, last],
        [one, one, two, three, last],
        [one, two, three, last, last],
        [one, two, three, last[:-1]],
        [last],
        [],
    ):
        with pytest.raises(UnreadableError):
            opened(head + b"".join(wrong))


def test_chunks_of_another_file_are_found() -> None:
    head, chunks = parts(sealed(os.urandom(2 * CHUNK)))
    _, others = parts(sealed(os.urandom(2 * CHUNK)))
    with pytest.raises(UnreadableError):
        opened(head + chunks[0] + others[1])


def test_every_changed_byte_is_found() -> None:
    made = sealed(b"content of a file")
    for place in range(len(made)):
        changed = bytearray(made)
        changed[place] ^= 1
        with pytest.raises(UnreadableError):
            opened(bytes(changed))


def test_it_opens_with_its_key_in_its_own_place_only() -> None:
    made = sealed(b"content")
    for seal, name in (
        (FileSeal(data_key(), SEAL.context), "vector.index"),
        (FileSeal(data_key(version=2), SEAL.context), "vector.index"),
        (FileSeal(SEAL.key, b"snapshot/g/1-0/6"), "vector.index"),
        (SEAL, "templates.npz"),
    ):
        with pytest.raises(UnreadableError):
            opened(made, seal, name)


def test_a_reader_gives_small_parts_and_says_when_something_is_left() -> None:
    content = os.urandom(CHUNK + 100)
    reader = SEAL.reader(io.BytesIO(sealed(content)), "vector.index")
    assert reader.read(10) == content[:10]
    with pytest.raises(UnreadableError, match="longer"):
        reader.finish()
    assert files.MAGIC not in content
