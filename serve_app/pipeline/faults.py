"""All that is wrong with a list of things, in one error: the first few, and how many more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from serve_app.errors import InvalidRequestError

NAMED = 20
"""How many an error names."""
SHOWN = 100
"""Characters of a text that an error shows."""


def listed(faults: Sequence[str], total: int | None = None) -> str:
    """The first of ``faults``, a line each, and how many more there are (of ``total``)."""
    more = (len(faults) if total is None else total) - NAMED
    return "\n".join([*faults[:NAMED], f"and {more} more"] if more > 0 else faults)


@dataclass(slots=True)
class Faults:
    """What is wrong: the first few, and how many there are."""

    first: list[str] = field(default_factory=list)
    total: int = 0

    def add(self, fault: str) -> None:
        self.total += 1
        if len(self.first) < NAMED:
            self.first.append(fault)

    def refuse(self, name: str, noun: str, why: str) -> None:
        """Raises InvalidRequestError if there are any: "gallery.txt: 2 lines can't be used", and
        the faults, a line each."""
        if self.total:
            counted = f"{self.total} {noun}{'' if self.total == 1 else 's'}"
            raise InvalidRequestError(f"{name}: {counted} {why}\n{listed(self.first, self.total)}")


def shown(text: str) -> str:
    """A text from a caller's file or list, in quotes and not too long."""
    text = text.strip()
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}...")
