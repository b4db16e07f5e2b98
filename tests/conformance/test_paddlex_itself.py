"""PaddleX itself reads what is written here, and the reverse. Runs where there is one:

``FACE_SERVE_PADDLEX_PYTHON`` names the Python of an environment of its own with ``paddlex==3.4.3``,
``paddlepaddle==3.2.2`` and ``faiss-cpu==1.15.1`` (3.5.0 to 3.7.2 can't build an index). It is no
dependency: it would take other versions of OpenCV and numpy than ours.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import cv2
import pytest
import yaml

from serve_app import IndexData, create_pipeline
from tests.conformance.replay import DATA, PIPELINE

PYTHON = os.environ.get("FACE_SERVE_PADDLEX_PYTHON")
needs_paddlex = pytest.mark.skipif(
    PYTHON is None, reason="FACE_SERVE_PADDLEX_PYTHON names no Python that has paddlex==3.4.3"
)
IMAGES = [str(DATA / "images" / f"demo{number}.png") for number in range(5)]
LABELS = ["ID0", "张三", "O'Neil: x", "Анна", "1"]
SCENE = str(DATA / "images" / "scene_2face.png")

PEER = """
import json, os, sys
os.environ["PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK"] = "1"
from paddlex import create_pipeline

def plain(value):
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value.item() if hasattr(value, "item") else value

asked = json.loads(sys.argv[1])
pipeline = create_pipeline(pipeline=asked["pipeline"])
for built in asked["build"]:
    index = pipeline.build_index(built["images"], built["labels"], metric_type="IP",
                                 index_type=built["type"])
    index.save(built["to"])
answers = {}
for directory in asked["search"]:
    (result,) = pipeline.predict(asked["image"], index=directory)
    answers[directory] = plain(result["boxes"])
print("ANSWER", json.dumps(answers))
"""


def paddlex(directory: Path, **asked: Any) -> Any:
    config = yaml.safe_load(PIPELINE.read_text())
    for key in ("enrol", "compat"):
        del config[key]
    for module in config["SubModules"].values():
        module["model_dir"] = str(DATA / module["model_dir"])
    (directory / "paddlex.yaml").write_text(yaml.safe_dump(config))
    spec = {"pipeline": str(directory / "paddlex.yaml"), "image": SCENE, "build": [], "search": []}
    assert PYTHON is not None
    run = subprocess.run(
        [PYTHON, "-c", PEER, json.dumps(spec | asked)],
        cwd=directory, capture_output=True, text=True, check=False, timeout=150,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads(run.stdout.rpartition("ANSWER ")[2])


def assert_alike(ours: Any, theirs: Any) -> None:
    assert [box["labels"] for box in ours] == [box["labels"] for box in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert one["coordinate"] == pytest.approx(other["coordinate"], abs=1e-3)
        assert one["rec_scores"] == pytest.approx(other["rec_scores"], abs=1e-4)
        assert one["det_score"] == pytest.approx(other["det_score"], abs=1e-4)


@needs_paddlex
def test_paddlex_reads_and_searches_what_is_saved_here(tmp_path: Path) -> None:
    pipeline = create_pipeline(str(PIPELINE), workers=1)
    saved = {}
    for kind in ("Flat", "IVF", "HNSW32"):
        for images in (IMAGES, [cv2.imread(one) for one in IMAGES] * 100):  # IVF trains on many
            labels = (LABELS * 100)[: len(images)]
            index = pipeline.build_index(images, labels, "IP", kind)
            index = pipeline.remove_index([4], index)
            directory = str(tmp_path / f"{kind}-{len(images)}")
            index.save(directory)
            saved[directory] = index
    answers = paddlex(tmp_path, search=list(saved))
    for directory, theirs in answers.items():
        (ours,) = pipeline.predict(SCENE, index=saved[directory])
        if directory.endswith("-5"):
            assert_alike(ours["boxes"], theirs)
        else:  # of a hundred equal templates, which five come first is FAISS's to say
            assert [b["labels"][0] for b in ours["boxes"]] == [b["labels"][0] for b in theirs]


@needs_paddlex
def test_what_paddlex_saves_is_read_and_searched_here(tmp_path: Path) -> None:
    kinds = {str(tmp_path / kind): kind for kind in ("Flat", "HNSW32")}
    build = [
        {"images": IMAGES, "labels": LABELS, "type": kind, "to": directory}
        for directory, kind in kinds.items()
    ]
    answers = paddlex(tmp_path, build=build, search=list(kinds))
    pipeline = create_pipeline(str(PIPELINE), workers=1)
    for directory, kind in kinds.items():
        index = IndexData.load(directory)
        assert (index.index_type, index.metric_type, len(index)) == (kind, "IP", 5)
        assert list(index.id_map.values()) == LABELS
        (ours,) = pipeline.predict(SCENE, index=index)
        assert_alike(ours["boxes"], answers[directory])
