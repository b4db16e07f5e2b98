from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app import policy
from serve_app.errors import InvalidRequestError, NoFaceError, SeveralFacesError
from serve_app.types import Box, Candidate, Embeddings, Face, Metric


def candidates(*scores: float) -> list[Candidate]:
    return [Candidate(number, f"ID{number}", score) for number, score in enumerate(scores)]


def face(box: Box) -> Face:
    return Face(box, 0.9, np.zeros((112, 112, 3), dtype=np.uint8))


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_a_configured_cosine_accepts_the_same_faces_under_both_metrics(
    cosine: float, threshold: float
) -> None:
    if math.isclose(cosine, threshold, abs_tol=1e-9):
        return
    near = policy.is_close(cosine, policy.default_threshold(threshold, Metric.IP), Metric.IP)
    distance = 2 - 2 * cosine  # squared, of unit vectors
    limit = policy.default_threshold(threshold, Metric.L2)
    assert policy.is_close(distance, limit, Metric.L2) is near


def test_a_configured_cosine_of_0_4_is_a_squared_distance_of_1_2() -> None:
    assert policy.default_threshold(0.4, Metric.L2) == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("metric", "scores", "threshold", "expected"),
    [
        (Metric.IP, (0.9, 0.5, 0.1), 0.5, [0.9, 0.5]),
        (Metric.L2, (0.1, 0.5, 0.9), 0.5, [0.1, 0.5]),
        (Metric.IP, (0.4,), 0.5, []),
        (Metric.L2, (0.6,), 0.5, []),
        (Metric.IP, (), 0.5, []),
    ],
)
def test_each_candidate_is_tested(
    metric: Metric, scores: tuple[float, ...], threshold: float, expected: list[float]
) -> None:
    kept = policy.accepted(candidates(*scores), threshold, metric, "each")
    assert [candidate.score for candidate in kept] == expected


@pytest.mark.parametrize(
    ("metric", "scores", "expected"),
    [
        (Metric.IP, (0.9, 0.1), [0.9, 0.1]),
        (Metric.IP, (0.4, 0.3), []),
        (Metric.L2, (0.1, 0.9), [0.1, 0.9]),
        (Metric.L2, (0.6, 0.9), []),
        (Metric.IP, (), []),
    ],
)
def test_top1_keeps_or_drops_all_with_the_nearest(
    metric: Metric, scores: tuple[float, ...], expected: list[float]
) -> None:
    kept = policy.accepted(candidates(*scores), 0.5, metric, "top1")
    assert [candidate.score for candidate in kept] == expected


def test_the_largest_face_by_area_is_enrolled() -> None:
    wide, large = face((0, 0, 30, 2)), face((0, 0, 10, 10))
    assert policy.face_to_enrol([wide, large], "largest") is large


def test_of_equal_faces_the_first_is_enrolled() -> None:
    first, second = face((0, 0, 9, 9)), face((20, 0, 29, 9))
    assert policy.face_to_enrol([first, second], "largest") is first


def test_single_refuses_several_faces_and_takes_one() -> None:
    only = face((0, 0, 9, 9))
    assert policy.face_to_enrol([only], "single") is only
    with pytest.raises(SeveralFacesError, match="several faces found"):
        policy.face_to_enrol([only, only], "single")


@pytest.mark.parametrize("rule", ["largest", "single"])
def test_no_face_is_an_error(rule: policy.FaceRule) -> None:
    with pytest.raises(NoFaceError, match="no face found"):
        policy.face_to_enrol([], rule)


@pytest.mark.parametrize(
    "key",
    ["nope", "a", "0", "67a0558e-7585-4ee3-bdb1-3c584b4d5eb3", "team.a_b-c", "k" * 128],
)
def test_keys_that_are_taken(key: str) -> None:
    policy.check_key(key)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "a/b",
        "a\\b",
        "..",
        "a..b",
        "../a",
        "a\0",
        "a\n",
        "\x1b[0m",
        "a b",
        ".a",
        "-a",
        "k" * 129,
        "k" * 10_000,
        "schlüssel",
        "\u202ea",
    ],
)
def test_keys_that_are_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        policy.check_key(key)
    assert str(caught.value) == policy.KEY_RULE


def test_ids_that_no_gallery_can_hold_are_dropped() -> None:
    given_ids = [3, -1, 3, 0, 2**63 - 1, 2**63, 10**30]
    assert policy.removable(given_ids) == [3, 0, 2**63 - 1]


@pytest.mark.parametrize(
    ("model_id", "expected"),
    [
        ("toy@1+bf16", True),
        ("toy@1", True),
        ("toy@1+int8-1a2b3c4d", False),
        ("toy@2", False),
        ("toy@1+bf16+mirror", False),
        ("", False),
    ],
)
def test_embeddings_meet_their_own_model_and_those_that_a_check_named(
    model_id: str, expected: bool
) -> None:
    vectors = np.ones((1, 1), dtype=np.float32)
    embeddings = Embeddings("toy@1+bf16", vectors, frozenset({"toy@1"}))
    assert policy.fits(embeddings, model_id) is expected
    assert policy.fits(Embeddings("toy@1+bf16", vectors), model_id) is (model_id == "toy@1+bf16")


def test_job_ids_follow_the_rule_of_keys_and_are_called_what_they_are() -> None:
    for job_id in ("one", "0-9.a_B", "x" * 128):
        policy.check_job_id(job_id)
    for job_id in ("", "..", "a/b", "a b", "-a", "x" * 129, "a\n"):
        with pytest.raises(InvalidRequestError, match="a job id has"):
            policy.check_job_id(job_id)
