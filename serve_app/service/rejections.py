"""Pairs that were not enrolled, and how they are kept with an operation's answer.

A retry is answered from what was kept, without looking at the pairs again. Owns the form of the
note; what is in a reason is decided where it is raised, and is never a label or an image.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rejection:
    """A pair that was not enrolled: its position in the list, from 0, and why."""

    position: int
    reason: str


def note_of(rejected: Sequence[Rejection]) -> str:
    """JSON of positions by reason, as a thousand pairs often fail for the same; "" for none."""
    positions: dict[str, list[int]] = {}
    for rejection in rejected:
        positions.setdefault(rejection.reason, []).append(rejection.position)
    return json.dumps(positions, ensure_ascii=False) if positions else ""


def rejections_in(note: str) -> list[Rejection]:
    """What ``note_of`` was given, by position."""
    if not note:
        return []
    positions: dict[str, list[int]] = json.loads(note)
    rejected = [Rejection(p, reason) for reason, found in positions.items() for p in found]
    return sorted(rejected, key=lambda rejection: rejection.position)
