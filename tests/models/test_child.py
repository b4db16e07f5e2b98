"""What a child does stays there: crashes, hangs, noise, and the paths in its errors."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from serve_app.models.child import Child, ChildCrashError, ChildError, run_child

OBEDIENT = "tests.models.obedient_child"


def test_an_answer_among_what_libraries_print() -> None:
    assert run_child(OBEDIENT, ["print", "hello"], 60) == {"order": "hello"}


def test_it_is_asked_line_by_line_and_imports_from_where_we_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    with Child(OBEDIENT, ["echo"], 60) as child:
        first = child.ask("one", 60)
        assert first["line"] == "one"
        assert str(tmp_path) in first["path"]
        assert child.ask("two", 60)["line"] == "two"


def test_nothing_is_imported_from_the_folder_that_a_user_happens_to_be_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "json.py").write_text("raise SystemExit('not the library')", encoding="utf-8")
    with Child(OBEDIENT, ["echo"], 60) as child:
        assert str(tmp_path) not in child.ask("one", 60)["path"]


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ("exit", "ends with exit code 3"),
        ("refuse", "operator Foo is not known"),
        ("fail", "fails with RuntimeError"),
    ],
)
def test_what_goes_wrong_there_is_a_reason_here(order: str, reason: str) -> None:
    with pytest.raises(ChildError) as caught:
        run_child(OBEDIENT, [order], 60)
    assert str(caught.value) == reason
    assert not isinstance(caught.value, ChildCrashError)


@pytest.mark.parametrize(("order", "name"), [("abort", "SIGABRT"), ("segfault", "SIGSEGV")])
def test_a_crash_is_told_by_its_signal(order: str, name: str) -> None:
    with pytest.raises(ChildCrashError, match=f"^crashes with {name}$"):
        run_child(OBEDIENT, [order], 60)


def test_a_crash_after_the_first_answer() -> None:
    with Child(OBEDIENT, ["hello", "abort"], 60) as child:
        assert child.answer(60) == {"order": "hello"}
        with pytest.raises(ChildCrashError):
            child.answer(60)
        with pytest.raises(ChildCrashError):
            child.ask("still there?", 60)


def test_one_that_hangs_is_not_waited_for_and_leaves_no_process() -> None:
    start = time.monotonic()
    with Child(OBEDIENT, ["hang"], 60) as child:
        with pytest.raises(ChildError, match=r"^gives no answer in 0\.5 s$"):
            child.answer(0.5)
        number = child.process_id
    assert time.monotonic() - start < 30
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_it_ends_itself_when_nobody_is_left_to_end_it() -> None:
    with Child(OBEDIENT, ["hang"], 0) as child, pytest.raises(ChildCrashError, match="SIGALRM"):
        child.answer(60)
