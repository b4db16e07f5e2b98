from __future__ import annotations

import stat
from pathlib import Path

import pytest

from serve_app.encryption.data_keys import new_key, unwrapped
from serve_app.errors import ConfigError, InvalidRequestError
from serve_app.index.copies.key_file import read_keys, write_keys
from tests.encryption.samples import master

KEYS = [new_key(master(), "", 1), new_key(master(), "acme", 2)]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    write_keys(file, KEYS)
    assert read_keys(file) == KEYS
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    unwrapped(master(), read_keys(file)[1])
    with pytest.raises(InvalidRequestError, match="--force"):
        write_keys(file, KEYS)
    write_keys(file, [], force=True)
    assert read_keys(file) == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "x"}', '{"format": 1, "keys": 1}'])
def test_another_file_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "keys.json").write_text(content)
    with pytest.raises(ConfigError, match=r"^keys.json is no file of data keys"):
        read_keys(tmp_path / "keys.json")
    with pytest.raises(ConfigError, match=r"^none can't be read"):
        read_keys(tmp_path / "none")
