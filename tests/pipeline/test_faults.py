"""Many faults in one error."""

from __future__ import annotations

import pytest

from serve_app.errors import InvalidRequestError
from serve_app.pipeline.faults import NAMED, Faults, listed, shown


def test_none_is_no_error() -> None:
    Faults().refuse("gallery.txt", "line", "can't be used")


@pytest.mark.parametrize("count", [1, NAMED, NAMED + 1, 1000])
def test_the_first_and_how_many_more(count: int) -> None:
    faults = Faults()
    for number in range(count):
        faults.add(f"line {number}: bad")
    with pytest.raises(InvalidRequestError) as raised:
        faults.refuse("gallery.txt", "line", "can't be used")
    first, *lines = str(raised.value).splitlines()
    noun = "line" if count == 1 else "lines"
    assert first == f"gallery.txt: {count} {noun} can't be used"
    assert lines[:NAMED] == [f"line {number}: bad" for number in range(min(count, NAMED))]
    assert lines[NAMED:] == ([f"and {count - NAMED} more"] if count > NAMED else [])
    assert len(faults.first) <= NAMED


def test_a_whole_list() -> None:
    assert listed(["a", "b"]) == "a\nb"
    assert listed([str(number) for number in range(25)]).endswith("18\n19\nand 5 more")


def test_texts_are_quoted_and_cut() -> None:
    assert shown(" a b\t") == "'a b'"
    assert shown("张三\n") == "'张三'"
    assert shown("x" * 500) == repr("x" * 100 + "...")
