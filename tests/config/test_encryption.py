from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.config import open_vault, parse_service_args
from serve_app.errors import ConfigError
from tests.encryption.samples import FIRST, text


def test_nothing_is_encrypted_unless_it_is_said() -> None:
    assert parse_service_args({}).encryption.keys == ()
    assert open_vault((), {}) is None


def test_sources_are_kept_as_they_are_and_paths_are_absolute() -> None:
    given = ["file:master.key", "env:MASTER_KEY", "command:vault read -field=key secret/face"]
    keys = parse_service_args({"encryption": {"keys": given}}).encryption.keys
    assert keys == (f"file:{Path('master.key').absolute()}", *given[1:])


@pytest.mark.parametrize("source", [text(FIRST), "master.key", "env:", "command:"])
def test_a_key_in_the_file_itself_is_refused_and_not_told(source: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_service_args({"encryption": {"keys": [source]}})
    assert "args.encryption.keys" in str(raised.value)
    assert "write file:PATH, env:NAME" in str(raised.value)
    assert text(FIRST) not in str(raised.value)


def test_sources_are_in_no_repr() -> None:
    args = parse_service_args({"encryption": {"keys": ["command:get --token secret"]}})
    assert "secret" not in repr(args)


def test_a_vault_has_the_keys_of_its_sources() -> None:
    found = open_vault(("env:MASTER_KEY",), {"MASTER_KEY": text(FIRST)})
    assert found is not None
    assert found.master.ids == [found.master.first.id]
    with pytest.raises(ConfigError, match=r"keys\[0\]: the environment variable MASTER_KEY"):
        open_vault(("env:MASTER_KEY",), {})
