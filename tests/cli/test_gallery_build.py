"""``face-serve gallery build``: what is sent, where to, and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from serve_app.cli.gallery_build import USUAL_ADDRESS, command_of, dashboard_of
from serve_app.cli.job_options import request_of
from serve_app.config import ServiceArgs
from serve_app.errors import ConfigError, InvalidRequestError

from .commands import Commands
from .test_job_options import parsed

RAY = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN",
       "RAY_AUTH_TOKEN_PATH")  # fmt: skip


class Cluster:
    """Runs nothing, and ends with ``code``."""

    code: ClassVar[int] = 0
    sent: ClassVar[list[tuple[str, list[str], str]]] = []

    def __init__(self, address: str) -> None:
        self._address = address

    def run(self, words: Sequence[str], name: str, say: Callable[[str], None]) -> int:
        self.sent.append((self._address, list(words), name))
        say("3 of 3 rows")
        return self.code


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> type[Cluster]:
    for name in RAY:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(name, "")  # what the command sets is undone
        monkeypatch.delenv(name)
    monkeypatch.setattr(Cluster, "sent", [])
    monkeypatch.setattr(Cluster, "code", 0)
    monkeypatch.setattr("serve_app.jobs.submission.Submission", Cluster)
    return Cluster


def test_what_is_sent(commands: Commands, cluster: type[Cluster]) -> None:
    output = commands.run(
        "gallery", "build", "staff", "people", "--mode", "replace", "--root", "photos", "--report",
        "s3://b/r.parquet", "--max-rejected", "5%", "--same-face", "0.5", "--skip-duplicates",
        "--pipeline", "mine.yaml", "--job-id", "monday",
    )  # fmt: skip
    assert output == "3 of 3 rows\n"
    ((address, words, name),) = cluster.sent
    assert (address, name) == (USUAL_ADDRESS, "monday")
    here = Path.cwd()
    assert words[0] == "face-serve-job"
    assert words[-4:] == ["--job-id", "monday", "--data-dir", str(commands.data_dir)]
    assert parsed(words[1:]) == request_of(
        key="staff", input=f"{here}/people", mode="replace", root=f"{here}/photos",
        report="s3://b/r.parquet", max_rejected="5%", same_face=0.5, duplicates="skip",
        pipeline=f"{here}/mine.yaml",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("s3://bucket/people", "s3://bucket/people"),
        ("https://host/list.csv", "https://host/list.csv"),
        ("~/people", "{home}/people"),
        ("/people", "/people"),
    ],
)
def test_places(
    given: str,
    sent: str,
    commands: Commands,
    cluster: type[Cluster],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    commands.run("gallery", "build", "staff", given)
    ((_, words, _),) = cluster.sent
    assert words[2] == sent.format(home=tmp_path)


def test_the_embedded_pipeline_is_no_file(commands: Commands, cluster: type[Cluster]) -> None:
    commands.run("gallery", "build", "staff", "people", "--pipeline", "face_recognition")
    ((_, words, _),) = cluster.sent
    assert parsed(words[1:]).pipeline == "face_recognition"


def test_each_job_has_a_name_of_its_own(commands: Commands, cluster: type[Cluster]) -> None:
    for _ in range(2):
        commands.run("gallery", "build", "staff", "people")
    names = [name for _, _, name in cluster.sent]
    assert len(set(names)) == 2
    assert all(words[words.index("--job-id") + 1] == name for _, words, name in cluster.sent)


@pytest.mark.parametrize("code", [1, 2, 3])
def test_ends_as_the_job_did(
    code: int, commands: Commands, cluster: type[Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "code", code)
    assert commands.invoke("gallery", "build", "staff", "people").exit_code == code


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["a/b/c", "people"], InvalidRequestError, "KEY or TENANT/KEY"),
        (["staff", "people", "--job-id", "a/b"], ConfigError, "^--job-id: "),
        (["staff", "people", "--kind", "csv"], ConfigError, "^kind: "),
        (["staff", "people", "--max-rejected", "half"], ConfigError, "^max_rejected: "),
        (["staff", "people", "--mode", "append", "--index-type", "IVF"], ConfigError, "keeps its"),
        (["staff", "people", "--config", "none.yaml"], ConfigError, "none.yaml can't be read"),
    ],
)
def test_mistakes_are_told_here(
    arguments: list[str],
    error: type[Exception],
    message: str,
    commands: Commands,
    cluster: type[Cluster],
) -> None:
    result = commands.invoke("gallery", "build", *arguments)
    assert isinstance(result.exception, error)
    with pytest.raises(error, match=message):
        raise result.exception
    assert cluster.sent == []


def test_the_serve_file_goes_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    request, service = request_of(key="a", input="/b"), ServiceArgs(data_dir=tmp_path / "data")
    usual = Path("configs/serve/local.yaml")
    words = ["face-serve-job", "a", "/b", "--job-id", "n"]
    data = ["--data-dir", str(tmp_path / "data")]
    assert command_of(request, "n", usual, service) == [*words, *data]
    file = ["--config", str(tmp_path / "mine.yaml")]
    assert command_of(request, "n", Path("mine.yaml"), service) == [*words, *file, *data]
    usual.parent.mkdir(parents=True)
    usual.write_text("")
    file = ["--config", str(tmp_path / usual)]
    assert command_of(request, "n", usual, service) == [*words, *file, *data]


def test_addresses(tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    assert dashboard_of(None, tmp_path, environ) == USUAL_ADDRESS
    assert environ == {"RAY_API_SERVER_ADDRESS": USUAL_ADDRESS}
    environ = {"RAY_API_SERVER_ADDRESS": "http://a:1", "RAY_ADDRESS": "b:2"}
    assert dashboard_of(None, tmp_path, environ) == "http://a:1"
    assert dashboard_of("http://c:3", tmp_path, environ) == "http://c:3"
    assert environ["RAY_API_SERVER_ADDRESS"] == "http://c:3", "Ray's client takes this one"


def test_the_service_that_runs_here(tmp_path: Path) -> None:
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "dashboard").write_text("http://127.0.0.1:7\n", encoding="ascii")
    environ: dict[str, str] = {}
    assert dashboard_of(None, tmp_path, environ) == "http://127.0.0.1:7"
    assert environ == {
        "RAY_API_SERVER_ADDRESS": "http://127.0.0.1:7",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(tmp_path / "ray" / "auth_token"),
    }
    environ = {"RAY_AUTH_TOKEN": "mine", "RAY_AUTH_MODE": "disabled"}
    dashboard_of(None, tmp_path, environ)
    assert (environ["RAY_AUTH_MODE"], "RAY_AUTH_TOKEN_PATH" in environ) == ("disabled", False)
    environ = {}
    assert dashboard_of("http://elsewhere:7", tmp_path, environ) == "http://elsewhere:7"
    assert environ.keys() == {"RAY_API_SERVER_ADDRESS"}, "its token is not for others"
