"""``face-serve gallery``: what each command prints and does."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from serve_app.errors import (
    GalleryExistsError,
    GalleryMismatchError,
    GalleryNotFoundError,
    InvalidRequestError,
)
from serve_app.index.cache import GalleryCache
from serve_app.index.records import Moment
from serve_app.index.staged import StagedGallery
from serve_app.index.store.job_store import JobStore
from serve_app.index.warming import Warmer
from serve_app.types import JobMode, Metric, Shard
from tests.index.samples import DIMENSION, MODEL, build, info_of
from tests.index.staged_rows import new, published
from tests.index.watched import people

from .commands import Commands

FIXTURE = Path(__file__).parent.parent / "index" / "data" / "paddlex" / "paddlex343_flat_ip"


@pytest.fixture
def staff(commands: Commands) -> Commands:
    store = commands.store()
    build(store, "staff", 3)
    build(store, "guests", 1)
    store.close()
    return commands


def test_list(staff: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_app.cli.gallery.KEYS_A_PAGE", 1)
    lines = staff.run("gallery", "list").splitlines()
    assert lines[0].split() == [
        "key", "templates", "index", "metric", "dimension", "model", "changed",
    ]  # fmt: skip
    assert [line.split()[:6] for line in lines[2:]] == [
        ["guests", "1", "Flat", "IP", "8", MODEL],
        ["staff", "3", "Flat", "IP", "8", MODEL],
    ]


def test_show(staff: Commands) -> None:
    output = staff.run("gallery", "show", "staff")
    facts = dict(line.split(maxsplit=1) for line in output.splitlines() if "next" not in line)
    assert (facts["templates"], facts["model"], facts["snapshot"]) == ("3", MODEL, "no")
    with pytest.raises(GalleryNotFoundError):
        staff.run("gallery", "show", "nobody")


def test_json(staff: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_app.cli.gallery.KEYS_A_PAGE", 1)
    listed = json.loads(staff.run("gallery", "list", "--json"))
    assert [(one["key"], one["templates"]) for one in listed] == [("guests", 1), ("staff", 3)]
    shown = json.loads(staff.run("gallery", "show", "staff", "--json"))
    assert shown == listed[1]
    assert (shown["model"], shown["snapshot"], shown["next_id"]) == (MODEL, False, 3)


def test_export_and_import(staff: Commands, tmp_path: Path) -> None:
    output = staff.run("gallery", "export", "staff", str(tmp_path / "index"))
    assert output == "gallery staff: 3 templates written to index\n"
    output = staff.run("gallery", "import", str(tmp_path / "index"), "copy")
    assert output == f"gallery copy: 3 templates of model {MODEL}\n"
    with pytest.raises(GalleryExistsError):
        staff.run("gallery", "import", str(tmp_path / "index"), "copy")
    with pytest.raises(GalleryMismatchError, match="not of other"):
        staff.run("gallery", "import", str(tmp_path / "index"), "b", "--model-id", "other")
    with pytest.raises(InvalidRequestError, match="a gallery key has"):
        staff.run("gallery", "import", str(tmp_path / "index"), "../b")
    with pytest.raises(InvalidRequestError, match="index exists already"):
        staff.run("gallery", "export", "guests", str(tmp_path / "index"))


def test_import_of_paddlex(commands: Commands) -> None:
    output = commands.run("gallery", "import", str(FIXTURE), "a", "--model-id", "theirs@12")
    assert output == "gallery a: 3 templates of model theirs@12\n"


@pytest.mark.models
def test_import_of_the_pipelines_own_model(commands: Commands) -> None:
    output = commands.run("gallery", "import", str(FIXTURE), "a", "--pipeline", "face_recognition")
    assert "3 templates of model SFace@" in output
    shown = commands.run("gallery", "show", "a")
    assert "128" in shown


def test_import_of_another_dimension(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve_app.cli.model_of.extractor_of", lambda *_: ("ResNet@1", 512))
    with pytest.raises(
        GalleryMismatchError, match="flat_ip holds 128 dimensions, ResNet@1 makes 512"
    ):
        commands.run("gallery", "import", str(FIXTURE), "a")
    assert list(commands.data_dir.iterdir()) == []


def test_a_bad_directory_is_refused_before_the_database(commands: Commands, tmp_path: Path) -> None:
    shutil.copytree(FIXTURE, tmp_path / "bad")
    (tmp_path / "bad" / "vector.index").write_bytes(b"")
    with pytest.raises(InvalidRequestError, match=r"^vector.index is damaged"):
        commands.run("gallery", "import", str(tmp_path / "bad"), "a", "--model-id", "m")
    assert list(commands.data_dir.iterdir()) == []


def test_drop(staff: Commands) -> None:
    refused = staff.invoke("gallery", "drop", "staff")
    assert refused.exit_code == 1
    assert "Remove gallery staff with 3 templates?" in refused.output
    assert "staff" in staff.run("gallery", "list")
    output = staff.run("gallery", "drop", "staff", "--yes")
    assert output == "gallery staff: dropped, 3 templates removed\n"
    assert "staff" not in staff.run("gallery", "list")


def test_optimize(staff: Commands) -> None:
    assert "its index of 3 templates" in staff.run("gallery", "optimize", "staff")
    store = staff.store()
    store.remove("staff", [0], with_labels=False)
    staff.run("gallery", "optimize", "staff")
    store.close()


def test_rollback(staff: Commands) -> None:
    with pytest.raises(GalleryNotFoundError, match="nothing to go back to"):
        staff.run("gallery", "rollback", "staff", "--yes")
    with pytest.raises(GalleryNotFoundError, match="nobody does not exist"):
        staff.run("gallery", "rollback", "nobody", "--yes")
    store = staff.store()
    wanted = StagedGallery("Flat", Metric.IP, DIMENSION, "other-5678")
    published(store, mode=JobMode.REPLACE, count=5, wanted=wanted)
    refused = staff.invoke("gallery", "rollback", "staff")
    assert refused.exit_code == 1
    asked = f"Serve 3 templates of model {MODEL} as staff, instead of 5 of model other-5678?"
    assert asked in refused.output
    assert info_of(store).size == 5
    output = staff.run("gallery", "rollback", "staff", "--yes")
    assert output == f"gallery staff: 3 templates of model {MODEL} are served now\n"
    assert info_of(store).size == 3
    output = staff.run("gallery", "rollback", "staff", "--yes")
    assert output == "gallery staff: 5 templates of model other-5678 are served now\n"
    store.remove("staff", [0], with_labels=False)
    with pytest.raises(GalleryNotFoundError, match="something was removed from it since"):
        staff.run("gallery", "rollback", "staff", "--yes")
    assert staff.run("gallery", "list").count("\n") == 4
    store.close()


def test_rollback_has_replicas_read_it_first(staff: Commands) -> None:
    store = staff.store()
    published(store, mode=JobMode.REPLACE, count=5)
    generation = JobStore(store).previous("staff").generation
    cache = GalleryCache(store, inline=0)
    warmer = Warmer(store, cache, Shard(), look_s=0.05)
    warmer.start()
    while not store.leases("replica/"):
        time.sleep(0.01)
    assert people(cache) == new(5)
    staff.run("gallery", "rollback", "staff", "--yes")
    deadline = time.monotonic() + 30
    while cache.standing_of("staff") != Moment(generation, 1):  # without a search
        assert time.monotonic() < deadline
        time.sleep(0.01)
    warmer.stop()
    cache.close()
    store.close()
