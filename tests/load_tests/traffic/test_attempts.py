from __future__ import annotations

from pathlib import Path

from load_tests.traffic.attempts import Attempt, read, write


def test_attempts_survive_their_file(tmp_path: Path) -> None:
    attempts = [
        Attempt("steady", "infer", 0.125, 0.25, 1.5, 200, 812, False, 'a;dur=3, b;desc="c"'),
        Attempt("overload", "infer", 2.0, 2.0, 2.0, 429, 90, True),
    ]  # fmt: skip
    write(tmp_path / "attempts.csv", attempts)
    assert read(tmp_path / "attempts.csv") == attempts


def test_latency_counts_from_when_it_was_due() -> None:
    late = Attempt("steady", "infer", due_s=1.0, sent_s=1.75, done_s=2.0, status=200)
    assert (late.latency_s, late.service_s) == (1.0, 0.25)
