from __future__ import annotations

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock

from serve_app.errors import ModelError
from serve_app.models.zoo.cache import ModelCache
from serve_app.models.zoo.download import Patience
from serve_app.models.zoo.fetch import fetch
from serve_app.models.zoo.origin import OFFICIAL, VARIABLE, Origin
from serve_app.models.zoo.table import BLAZEFACE, OfficialModel
from tests.models.zoo.archive_server import ArchiveServer, Reply
from tests.models.zoo.archives import model, tar

FIRST, SECOND = model("BlazeFace"), model("BlazeFace", b"other weights")
QUICK = Patience(total=20, stalled=0.5, attempts=3, pause=0.01)


@pytest.fixture
def cache(tmp_path: Path) -> ModelCache:
    return ModelCache(tmp_path / "cache")


def run(
    cache: ModelCache,
    origin: Origin,
    *,
    accept: bool = False,
    wanted: OfficialModel = BLAZEFACE,
) -> Path:
    return fetch(wanted, cache, origin, lambda *_: None, patience=QUICK, accept_new_digest=accept)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def leftovers(cache: ModelCache) -> list[str]:
    """What lies in the cache beside records, locks and models."""
    names = [path.relative_to(cache.root).as_posix() for path in cache.root.rglob("*")]
    kept = (".json", ".lock", "unpacking")
    return [name for name in names if not name.endswith(kept) and "BlazeFace-" not in name]


def test_fetched_once_and_there_from_then_on(server: ArchiveServer, cache: ModelCache) -> None:
    server.replies = [Reply(FIRST)]
    directory = run(cache, server.url)
    assert server.paths == ["/BlazeFace_infer.tar"]
    assert {file.name for file in directory.iterdir()} == {
        "inference.json",
        "inference.pdiparams",
        "inference.yml",
    }
    assert run(cache, server.url) == directory
    assert len(server.requests) == 1
    assert leftovers(cache) == []
    record = cache.record("BlazeFace")
    assert record is not None
    assert record.archive_sha256 == sha256(FIRST)


def test_the_official_host() -> None:
    assert f"{OFFICIAL}/{BLAZEFACE.archive}" == (
        "https://paddle-model-ecology.bj.bcebos.com/paddlex/official_inference_model/"
        "paddle3.0.0/BlazeFace_infer.tar"
    )


@pytest.mark.parametrize("form", ["directory", "file URL"])
def test_a_mirror_on_disk(form: str, cache: ModelCache, tmp_path: Path) -> None:
    from serve_app.models.zoo.origin import origin

    (tmp_path / "mirror").mkdir()
    mirror = tmp_path / "mirror"
    source = origin(str(mirror) if form == "directory" else mirror.as_uri(), {})
    with pytest.raises(ModelError, match=r"BlazeFace_infer\.tar is not in the mirror's directory"):
        run(cache, source)
    (mirror / "BlazeFace_infer.tar").write_bytes(FIRST)
    assert run(cache, source) == cache.installed("BlazeFace")
    assert (mirror / "BlazeFace_infer.tar").read_bytes() == FIRST


def test_another_archive_is_refused_later(server: ArchiveServer, cache: ModelCache) -> None:
    server.replies = [Reply(FIRST)]
    file = run(cache, server.url) / "inference.pdiparams"
    file.unlink()  # so that it has to be fetched again
    server.replies = [Reply(SECOND, etag='"two"')]
    with pytest.raises(ModelError) as caught:
        run(cache, server.url)
    assert sha256(FIRST) in str(caught.value)
    assert sha256(SECOND) in str(caught.value)
    assert "face-serve models fetch BlazeFace --accept-new-digest" in str(caught.value)
    assert cache.installed("BlazeFace") is None
    assert leftovers(cache) == []

    server.replies = [Reply(FIRST)]
    assert (run(cache, server.url) / "inference.pdiparams").read_bytes() == b"weights"


def test_another_archive_is_taken_knowingly(server: ArchiveServer, cache: ModelCache) -> None:
    server.replies = [Reply(FIRST)]
    before = run(cache, server.url)
    server.replies = [Reply(SECOND, etag='"two"')]
    after = run(cache, server.url, accept=True)
    assert after != before
    assert (after / "inference.pdiparams").read_bytes() == b"other weights"
    assert run(cache, server.url) == after
    assert run(cache, server.url, accept=True) == after  # the same again changes nothing
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (model("BlazeFace", declared="BlazeFace-FPN-SSH"), "it holds the model BlazeFace-FPN-SSH"),
        (tar({"inference.yml": b"a: 1"}), r"it holds inference\.yml only"),
        (tar({"readme": b""}), "it holds no model only"),
        (tar({f"inference.{e}": b"[" for e in ("yml", "json", "pdiparams")}), "not valid YAML"),
        (b"<html>", "no tar file"),
    ],
)
def test_what_is_not_the_model_is_not_trusted(
    content: bytes, message: str, server: ArchiveServer, cache: ModelCache
) -> None:
    server.replies = [Reply(content)]
    with pytest.raises(ModelError, match=rf"^BlazeFace_infer\.tar is refused: .*{message}") as seen:
        run(cache, server.url)
    assert str(cache.root) not in str(seen.value)
    assert cache.record("BlazeFace") is None
    assert leftovers(cache) == []
    server.replies = [Reply(FIRST, etag='"two"')]
    assert run(cache, server.url) == cache.installed("BlazeFace")


