"""``face-serve index``: directories that are built, changed and left as they were."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from serve_app import IndexData
from serve_app.cli.main import app
from serve_app.errors import (
    FaceServeError,
    GalleryMismatchError,
    InvalidRequestError,
    RejectedPairsError,
)
from serve_app.types import Embeddings, Metric

from .processes import IMAGES, PIPELINE, run

PADDLEX = Path(__file__).parents[1] / "index" / "data" / "paddlex" / "paddlex343_flat_ip"


@pytest.fixture(autouse=True)
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``people``: Ann with two pictures, Bob with one. ``more``: a list with labels."""
    for name, picture in (("Ann/1", "demo0"), ("Ann/2", "demo1"), ("Bob/1", "demo2")):
        (tmp_path / "people" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(IMAGES / f"{picture}.png", tmp_path / "people" / f"{name}.png")
    (tmp_path / "more").mkdir()
    shutil.copy(IMAGES / "demo3.png", tmp_path / "more" / "c.png")
    (tmp_path / "more" / "list.txt").write_text("c.png Cy Young\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def staff(people: Path) -> Path:
    index("build", "people", "-o", "staff")
    return people / "staff"


def index(command: str, *arguments: str) -> Result:
    models = ["--pipeline", PIPELINE] if command in ("build", "append") else []
    result = CliRunner().invoke(app, ["index", command, *arguments, *models])
    if isinstance(result.exception, FaceServeError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def printed(result: Result) -> Any:
    return json.loads(result.stdout)


def files(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def test_build_of_a_folder_for_each_person(people: Path) -> None:
    result = index("build", "people", "-o", "staff")
    assert result.stdout == "staff: 3 enrolled; 3 templates of 2 people now\n"
    made = IndexData.load("staff")
    assert made.id_map == {0: "Ann", 1: "Ann", 2: "Bob"}
    assert (made.index_type, made.metric_type) == ("HNSW32", "IP")


def test_build_of_a_list(people: Path) -> None:
    result = index(
        "build", "more", "--labels", "more/list.txt", "-o", "out/staff", "--type", "Flat",
        "--metric", "L2", "--json",
    )  # fmt: skip
    assert printed(result) == {
        "directory": "out/staff", "enrolled": 1, "templates": 1, "people": 1,
    }  # fmt: skip
    made = IndexData.load("out/staff")
    assert (made.id_map, made.index_type, made.metric_type) == ({0: "Cy Young"}, "Flat", "L2")


def test_a_gallery_is_not_replaced_unasked(staff: Path) -> None:
    before = files(staff)
    with pytest.raises(InvalidRequestError, match="staff holds a gallery already: add to it"):
        index("build", "more", "--labels", "more/list.txt", "-o", "staff")
    assert files(staff) == before
    index("build", "more", "--labels", "more/list.txt", "-o", "staff", "--force")
    assert IndexData.load("staff").id_map == {0: "Cy Young"}


def test_nothing_is_half_built(people: Path) -> None:
    (people / "people" / "Bob" / "2.png").write_bytes(b"")
    with pytest.raises(RejectedPairsError, match=r"1 of 4 images failed:\n.*Bob/2\.png: image is"):
        index("build", "people", "-o", "staff")
    assert not (people / "staff").exists()


def test_append(staff: Path) -> None:
    result = index("append", "staff", "more", "--labels", "more/list.txt")
    assert result.stdout == "staff: 1 more enrolled; 4 templates of 3 people now\n"
    assert IndexData.load("staff").id_map[3] == "Cy Young"


def test_append_to_another_directory(staff: Path) -> None:
    before = files(staff)
    result = index("append", "staff", "people", "-o", "both", "--json")
    assert printed(result)["templates"] == 6
    assert files(staff) == before
    assert len(IndexData.load("both")) == 6


def test_append_all_or_nothing(staff: Path) -> None:
    before = files(staff)
    (staff.parent / "people" / "Bob" / "2.png").write_bytes(b"")
    with pytest.raises(RejectedPairsError, match="nothing was enrolled"):
        index("append", "staff", "people")
    assert files(staff) == before


def test_append_to_a_gallery_of_another_model(people: Path) -> None:
    vectors = np.eye(128, dtype=np.float32)[:1]
    IndexData.build("Flat", Metric.IP, ["Eve"], Embeddings("other@1", vectors)).save("theirs")
    with pytest.raises(GalleryMismatchError, match="other@1"):
        index("append", "theirs", "people")
    assert IndexData.load("theirs").id_map == {0: "Eve"}


@pytest.mark.parametrize("given", [["0", "2"], ["0,2"], ["0, 2", "0"], ["ids.txt"]])
def test_remove_by_id(given: list[str], staff: Path) -> None:
    (staff.parent / "ids.txt").write_text("0\n2\n", encoding="utf-8")
    result = index("remove", "staff", *given)
    assert result.stdout == "staff: 2 removed (0, 2); 1 template of 1 person now\n"
    assert result.stderr == ""
    assert IndexData.load("staff").id_map == {1: "Ann"}


def test_remove_by_label(staff: Path) -> None:
    result = index("remove", "staff", "--label", "Ann", "-o", "rest", "--json")
    assert printed(result) == {
        "directory": "rest", "removed": [0, 1], "not_there": [], "templates": 1, "people": 1,
    }  # fmt: skip
    assert IndexData.load("rest").id_map == {2: "Bob"}
    assert len(IndexData.load("staff")) == 3
    with pytest.raises(InvalidRequestError, match="nobody is called ann"):
        index("remove", "staff", "--label", "Ann", "--label", "ann")
    assert len(IndexData.load("staff")) == 3


def test_ids_that_are_not_there_are_ignored(staff: Path) -> None:
    result = index("remove", "staff", "7", "1", "9")
    assert result.stderr == "not there: 7, 9\n"
    assert result.stdout == "staff: 1 removed (1); 2 templates of 2 people now\n"
    assert printed(index("remove", "staff", "1", "--json"))["not_there"] == [1]


def test_many_ids_are_not_all_listed(staff: Path) -> None:
    result = index("remove", "staff", ",".join(map(str, range(100, 130))))
    assert result.stderr.endswith(" 118, 119 and 10 more\n")


def test_removing_nothing_is_a_mistake(staff: Path) -> None:
    with pytest.raises(InvalidRequestError, match="nothing to remove"):
        index("remove", "staff")
    with pytest.raises(InvalidRequestError, match="there is no file Ann"):
        index("remove", "staff", "Ann")


def test_ids_are_never_given_again(staff: Path) -> None:
    index("remove", "staff", "2")
    index("append", "staff", "more", "--labels", "more/list.txt")
    assert sorted(IndexData.load("staff").id_map) == [0, 1, 3]


def test_a_directory_of_paddlex_is_changed(people: Path) -> None:
    shutil.copytree(PADDLEX, "theirs")
    index("remove", "theirs", "0")
    assert 0 not in IndexData.load("theirs").id_map


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("build nowhere -o staff", "nowhere is not a directory"),
        ("build empty -o staff", "empty has nobody to enrol: make a folder for each person"),
        ("build people --labels none.txt -o staff", "gallery_label: there is no file none.txt"),
        ("build people -o staff --type Flt", "index type Flt"),
        ("build people -o staff --metric cosine", "metric_type: cosine is not known"),
        ("build people -o people/Ann/1.png", "people/Ann/1.png is a file: name a dir"),
        ("append nowhere people", "nowhere is not a directory"),
        ("remove empty 3", "id_map.yaml"),
    ],
)
def test_mistakes(command: str, message: str, people: Path) -> None:
    (people / "empty").mkdir()
    models = [] if "remove" in command else ["--pipeline", PIPELINE]
    result = run("index", *command.split(), *models, cwd=people)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("face-serve: ")
    assert message in result.stderr
    assert str(people) not in result.stderr
    assert not (people / "staff").exists()
