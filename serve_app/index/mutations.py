"""What can happen to a gallery, as values: a host gathers them, a store makes them happen.

Each carries its ``Operation``: done once, however often it is sent; and who asked for it. Knows
neither SQL nor FAISS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from serve_app.types import OPERATOR, Caller, Embeddings, Metric, Operation


def unnamed() -> Operation:
    """For a mutation that nobody will send again."""
    return Operation(uuid4().hex)


@dataclass(frozen=True, slots=True)
class Create:
    """A new gallery with its first templates, ids from 0."""

    key: str
    index_type: str
    metric: Metric
    labels: Sequence[str]
    embeddings: Embeddings
    with_labels: bool = False
    operation: Operation = field(default_factory=unnamed)
    by: Caller = OPERATOR


@dataclass(frozen=True, slots=True)
class Add:
    """Templates at the end of a gallery."""

    key: str
    labels: Sequence[str]
    embeddings: Embeddings
    with_labels: bool = False
    operation: Operation = field(default_factory=unnamed)
    by: Caller = OPERATOR


@dataclass(frozen=True, slots=True)
class Remove:
    """Those of ``ids`` that are there."""

    key: str
    ids: Sequence[int]
    with_labels: bool = False
    operation: Operation = field(default_factory=unnamed)
    by: Caller = OPERATOR


@dataclass(frozen=True, slots=True)
class RemoveLabel:
    """Every template of a label."""

    key: str
    label: str
    operation: Operation = field(default_factory=unnamed)
    by: Caller = OPERATOR


@dataclass(frozen=True, slots=True)
class Drop:
    """The gallery with all that is in it."""

    key: str
    operation: Operation = field(default_factory=unnamed)
    by: Caller = OPERATOR


@dataclass(frozen=True, slots=True)
class Optimize:
    """Wish for an index that is built of all that is in the gallery now."""

    key: str
    operation: Operation = field(default_factory=unnamed)
    by: Caller = OPERATOR


Mutation = Create | Add | Remove | RemoveLabel | Drop | Optimize

ERASING = (Remove, RemoveLabel, Drop)
"""After these nothing of what was removed may be left in the database's files."""
