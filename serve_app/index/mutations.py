"""What can happen to a gallery, as values: a host gathers them, a store makes them happen.

Each carries its ``Operation``: done once, however often it is sent; and who asked for it.
``action`` is what the audit log calls it. Knows neither SQL nor FAISS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar
from uuid import uuid4

from serve_app.types import OPERATOR, Caller, Embeddings, Metric, Operation


def unnamed() -> Operation:
    """For a mutation that nobody will send again."""
    return Operation(uuid4().hex)


@dataclass(frozen=True, slots=True)
class Create:
    """A new gallery with its first templates, ids from 0."""

    action: ClassVar[str] = "build"
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

    action: ClassVar[str] = "add"
    key: str
    labels: Sequence[str]
    embeddings: Embeddings
    with_labels: bool = False
    operation: Operation = field(default_factory=unnamed)
    by: Caller = OPERATOR


@dataclass(frozen=True, slots=True)
class Remove:
    """Those of ``ids`` that are there."""

    action: ClassVar[str] = "remove"
    key: str
    ids: Sequence[int]
    with_labels: bool = False
    operation: Operation = field(default_factory=unnamed)
    by: Caller = OPERATOR


@dataclass(frozen=True, slots=True)
class RemoveLabel:
    """Every template of a label."""

    action: ClassVar[str] = "remove_label"
    key: str
    label: str
    operation: Operation = field(default_factory=unnamed)
    by: Caller = OPERATOR


@dataclass(frozen=True, slots=True)
class Drop:
    """The gallery with all that is in it."""

    action: ClassVar[str] = "drop"
    key: str
    operation: Operation = field(default_factory=unnamed)
    by: Caller = OPERATOR


@dataclass(frozen=True, slots=True)
class Optimize:
    """Wish for an index that is built of all that is in the gallery now."""

    action: ClassVar[str] = "optimize"
    key: str
    operation: Operation = field(default_factory=unnamed)
    by: Caller = OPERATOR


Mutation = Create | Add | Remove | RemoveLabel | Drop | Optimize

ERASING = (Remove, RemoveLabel, Drop)
"""After these nothing of what was removed may be left in the database's files."""
