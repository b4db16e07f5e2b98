"""What is held about a label, as values: a label is a person's name or number."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Where(StrEnum):
    """SERVED: in a gallery as it is searched. PREVIOUS: in the one it replaced, kept for a
    rollback. STAGED: in one that a job is making. INPUT: in what is kept of a job's input."""

    SERVED = "served"
    PREVIOUS = "previous"
    STAGED = "staged"
    INPUT = "input"


@dataclass(frozen=True, slots=True)
class HeldTemplate:
    """A template of the label. ``key``: of its gallery, or of the one that the job ``job`` will
    publish; ``added_at``: seconds since the epoch, None if nobody knows any more; ``source``: where
    its image was read, if that was kept; ``embedding``: little-endian float32, if it was asked for.
    """

    key: str
    where: Where
    job: str
    generation: str
    seq: int
    model_id: str
    id: int
    added_at: float | None
    source: str | None
    embedding: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class HeldRow:
    """A row of a job's input that shows the label, kept for the job's report."""

    job: str
    key: str
    generation: str
    position: int
    outcome: str
    reason: str
    source: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class HeldPlace:
    """Where a page ends: after a template of a gallery (its row's number), or, once all templates
    are told, after a row of a job."""

    gallery: int = -1
    template: int = -1
    job: str | None = None
    position: int = -1

    @classmethod
    def parse(cls, text: str) -> HeldPlace:
        """Of what ``str`` wrote. Raises ValueError."""
        kind, number, rest = text.split(".", 2)
        if kind == "t":
            return cls(int(number), int(rest))
        return cls(job=rest, position=int(number))

    def __str__(self) -> str:
        if self.job is None:
            return f"t.{self.gallery}.{self.template}"
        return f"r.{self.position}.{self.job}"


@dataclass(frozen=True, slots=True)
class HeldPage:
    """``next``: where the next page begins, None after the last one."""

    templates: list[HeldTemplate]
    rows: list[HeldRow]
    next: HeldPlace | None = None


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased in one place. ``count``: of templates, or of rows of a job's input."""

    key: str
    where: Where
    count: int
    job: str = ""


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure did. ``failed``: keys of galleries where it was not done, and the error's
    code. ``running``: jobs that are not over: their inputs may bring the label again."""

    erased: list[Erased]
    failed: dict[str, str]
    running: list[str]
