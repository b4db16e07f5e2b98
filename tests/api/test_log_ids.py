from __future__ import annotations

import uuid

import pytest

from serve_app.api.log_ids import new_log_id, usable_log_id


def test_a_fresh_one_is_a_uuid4() -> None:
    assert uuid.UUID(new_log_id()).version == 4
    assert new_log_id() != new_log_id()


@pytest.mark.parametrize("log_id", ["a", "x" * 128, "Anfrage 7/ü", "请求"])
def test_log_ids_that_are_echoed(log_id: str) -> None:
    assert usable_log_id(log_id) == log_id


@pytest.mark.parametrize("log_id", ["", "x" * 129, "a\nb", "a\0", "\x1b[31m", 5, None, {}, b"a"])
def test_log_ids_that_would_spoil_a_log(log_id: object) -> None:
    assert usable_log_id(log_id) is None