def test_an_archive_that_declares_no_name(server: ArchiveServer, cache: ModelCache) -> None:
    files = {"inference.yml": b"arch: Face", "inference.pdmodel": b"", "inference.pdiparams": b""}
    server.replies = [Reply(tar(files))]
    assert run(cache, server.url) == cache.installed("BlazeFace")


def test_resumed_by_the_next_run(server: ArchiveServer, cache: ModelCache) -> None:
    server.replies = [Reply(FIRST, breaks_after=2000), Reply(FIRST, breaks_after=0)]
    with pytest.raises(ModelError, match="the connection broke off"):
        run(cache, server.url)
    server.replies = [Reply(FIRST)]
    run(cache, server.url)
    assert server.ranges[-1] == "bytes=2000-"


def test_without_a_network_it_says_what_to_put_where(cache: ModelCache) -> None:
    with pytest.raises(ModelError) as caught:
        run(cache, "http://127.0.0.1:1")
    message = str(caught.value)
    assert message.startswith("BlazeFace can't be downloaded: the server can't be reached.")
    for part in ("BlazeFace_infer.tar", "--mirror", VARIABLE, "model_dir", "models show BlazeFace"):
        assert part in message
    assert "127.0.0.1" not in message
    assert str(cache.root) not in message


def test_a_cache_that_can_not_be_written(tmp_path: Path, server: ArchiveServer) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match=r"the cache can't be written: .*FACE_SERVE_CACHE names"):
        run(ModelCache(tmp_path / "file"), server.url)
    assert server.requests == []


def test_an_installed_model_needs_no_right_to_write(
    server: ArchiveServer, cache: ModelCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container whose image brought the cache."""
    server.replies = [Reply(FIRST)]
    directory = run(cache, server.url)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(FileLock, "acquire", refuse)
    assert run(cache, server.url) == directory


def test_threads_fetch_once(server: ArchiveServer, cache: ModelCache) -> None:
    server.replies = [Reply(FIRST, drips=0.01)]
    with ThreadPoolExecutor(6) as pool:
        directories = set(pool.map(lambda _: run(cache, server.url), range(6)))
    assert len(directories) == 1
    assert len(server.requests) == 1


def test_processes_fetch_once(server: ArchiveServer, cache: ModelCache) -> None:
    server.replies = [Reply(FIRST, drips=0.1)]
    program = (
        "import sys; from pathlib import Path;"
        "from serve_app.models.zoo.cache import ModelCache;"
        "from serve_app.models.zoo.fetch import fetch;"
        "from serve_app.models.zoo.table import BLAZEFACE;"
        "print(fetch(BLAZEFACE, ModelCache(Path(sys.argv[1])), sys.argv[2], print).name)"
    )
    command = [sys.executable, "-c", program, str(cache.root.parent), server.url]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    outputs = [process.communicate(timeout=60)[0] for process in runs]
    assert [process.returncode for process in runs] == [0] * 4
    assert len(server.requests) == 1
    assert {output.splitlines()[-1] for output in outputs} == {f"BlazeFace-{sha256(FIRST)[:12]}"}


def test_waiting_for_another_process_ends(cache: ModelCache) -> None:
    cache.root.mkdir(parents=True)
    patience = Patience(total=0.2)
    with (
        FileLock(cache.root / "BlazeFace.lock"),
        pytest.raises(ModelError, match="another process is fetching it"),
    ):
        fetch(BLAZEFACE, cache, "http://127.0.0.1:1", lambda *_: None, patience=patience)


def test_a_fetch_that_was_killed_leaves_nothing_in_the_way(
    server: ArchiveServer, cache: ModelCache
) -> None:
    (cache.root / "unpacking" / "BlazeFace" / "inference.yml").mkdir(parents=True)
    (cache.root / "BlazeFace_infer.tar.part").write_bytes(b"rest of something")
    server.replies = [Reply(FIRST)]
    assert run(cache, server.url) == cache.installed("BlazeFace")
