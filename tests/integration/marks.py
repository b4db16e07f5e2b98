"""Marked data and where it was found: labels, keys, pictures, embeddings and secrets that are like
nothing else, looked for in whatever was written."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PIECE = 48
"""Bytes of a picture or an embedding that are looked for: no chance, and less than a line."""


@dataclass(frozen=True)
class Marks:
    """By what they are, each in every form that it could have been written in."""

    forms: dict[str, list[bytes]]

    @classmethod
    def of(cls, texts: dict[str, str], contents: dict[str, bytes]) -> Marks:
        """``texts`` as they are; pieces of ``contents`` as bytes, in base64, in hex and as Python
        writes bytes."""
        forms = {name: [text.encode()] for name, text in texts.items()}
        return cls(forms | {name: _written(content) for name, content in contents.items()})

    def found_in(self, content: bytes) -> list[str]:
        return [
            name for name, forms in self.forms.items() if any(form in content for form in forms)
        ]

    def found_below(self, directory: Path, leave: set[Path]) -> Iterator[str]:
        """``mark: file`` of every file below ``directory``, but for those below ``leave``. Their
        names count as content."""
        for file in sorted(directory.rglob("*")):
            if file in leave or leave.intersection(file.parents):
                continue
            name = str(file.relative_to(directory))
            content = file.read_bytes() if file.is_file() else b""
            for mark in self.found_in(name.encode() + b"\n" + content):
                yield f"{mark}: {name}"


def _written(content: bytes) -> list[bytes]:
    start = len(content) // 2
    piece = content[start : start + PIECE]
    # Of base64 the three ways that a piece can lie in it; the ends hang on its neighbours.
    encoded = [base64.b64encode(piece[shift:])[4:-8] for shift in range(3)]
    return [piece, piece.hex().encode(), repr(piece)[2:-1].encode(), *encoded]
