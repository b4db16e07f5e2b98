from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from serve_app.errors import InvalidRequestError

from .samples import run, write_people
from .written_vectors import write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, {
        "ann1": "1 0 0", "ann2": "0.9 0.1 0", "bob1": "0 1 0", "bob2": "0.1 0.9 0",
        "eve": "0.4 0.4 1", "none": "",
    })  # fmt: skip
    return tmp_path


def test_pairs_and_search(root: Path) -> None:
    (root / "pairs.txt").write_text("ann1 ann2 1\nbob1 bob2 1\nann1 bob1 0\n\nann1 eve 0\n")
    (root / "gallery.txt").write_text("\ufeffann1 Ann Lee\nbob1 Bob\n", encoding="utf-8")
    (root / "probes.txt").write_text("ann2 Ann Lee\nbob2 Ann Lee\neve -\nnone Bob\n")
    result = run(root, fpir=0.5)
    assert result.model_id == "toy@1"
    assert (result.images, result.without_face) == (6, 1)
    assert result.failures == {"none": "no face found"}
    assert result.verification is not None
    assert result.verification.accuracy == 1
    assert result.identification is not None
    assert (result.identification.rank1, result.identification.probes) == (1, 3)
    rates = result.pair_rates
    # Ann: ann1, ann2, bob2 (so the list says); Bob: bob1, none. The stranger meets all with a face.
    assert (rates.scope, rates.people, rates.nameless) == ("all pairs", 2, 1)
    assert (rates.genuine, rates.impostor) == (3 + 1, 3 * 1 + 4)


def test_only_pairs(root: Path) -> None:
    (root / "pairs.txt").write_text("ann1 ann2 1\nann1 bob1 0\nann1 none 1\nbob1 none 0\n")
    result = run(root)
    assert result.identification is None
    assert result.search_curve == []
    rates = result.pair_rates
    assert (rates.scope, rates.people) == ("listed pairs", None)
    assert (rates.genuine, rates.impostor) == (2, 1)
    assert rates.wished.refused == "not enough impostor pairs: 1, 1e-2 needs 1,000"


def test_a_gallery_without_a_face(root: Path) -> None:
    (root / "gallery.txt").write_text("none Ann\n")
    (root / "probes.txt").write_text("ann1 Ann\n")
    with pytest.raises(InvalidRequestError, match="no image of the gallery shows a face"):
        run(root)


def test_people(tmp_path: Path) -> None:
    result = run(write_people(tmp_path, people=30, images=3, strangers=40), fmr=5e-3)
    assert (result.images, result.without_face) == (130, 0)
    rates = result.pair_rates
    assert (rates.people, rates.nameless) == (70, 0)
    assert (rates.genuine, rates.impostor) == (90, 130 * 129 // 2 - 90)
    assert [point.refused for point in rates.at_fpr] == [
        "not enough impostor pairs: 8,295, 1e-3 needs 10,000",
        "not enough impostor pairs: 8,295, 1e-4 needs 100,000",
    ]
    assert rates.wished.false_matches == 41
    assert rates.wished.threshold_interval is not None
    span = rates.wished.threshold_interval
    assert rates.wished.threshold is not None
    assert span.low < rates.wished.threshold < span.high
    assert result.verification is not None
    assert (result.verification.genuine, result.verification.pairs) == (90, 180)
    assert result.identification is not None
    assert (result.identification.probes, result.identification.strangers) == (60, 40)
    assert (result.identification.templates, result.identification.people) == (30, 30)
    assert result.search_curve[-1].fpir == 1


def test_a_face_that_is_not_found_is_a_missed_genuine_pair(tmp_path: Path) -> None:
    write_people(tmp_path, people=50, images=2, strangers=0, spread=0.01)
    before = run(tmp_path, fmr=1e-2).pair_rates.curve[0].tpr
    write(tmp_path, {"P000/0.jpg": ""})
    result = run(tmp_path, fmr=1e-2)
    assert before == 1
    assert result.pair_rates.curve[-1].tpr == 49 / 50
    assert result.pair_rates.genuine == 50
    assert result.pair_rates.impostor == 99 * 98 // 2 - 49


def test_people_of_one_image_each(tmp_path: Path) -> None:
    result = run(write_people(tmp_path, people=0, images=0, strangers=50), fmr=0.01)
    assert result.verification is None
    assert result.identification is None
    assert result.pair_rates.wished.threshold is not None
    assert result.pair_rates.at_fpr[0].tpr is None


def test_the_answer_is_plain_json(tmp_path: Path) -> None:
    result = run(write_people(tmp_path, people=25, images=2, strangers=30), fmr=0.01)
    plain = json.loads(json.dumps(dataclasses.asdict(result), allow_nan=False))
    assert plain["pair_rates"]["at_fpr"][0]["refused"].startswith("not enough impostor pairs")
    assert plain["pair_rates"]["at_fpr"][0]["threshold"] is None
    assert np.isfinite(plain["pair_rates"]["wished"]["threshold"])
    assert plain["search_curve"][0].keys() == {"fpir", "fnir", "threshold"}


@pytest.mark.parametrize("workers", [1, 4])
def test_the_same_again(tmp_path: Path, workers: int) -> None:
    write_people(tmp_path, people=25, images=2, strangers=5)
    assert run(tmp_path, workers=workers) == run(tmp_path, workers=1)
