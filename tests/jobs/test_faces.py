"""What the actors of a job do, with the service's own networks on photographs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import faiss
import numpy as np
import pytest
from numpy.typing import NDArray

from serve_app.config import (
    EnrolConfig,
    FetchConfig,
    Limits,
    PipelineConfig,
    default_cache_dir,
    load_pipeline,
)
from serve_app.errors import FaceServeError, FetchError
from serve_app.jobs.faces import NO_ID, Columns, FaceEmbedder, FaceFinder, digest_of
from serve_app.jobs.flow import Parts
from serve_app.jobs.inputs.reading import ImageReader
from serve_app.jobs.inputs.rows import ImageRow
from serve_app.models.runtime import Session, Tensors
from serve_app.models.zoo.opening import Watch, unwatched
from serve_app.pipeline import FacePipeline, open_pipeline
from serve_app.pipeline.create import create_pipeline
from serve_app.types import Vectors
from tests.conformance.replay import DATA, PIPELINE

FACES = Path(__file__).parents[3] / "shared" / "faces"
IMAGES = DATA / "images"
CACHE = default_cache_dir(os.environ)


class Rows:
    """An input of what is given."""

    fingerprint = "given"

    def __init__(self, rows: Sequence[ImageRow]) -> None:
        self._rows = rows
        self.total = len(rows)

    def rows(self, start: int, stop: int) -> Iterator[ImageRow]:
        yield from self._rows[start:stop]


def reader() -> ImageReader:
    return ImageReader(Limits(), FetchConfig(), None)


def found(
    rows: Sequence[ImageRow],
    config: PipelineConfig,
    *,
    parts: Parts | None = None,
    limits: Limits | None = None,
) -> list[Columns]:
    """What the finder makes of all parts. In a thread: it steps back, for good."""

    def work() -> list[Columns]:
        given = parts or Parts(0, len(rows))
        finder = FaceFinder(Rows(rows), given, reader, config, limits or Limits(), CACHE, unwatched)
        return list(finder({"id": np.arange(len(given))}))

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


def embedded(columns: Columns, config: PipelineConfig, watch: Watch = unwatched) -> Columns:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: FaceEmbedder(config, CACHE, watch)(columns)).result()


def rows_of(*files: Path, **facts: Any) -> list[ImageRow]:
    return [
        ImageRow(position, str(file), f"person {position}", **facts)
        for position, file in enumerate(files)
    ]


@pytest.fixture(scope="module")
def stand_ins() -> PipelineConfig:
    """PaddleX's stand-ins: no weights are needed."""
    return load_pipeline(str(PIPELINE))


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    data = pytest.importorskip("skimage.data", reason="the portrait comes with scikit-image")
    file = tmp_path / "portrait.jpg"
    cv2.imwrite(str(file), cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR))
    return file


def alike(one: Vectors, other: Vectors) -> None:
    """Cosine at least 0.99999, row by row."""
    assert one.shape == other.shape
    norms = np.linalg.norm(one.astype(float), axis=1) * np.linalg.norm(other.astype(float), axis=1)
    assert ((one.astype(float) * other).sum(axis=1) / norms).min() >= 0.99999


def test_columns_of_a_part(stand_ins: PipelineConfig) -> None:
    files = [IMAGES / f"demo{number}.png" for number in range(3)]
    rows = [*rows_of(*files[:2]), ImageRow(2, str(files[2]), "person 2", id=70)]
    (columns,) = found(rows, stand_ins)
    assert columns["position"].dtype == columns["id"].dtype == np.int64
    assert columns["position"].tolist() == [0, 1, 2]
    assert columns["id"].tolist() == [NO_ID, NO_ID, 70]
    assert columns["source"].tolist() == [str(file) for file in files]
    assert columns["label"].tolist() == ["person 0", "person 1", "person 2"]
    assert columns["fault"].tolist() == ["", "", ""]
    assert columns["digest"].tolist() == [
        hashlib.blake2b(file.read_bytes(), digest_size=16).digest() for file in files
    ]
    assert columns["crop"].shape == (3, 112, 112, 3)
    assert columns["crop"].dtype == np.uint8
    assert columns["crop"].reshape(3, -1).any(axis=1).all()
    after = embedded(columns, stand_ins)
    assert after.keys() == columns.keys() - {"crop"} | {"vector"}
    for name in after.keys() - {"vector"}:
        assert after[name].tolist() == columns[name].tolist()
    assert after["vector"].dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(after["vector"], axis=1), 1, atol=1e-5)


