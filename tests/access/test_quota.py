from __future__ import annotations

import json
from math import inf, nan

import pytest

from serve_app.access.quota import NO_LIMITS, Quota, strictest
from serve_app.errors import InvalidRequestError

EVERY = Quota(requests_per_s=2.5, burst=7, body_bytes=1000, faces=50, galleries=3)


@pytest.mark.parametrize("quota", [NO_LIMITS, EVERY, Quota(faces=0)])
def test_a_quota_is_read_as_it_was_written(quota: Quota) -> None:
    assert Quota.parse(quota.text()) == quota


def test_only_what_is_limited_is_written() -> None:
    assert json.loads(Quota(faces=0).text()) == {"faces": 0}


def test_what_a_newer_version_wrote_besides_is_left_out() -> None:
    assert Quota.parse('{"faces": 5, "moons": 2}') == Quota(faces=5)


@pytest.mark.parametrize(
    ("quota", "burst"),
    [(Quota(10), 20), (Quota(0.1), 1), (Quota(10, burst=3), 3)],
)
def test_two_seconds_worth_may_come_at_once_unless_it_says_how_much(
    quota: Quota, burst: float
) -> None:
    assert quota.bucket == burst


@pytest.mark.parametrize(
    ("quota", "said"),
    [
        (Quota(requests_per_s=0), "requests-per-s"),
        (Quota(requests_per_s=-1), "requests-per-s"),
        (Quota(requests_per_s=nan), "requests-per-s"),
        (Quota(requests_per_s=inf), "requests-per-s"),
        (Quota(burst=0.5), "burst"),
        (Quota(body_bytes=0), "body-bytes"),
        (Quota(faces=-1), "faces"),
        (Quota(galleries=-1), "galleries"),
    ],
)
def test_a_limit_that_cannot_be_kept_is_refused_by_name(quota: Quota, said: str) -> None:
    with pytest.raises(InvalidRequestError, match=said):
        quota.check()


def test_every_limit_that_can_be_kept_is_taken() -> None:
    for quota in (NO_LIMITS, EVERY, Quota(faces=0, galleries=0)):
        quota.check()


@pytest.mark.parametrize(
    ("one", "other", "least"),
    [(None, None, None), (3, None, 3), (None, 3, 3), (3, 2, 2), (0, 2, 0)],
)
def test_of_two_limits_the_lower_counts(
    one: int | None, other: int | None, least: int | None
) -> None:
    assert strictest(one, other) == least
