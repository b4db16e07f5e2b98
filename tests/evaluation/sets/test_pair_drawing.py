from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from serve_app.evaluation.sets.pair_drawing import draw_pairs


def people(counts: list[int]) -> dict[str, str]:
    return {f"{p}/{i}": str(p) for p, count in enumerate(counts) for i in range(count)}


@given(st.lists(st.integers(1, 7), min_size=1, max_size=8), st.integers(1, 30))
def test_pairs_are_what_they_say_and_none_comes_twice(counts: list[int], most: int) -> None:
    person_of = people(counts)
    pairs = draw_pairs(person_of, most)
    for pair in pairs:
        assert pair.first != pair.second
        assert (person_of[pair.first] == person_of[pair.second]) is pair.same
    assert len({frozenset((pair.first, pair.second)) for pair in pairs}) == len(pairs)
    possible = sum(count * (count - 1) // 2 for count in counts)
    genuine = sum(pair.same for pair in pairs)
    assert genuine == min(most, possible)
    assert len(pairs) - genuine <= genuine


def test_as_many_impostor_pairs_where_there_are_enough() -> None:
    pairs = draw_pairs(people([4] * 30), 100)
    assert Counter(pair.same for pair in pairs) == {True: 100, False: 100}


def test_the_same_for_the_same_images_in_any_order() -> None:
    person_of = people([3, 1, 4, 1, 5])
    backwards = dict(reversed(person_of.items()))
    assert draw_pairs(person_of, 6) == draw_pairs(backwards, 6)


def test_people_with_many_images_do_not_rule() -> None:
    person_of = people([1000, 2, 2, 3])
    drawn = Counter(person_of[pair.first] for pair in draw_pairs(person_of, 8) if pair.same)
    assert drawn == {"0": 3, "1": 1, "2": 1, "3": 3}
