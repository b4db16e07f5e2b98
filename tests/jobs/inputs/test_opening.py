"""Which kind of input a request names, and what is said when it can't work."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest

from serve_app.config import FetchConfig, Limits
from serve_app.errors import FaceServeError, FetchError, InvalidRequestError
from serve_app.jobs.inputs.allowed import AllowedInputs
from serve_app.jobs.inputs.embeddings import Embeddings
from serve_app.jobs.inputs.listed import ListedImages
from serve_app.jobs.inputs.opening import open_input
from serve_app.jobs.inputs.parquet_images import ParquetImages
from serve_app.jobs.inputs.reading import ImageReader
from tests.jobs.inputs.samples import files, pairs, put, request, vectors, write_table


def fill(folder: Path) -> None:
    """Something of every kind."""
    (folder / "gallery").mkdir(parents=True)
    (folder / "gallery" / "gallery.txt").write_text("images/a.jpg Ann\n")
    (folder / "people" / "Ann").mkdir(parents=True)
    (folder / "people" / "Ann" / "a.jpg").write_bytes(b"a")
    (folder / "t.csv").write_text("path,label\na.jpg,Ann\n")
    write_table(folder / "t.parquet", {"path": ["a.jpg"], "label": ["Ann"]})
    (folder / "parts").mkdir()
    for number, name in enumerate(["b.parquet", "a.parquet", "_skipped.parquet"]):
        write_table(folder / "parts" / name, {"path": [f"{number}.jpg"], "label": ["Ann"]})
    (folder / "parts" / "notes.txt").write_text("no table")
    columns = {"embedding": vectors(2), "label": ["A", "B"]}
    write_table(folder / "e.data", columns, metadata={"model_id": "m"})


def sources(found: Any) -> list[str]:
    return [source for source, _ in pairs(list(found.rows(0, found.total)))]


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("gallery", ListedImages, ["gallery/images/a.jpg"]),
        ("gallery/gallery.txt", ListedImages, ["gallery/images/a.jpg"]),
        ("people", ListedImages, ["people/Ann/a.jpg"]),
        ("t.csv", ListedImages, ["a.jpg"]),
        ("t.parquet", ParquetImages, ["a.jpg"]),
        ("parts", ParquetImages, ["parts/1.jpg", "parts/0.jpg"]),
    ],
)
def test_kinds_are_told_apart(
    tmp_path: Path, name: str, kind: type[object], expected: list[str]
) -> None:
    fill(tmp_path)
    found = open_input(request(tmp_path / name), None)
    assert isinstance(found, kind)
    assert sources(found) == [f"{tmp_path}/{each}" for each in expected]
    elsewhere = open_input(request(tmp_path / name, root="/r"), None)
    if name != "people":
        assert sources(elsewhere)[0].startswith("/r/")


def test_in_a_bucket_all_the_same(tmp_path: Path) -> None:
    fill(tmp_path)
    contents = {
        str(path.relative_to(tmp_path)): path.read_bytes()
        for path in tmp_path.rglob("*") if path.is_file()
    }  # fmt: skip
    place = put("opening", contents)
    for name, expected in (
        ("gallery", "gallery/images/a.jpg"), ("people", "people/Ann/a.jpg"), ("t.csv", "a.jpg"),
        ("t.parquet", "a.jpg"), ("parts", "parts/1.jpg"),
    ):  # fmt: skip
        found = open_input(request(f"{place}/{name}"), None, files=files())
        assert sources(found)[0] == f"{place}/{expected}"


def test_embeddings_by_their_column_or_by_word(tmp_path: Path) -> None:
    fill(tmp_path)
    assert isinstance(open_input(request(tmp_path / "e.data"), None), Embeddings)
    with pytest.raises(InvalidRequestError, match="needed are path, url or bytes"):
        open_input(request(tmp_path / "e.data", kind="table"), None)
    with pytest.raises(InvalidRequestError, match="needed are label and embedding"):
        open_input(request(tmp_path / "t.parquet", kind="embeddings"), None)
    with pytest.raises(InvalidRequestError, match="model m, and model_id says k"):
        open_input(request(tmp_path / "e.data", model_id="k"), None)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("missing", "auto", "there is no"),
        ("t.csv", "directory", "is a file, not a directory of people"),
        ("t.csv", "embeddings", "is no Parquet file"),
        ("people", "annotation", r"holds no gallery\.txt"),
        ("people", "table", "holds no Parquet file"),
        ("people/Ann", "auto", "holds nobody to enrol"),
        ("people/Ann/a.jpg", "auto", "a.jpg: 1 line can't be used"),
    ],
)
def test_one_clear_message(tmp_path: Path, name: str, kind: Any, message: str) -> None:
    fill(tmp_path)
    with pytest.raises(InvalidRequestError, match=message):
        open_input(request(tmp_path / name, kind=kind), None)


def test_for_jobs_over_http(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    fill(inside)
    write_table(tmp_path / "secret.parquet", {"path": ["a.jpg"], "label": ["Ann"]})
    (inside / "parts" / "c.parquet").symlink_to(tmp_path / "secret.parquet")
    (inside / "gallery" / "gallery.txt").write_text("a.jpg Ann\n../../x.jpg Bob\n/etc/passwd Cid\n")
    allowed = AllowedInputs((str(inside),))
    found = open_input(request(inside / "gallery"), allowed)
    assert isinstance(found, ListedImages)
    faults = [row.fault for row in found.rows(0, 3)]
    assert faults[0] is None
    assert all("jobs.inputs" in str(fault) for fault in faults[1:])
    for place in (inside / "parts", tmp_path / "secret.parquet", tmp_path / "missing"):
        with pytest.raises(InvalidRequestError, match=r"jobs\.inputs"):
            open_input(request(place), allowed)
    with pytest.raises(InvalidRequestError, match=r"^root .*jobs\.inputs"):
        open_input(request(inside / "t.csv", root="/"), allowed)


def test_unreachable(tmp_path: Path) -> None:
    class Hanging:
        def info(self, path: str) -> Any:
            time.sleep(20)

    began = time.monotonic()
    with pytest.raises(InvalidRequestError, match="s3://far/a can't be read: it does not answer"):
        open_input(request("s3://far/a"), None, files=files(s3=Hanging))
    assert time.monotonic() - began < 5
    with pytest.raises(InvalidRequestError, match="there is no s3://nowhere/x"):
        open_input(request("s3://nowhere/x"), None, files=files())


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def host(tmp_path: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "gallery/gallery.txt"])
def test_tables_by_url(tmp_path: Path, host: str, name: str) -> None:
    """A user's own, and one that comes over HTTP and is allowed."""
    fill(tmp_path)
    folder = "gallery/images/" if name.startswith("gallery") else ""
    for allowed in (None, AllowedInputs((host,))):
        found = open_input(request(f"{host}/{name}"), allowed, FetchConfig(allow=("127.0.0.1",)))
        assert sources(found) == [f"{host}/{folder}a.jpg"]
    with pytest.raises(FetchError, match="public internet"):
        open_input(request(f"{host}/{name}"), AllowedInputs((host,)))


