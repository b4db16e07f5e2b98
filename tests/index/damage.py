"""Files that are torn, changed or gone."""

from __future__ import annotations

from pathlib import Path


def tear(file: Path, how: str, where: float) -> None:
    """``cut`` at, ``flip`` a byte at, or ``delete``; ``where``: share of the file, from 0 to 1."""
    if how == "delete":
        file.unlink()
        return
    content = bytearray(file.read_bytes())
    if not content:
        return  # it was cut before
    position = min(int(where * len(content)), len(content) - 1)
    if how == "cut":
        content = content[:position]
    else:
        content[position] ^= 0xFF
    file.write_bytes(content)
