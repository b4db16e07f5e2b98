"""Which database a command works on."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.cli.database import DEFAULT_CONFIG, open_store, read_service_args
from serve_app.errors import ConfigError

SERVE_FILE = "applications: [{args: {data_dir: %s}}]"


def test_the_serve_file_says_where(tmp_path: Path) -> None:
    file = tmp_path / "serve.yaml"
    file.write_text(SERVE_FILE % (tmp_path / "here"), encoding="utf-8")
    assert read_service_args(file, None, {}).data_dir == tmp_path / "here"
    assert read_service_args(file, tmp_path / "there", {}).data_dir == tmp_path / "there"
    store = open_store(file, None, {}, create=True)
    assert store.file == tmp_path / "here" / "galleries.db"
    store.close()


def test_the_environment_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"FACE_SERVE_DATABASE_URL": f"sqlite:///{tmp_path}/mine.db"}
    store = open_store(DEFAULT_CONFIG, None, environ, create=True)  # without a file, too
    assert store.file == tmp_path / "mine.db"
    store.close()


def test_nothing_is_made_by_looking(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"galleries\.db is not"):
        open_store(DEFAULT_CONFIG, tmp_path, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "mine.yaml can't be read: give a Serve file with --config"),
        ("a: [", "mine.yaml is not valid YAML"),
        ("", "mine.yaml is no Serve file"),
        ("applications: []", "mine.yaml is no Serve file"),
        ("applications: [3]", "mine.yaml is no Serve file"),
        ("applications: [{args: [1]}]", "mine.yaml is no Serve file"),
        ("applications: [{args: {dat_dir: x}}]", "did you mean data_dir"),
    ],
)
def test_mistakes(content: str | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_service_args(file, tmp_path, {})


def test_a_default_file_that_is_missing_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"local\.yaml can't be read"):
        read_service_args(DEFAULT_CONFIG, None, {})
