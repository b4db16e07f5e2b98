from __future__ import annotations

import base64
import shlex
import sys
from pathlib import Path

import pytest

from serve_app.encryption import MasterKeys, check_source, master
from serve_app.errors import ConfigError

from .samples import FIRST, SECOND, text
from .samples import master as keys_of

CONTEXT = b"of something"


def test_every_source_gives_the_same_key(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    file.write_text(text(FIRST) + "\n")
    command = shlex.join([sys.executable, "-c", f"print({text(FIRST)!r})"])
    environ = {"MASTER": text(FIRST)}

    found = [
        MasterKeys.read([source], environ).first.id
        for source in (f"file:{file}", "env:MASTER", f"command:{command}")
    ]

    assert len(set(found)) == 1
    assert found[0] not in FIRST.hex()
    assert len(found[0]) == 16


def test_the_first_wraps_and_all_unwrap() -> None:
    before, both, after = keys_of(FIRST), keys_of(SECOND, FIRST), keys_of(SECOND)
    old = before.first.wrap(b"material", CONTEXT)
    new = both.first.wrap(b"material", CONTEXT)

    assert both.unwrap(old, before.first.id, CONTEXT) == b"material"
    assert after.unwrap(new, both.first.id, CONTEXT) == b"material"
    assert after.unwrap(old, before.first.id, CONTEXT) is None
    assert before.unwrap(new, both.first.id, CONTEXT) is None


def test_what_was_changed_or_is_of_something_else_is_not_unwrapped() -> None:
    keys = keys_of()
    wrapped = keys.first.wrap(b"material", CONTEXT)
    for place in range(len(wrapped)):
        changed = bytearray(wrapped)
        changed[place] ^= 1
        assert keys.unwrap(bytes(changed), keys.first.id, CONTEXT) is None
    assert keys.unwrap(wrapped, keys.first.id, b"of another") is None
    assert keys.unwrap(b"", keys.first.id, CONTEXT) is None


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("file:/nowhere/secret-place/master.key", "master.key can't be read (FileNotFoundError)"),
        ("env:NOT_SET", "NOT_SET is not set"),
        ("env:SHORT", "has 5 bytes instead of 32"),
        ("env:TEXT", "is not base64"),
        ("command:/nowhere/program", "program can't be run (FileNotFoundError)"),
        (f"command:{sys.executable} -c 'raise SystemExit(7)'", "failed (exit code 7)"),
        (f"command:{sys.executable} -c 'print(1)'", "is not base64"),
    ],
)
def test_a_bad_source_is_named_and_its_content_is_not(source: str, said: str) -> None:
    environ = {"SHORT": base64.b64encode(b"short").decode(), "TEXT": "not a key at all"}
    good = {"GOOD": text(FIRST), **environ}

    with pytest.raises(ConfigError) as raised:
        MasterKeys.read(["env:GOOD", source], good)

    message = str(raised.value)
    assert message.startswith("args.encryption.keys[1]: ")
    assert said in message
    assert "secret-place" not in message
    assert not any(value in message for value in good.values())


def test_a_command_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(master, "COMMAND_TIMEOUT_S", 0.2)
    source = f"command:{sys.executable} -c 'import time; time.sleep(60)'"
    with pytest.raises(ConfigError, match="did not answer"):
        MasterKeys.read([source], {})


def test_what_a_command_complains_of_is_not_told(capfd: pytest.CaptureFixture[str]) -> None:
    source = f"command:{sys.executable} -c 'import sys; sys.exit(\"the secret of the day\")'"
    with pytest.raises(ConfigError) as raised:
        MasterKeys.read([source], {})
    assert "secret of the day" not in f"{raised.value}{capfd.readouterr()}"


@pytest.mark.parametrize("source", ["", "file:", "env:", "env:A B", "command:", "command: '", "x"])
def test_other_forms_are_refused(source: str) -> None:
    with pytest.raises(ValueError, match="write file:PATH"):
        check_source(source)


def test_a_path_is_made_absolute() -> None:
    assert check_source("file:master.key") == f"file:{Path('master.key').absolute()}"
