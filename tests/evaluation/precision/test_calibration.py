"""What is allowed, and what may be mixed, on a set that is large enough to tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from serve_app.evaluation.figures.all_pairs import silent
from serve_app.evaluation.precision.calibration import FACES, calibrate
from serve_app.evaluation.precision.checks import NOTHING
from serve_app.evaluation.sets import open_set
from serve_app.models.precision.precision import BF16, FP32, LOWER_ON, Kind, Precision
from serve_app.models.precision.record import PrecisionRecord
from tests.evaluation.precision.toy_extractors import ToyExtractors, ToyStage
from tests.evaluation.samples import write_people
from tests.evaluation.written_vectors import write

INT8 = Precision("int8", "1a2b3c4d")


def turned(vector: np.ndarray) -> np.ndarray:
    """All of a precision's vectors in other places: good among themselves, not beside fp32's."""
    return np.asarray(np.roll(vector, 1) - vector)


def noise(vector: np.ndarray) -> np.ndarray:
    seed = int(abs(vector).sum() * 1e6) % 2**32
    return np.random.default_rng(seed).normal(size=vector.shape)


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,200 genuine pairs."""
    root = tmp_path_factory.mktemp("people")
    return write_people(root, people=400, images=3, strangers=100, spread=0.3)


def run(
    root: Path, wanted: tuple[Kind, ...] = LOWER_ON["cpu"], **lower: ToyStage | str
) -> PrecisionRecord:
    extractors = ToyExtractors(lower)  # type: ignore[arg-type]
    return calibrate(open_set(root), extractors, wanted, silent)


def test_what_does_as_well_may_be_chosen_and_mixed(people: Path) -> None:
    record = run(people, bf16=ToyStage("toy@1+bf16"), int8=ToyStage("toy@1+int8-1a2b3c4d"))
    assert (record.network, record.digest, record.mirror) == ("toy", "d" * 64, False)
    assert record.images == 1300
    assert [row.precision for row in record.rows] == ["fp32", "bf16", "int8-1a2b3c4d"]
    assert record.mixable == (FP32, BF16, INT8)
    for row in record.rows:
        assert row.ms is not None
        assert (row.lost, row.apart, row.left_out) == ((), None, None)
        assert row.accuracy == record.rows[0].accuracy
        assert row.cosine_least == pytest.approx(1)
        assert row.recognised is not None


def test_what_is_less_accurate_may_not(people: Path) -> None:
    record = run(people, bf16=ToyStage("b", noise), int8=ToyStage("i"))
    fp32, bf16, int8 = record.rows
    assert any(loss.startswith("1:1 accuracy: ") for loss in bf16.lost)
    assert any("TPR at threshold 0.400" in loss for loss in bf16.lost)
    assert not bf16.allowed
    assert fp32.accuracy is not None
    assert bf16.accuracy is not None
    assert bf16.accuracy < fp32.accuracy - 0.001
    assert int8.allowed  # not compared with one that is out
    assert record.mixable == (FP32, INT8)


def test_what_is_accurate_for_itself_alone_may_not_be_mixed(people: Path) -> None:
    record = run(people, bf16=ToyStage("b"), int8=ToyStage("i", turned))
    int8 = record.rows[2]
    assert int8.lost == ()
    assert int8.accurate
    assert int8.apart is not None
    assert int8.apart.startswith("its probes in a gallery of fp32: TPR at threshold 0.400: ")
    assert record.mixable == (FP32, BF16)


def test_those_that_are_mixed_were_all_checked_with_each_other(tmp_path: Path) -> None:
    """Both are 20 degrees from fp32, on two sides of it, and so 40 degrees apart."""
    write_people(tmp_path, people=400, images=3, strangers=0, spread=0.01)

    def turned_by(degrees: float) -> ToyStage:
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        rotation = np.kron(np.eye(6), [[cos, -sin], [sin, cos]])
        return ToyStage("x", lambda v: rotation @ v - v)

    alone = [run(tmp_path, ("bf16",), bf16=turned_by(a)).rows[1] for a in (20, -20)]
    assert [row.allowed for row in alone] == [True, True]
    both = run(tmp_path, bf16=turned_by(20), int8=turned_by(-20))
    assert both.mixable == (FP32, BF16)
    assert both.rows[2].apart is not None
    assert "bf16" in both.rows[2].apart


def test_what_can_not_be_had_is_left_out(people: Path) -> None:
    record = run(people, bf16="precision bf16: no such processor", int8=ToyStage("i"))
    assert [row.precision for row in record.rows] == ["fp32", "int8-1a2b3c4d", "bf16"]
    assert record.rows[2].left_out == "precision bf16: no such processor"
    assert record.mixable == (FP32, INT8)


def test_only_what_was_asked_for(people: Path) -> None:
    record = run(people, ("int8",), int8=ToyStage("i"))
    assert [row.precision for row in record.rows] == ["fp32", "int8-1a2b3c4d"]


def test_too_few_photographs_allow_nothing(tmp_path: Path) -> None:
    write_people(tmp_path, people=20, images=2, strangers=5)
    record = run(tmp_path, bf16=ToyStage("b"), int8=ToyStage("i"))
    assert record.mixable == (FP32,)
    assert record.rows[1].lost == (NOTHING,)
    assert record.rows[1].ms is not None


def test_an_int8_network_is_made_of_faces_of_all_the_gallery(people: Path, tmp_path: Path) -> None:
    extractors = ToyExtractors({"int8": ToyStage("i")})
    photographs = open_set(people)
    calibrate(photographs, extractors, ("int8",), silent)
    (faces,) = extractors.made_of
    assert len(faces) == FACES
    chosen = [photographs.gallery[number * 400 // FACES].image for number in range(FACES)]
    wanted = [[float(value) for value in (people / name).read_text().split()] for name in chosen]
    np.testing.assert_allclose(faces[:, 0, :, 0], wanted)
    write_people(tmp_path, people=30, images=2, strangers=0)
    write(tmp_path, {"P003/0.jpg": ""})
    calibrate(open_set(tmp_path), extractors, ("int8",), silent)
    assert len(extractors.made_of[1]) == 29