def test_each_part_for_itself(stand_ins: PipelineConfig) -> None:
    rows = rows_of(*[IMAGES / f"demo{number}.png" for number in range(5)])
    (whole,) = found(rows, stand_ins)
    parts = found(rows, stand_ins, parts=Parts(1, 5, 2))
    assert [part["position"].tolist() for part in parts] == [[1, 2], [3, 4]]
    np.testing.assert_array_equal(np.concatenate([p["crop"] for p in parts]), whole["crop"][1:])


def test_faulty_rows_fail_alone(stand_ins: PipelineConfig, tmp_path: Path) -> None:
    good = IMAGES / "demo0.png"
    (tmp_path / "torn.png").write_bytes(good.read_bytes()[:200])
    (tmp_path / "text.png").write_text("no image")
    rows = [
        ImageRow(0, str(good), "A"),
        ImageRow(1, str(tmp_path / "nowhere.png"), "B"),
        ImageRow(2, str(tmp_path / "torn.png"), "C"),
        ImageRow(3, str(good), "", fault="line 4 has no label"),
        ImageRow(4, "table.parquet", "E", image=good.read_bytes()),
        ImageRow(5, str(IMAGES / "scene_0face.png"), "F"),
        ImageRow(6, str(tmp_path / "text.png"), "G"),
        ImageRow(7, "table.parquet", "H", image=b""),
        ImageRow(8, str(good), "I"),
    ]
    config = stand_ins.model_copy(update={"enrol": EnrolConfig(detect=True)})
    (columns,) = found(rows, config)
    faults = columns["fault"].tolist()
    assert [place for place, fault in enumerate(faults) if not fault] == [0, 4, 8]
    assert faults[3] == "line 4 has no label"
    assert "no face found" in faults[5]
    assert not any(str(tmp_path) in fault or "\n" in fault for fault in faults)
    assert [len(digest) for digest in columns["digest"]] == [16, 0, 16, 0, 16, 16, 16, 16, 16]
    assert len({columns["digest"][place] for place in (0, 4, 8)}) == 1
    np.testing.assert_array_equal(
        columns["crop"].reshape(9, -1).any(axis=1), [not fault for fault in faults]
    )
    after = embedded(columns, stand_ins)
    assert after["fault"].tolist() == faults
    np.testing.assert_array_equal(after["vector"].any(axis=1), [not fault for fault in faults])
    np.testing.assert_array_equal(after["vector"][0], after["vector"][8])


def test_a_part_of_faults_only(stand_ins: PipelineConfig) -> None:
    rows = [ImageRow(0, "x", "A", fault="no label"), ImageRow(1, "y", "B", fault="no label")]
    (columns,) = found(rows, stand_ins)
    after = embedded(columns, stand_ins)
    assert after["fault"].tolist() == ["no label"] * 2
    assert after["vector"].shape[0] == 2
    assert not after["vector"].any()


def test_limits_of_an_image_are_those_of_the_service(stand_ins: PipelineConfig) -> None:
    (columns,) = found(rows_of(IMAGES / "demo0.png"), stand_ins, limits=Limits(image_pixels=100))
    assert "over the limit" in columns["fault"][0]