def test_s3_by_its_own_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """s3fs against moto: a bucket, a missing one, none at all."""
    pytest.importorskip("s3fs")
    server_of_moto = pytest.importorskip("moto.server")
    fill(tmp_path)
    server = server_of_moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        _, port = server.get_host_and_port()
        for name, value in (("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}"),
                            ("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"),
                            ("AWS_DEFAULT_REGION", "us-east-1")):  # fmt: skip
            monkeypatch.setenv(name, value)
        fsspec.filesystem("s3").clear_instance_cache()
        store = fsspec.filesystem("s3", skip_instance_cache=True)
        store.mkdir("bucket")
        store.put(f"{tmp_path}/", "bucket/x/", recursive=True)
        for name, expected in (("gallery", "gallery/images/a.jpg"), ("people", "people/Ann/a.jpg"),
                               ("t.csv", "a.jpg"), ("parts", "parts/1.jpg")):  # fmt: skip
            found = open_input(request(f"s3://bucket/x/{name}"), None)
            assert sources(found)[0] == f"s3://bucket/x/{expected}"
        with pytest.raises(InvalidRequestError, match="there is no s3://missing/x"):
            open_input(request("s3://missing/x"), None)
        store.pipe_file("bucket/x/empty.jpg", b"")
        for name in ("empty", "missing"):
            with pytest.raises(InvalidRequestError, match="no such image, or it is empty"):
                ImageReader(Limits(), FetchConfig(), None).read(f"s3://bucket/x/{name}.jpg")
        for name, value in (("AWS_EC2_METADATA_DISABLED", "true"), ("AWS_CONFIG_FILE", os.devnull),
                            ("AWS_SHARED_CREDENTIALS_FILE", os.devnull)):  # fmt: skip
            monkeypatch.setenv(name, value)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        fsspec.filesystem("s3").clear_instance_cache()
        with pytest.raises(InvalidRequestError, match="give the cluster's environment credentials"):
            open_input(request("s3://bucket/x/t.csv"), None)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
        fsspec.filesystem("s3").clear_instance_cache()
    finally:
        server.stop()
    began = time.monotonic()
    with pytest.raises(FaceServeError, match=r"s3://bucket/x/t\.csv can't be read"):
        open_input(request("s3://bucket/x/t.csv"), None)
    assert time.monotonic() - began < 25
