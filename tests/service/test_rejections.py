from __future__ import annotations

from serve_app.service.rejections import Rejection, note_of, rejections_in


def test_a_note_gives_back_what_it_was_made_of() -> None:
    rejected = [Rejection(0, "no face"), Rejection(2, "kaputt: ü"), Rejection(7, "no face")]
    assert rejections_in(note_of(rejected)) == rejected


def test_no_rejections_are_no_note() -> None:
    assert note_of([]) == ""
    assert rejections_in("") == []


def test_a_reason_that_a_thousand_pairs_have_is_kept_once() -> None:
    note = note_of([Rejection(position, "no face found") for position in range(1000)])
    assert note.count("no face found") == 1
    assert len(rejections_in(note)) == 1000