class Broken:
    """A network that has no vector for the third crop that it sees; the first is its warm-up."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._seen = 0
        self.input_names = session.input_names

    def run(self, inputs: Tensors) -> dict[str, NDArray[Any]]:
        ((name, output),) = self._session.run(inputs).items()
        vectors = np.array(output)
        numbers = np.arange(self._seen, self._seen + len(vectors))
        vectors[numbers == 2] = np.nan
        self._seen += len(vectors)
        return {name: vectors}


def test_a_crop_without_a_vector_is_a_fault_of_its_row(stand_ins: PipelineConfig) -> None:
    rows = [*rows_of(IMAGES / "demo0.png"), ImageRow(1, "x", "X", fault="no label")]
    rows += rows_of(IMAGES / "demo1.png", IMAGES / "demo2.png")
    (columns,) = found(rows, stand_ins)
    broken = embedded(columns, stand_ins, lambda _, session: Broken(session))
    assert broken["fault"].tolist()[:2] == ["", "no label"]
    assert "can't be embedded" in broken["fault"][2]
    assert broken["vector"].any(axis=1).tolist() == [True, False, False, True]
    whole = embedded(columns, stand_ins)["vector"]
    np.testing.assert_array_equal(broken["vector"][[0, 3]], whole[[0, 3]])


@pytest.mark.models
def test_several_faces_where_one_is_asked_for(portrait: Path, tmp_path: Path) -> None:
    image = cv2.imread(str(portrait))
    pair = tmp_path / "pair.png"
    cv2.imwrite(str(pair), np.hstack([image, image]))
    single = PipelineConfig.model_validate({"enrol": {"faces": "single"}})
    (columns,) = found(rows_of(portrait, pair), single)
    assert columns["fault"][0] == ""
    assert "several faces found (2)" in columns["fault"][1]
    (columns,) = found(rows_of(portrait, pair), PipelineConfig())
    assert columns["fault"].tolist() == ["", ""]


@pytest.fixture(scope="module")
def service() -> FacePipeline:
    """The stages as the service has them."""
    return open_pipeline(PipelineConfig(), CACHE)


@pytest.mark.models
def test_vectors_are_those_of_the_service(
    service: FacePipeline, portrait: Path, tmp_path: Path
) -> None:
    image = cv2.imread(str(portrait))
    files = [portrait]
    for number, scale in enumerate((0.4, 1.0, 3.0)):  # the last is read at half its size
        file = tmp_path / f"{number}.jpg"
        cv2.imwrite(str(file), cv2.resize(image[:, ::-1], None, fx=scale, fy=scale))
        files.append(file)
    (columns,) = found(rows_of(*files), PipelineConfig())
    assert columns["fault"].tolist() == [""] * len(files)
    expected = [service.embed_for_enrolment(file.read_bytes()).vectors[0] for file in files]
    alike(embedded(columns, PipelineConfig())["vector"], np.array(expected))


@pytest.mark.models
@pytest.mark.skipif(not FACES.exists(), reason="photographs are in ../shared, which is not here")
def test_vectors_are_those_of_build_index(tmp_path: Path) -> None:
    lines = (FACES / "gallery.txt").read_text(encoding="utf-8").splitlines()[:80]
    (tmp_path / "gallery.txt").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "images").symlink_to(FACES / "images")
    pipeline = create_pipeline(pipeline="face_recognition")
    index = pipeline.build_index(
        gallery_imgs=str(tmp_path), gallery_label=str(tmp_path / "gallery.txt")
    )
    rows = rows_of(*[FACES / line.partition(" ")[0] for line in lines])
    columns = found(rows, PipelineConfig(), parts=Parts(0, len(rows), 32))
    vectors = [embedded(part, PipelineConfig())["vector"] for part in columns]
    assert [part["position"].size for part in columns] == [32, 32, 16]
    index.save(str(tmp_path / "index"))
    built = faiss.read_index(str(tmp_path / "index" / "vector.index"))
    alike(np.concatenate(vectors), built.reconstruct_n(0, len(rows)))


def test_an_image_that_could_not_be_read_has_no_digest() -> None:
    assert digest_of(FetchError("late")) == b""
    assert digest_of(b"a") == digest_of(b"a") != digest_of(b"b")
    assert issubclass(FetchError, FaceServeError)
