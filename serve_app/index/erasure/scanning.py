"""Looking for marks in files: the bytes that would be left of a template, wherever they lie."""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from serve_app.types import Vectors

BLOCK = 1 << 22
QUARTERS = 4
GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Marks:
    """``labels`` and embeddings ``vectors`` (N, D) that nobody else has."""

    labels: list[str]
    vectors: Vectors

    def needles(self) -> dict[bytes, str]:
        """Bytes that give a template away, and what they are. Any quarter of an embedding will do:
        databases spread long values over pages."""
        found: dict[bytes, str] = {}
        for label in self.labels:
            for encoding in ("utf-8", "utf-16-le", "utf-16-be"):
                found[label.encode(encoding)] = "label"
        for vector in self.vectors.astype("<f4"):
            content = vector.tobytes()
            size = max(len(content) // QUARTERS, 1)
            for start in range(0, size * QUARTERS, size):
                found[content[start : start + size]] = "embedding"
        return found


@dataclass(slots=True)
class Report:
    """``found``: what is left in which file; ``unreadable``: files of which nobody knows."""

    files: int = 0
    size: int = 0
    found: dict[Path, list[str]] = field(default_factory=dict)
    unreadable: list[Path] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not self.found and not self.unreadable


def scan(paths: Iterable[Path], marks: Marks) -> Report:
    """Search regular files, and all that are below directories. Each file is read once, as it is
    and, if it is gzip's, also unpacked. Files that vanish meanwhile hold nothing."""
    report = Report()
    needles = marks.needles()
    for file in files_below(paths, report.unreadable):
        try:
            with file.open("rb") as stream:
                left = found_in(stream, needles)
                report.size += stream.tell()
                stream.seek(0)
                if stream.read(2) == GZIP:
                    left |= _found_packed(file, needles)
        except FileNotFoundError:
            continue
        except OSError:
            report.unreadable.append(file)
            continue
        report.files += 1
        if left:
            report.found[file] = sorted(left)
    return report


def files_below(paths: Iterable[Path], unreadable: list[Path]) -> Iterator[Path]:
    """Regular files, each once, whichever of ``paths`` it is below. Symbolic links are followed to
    files, not to directories. Appends to ``unreadable``."""
    seen: set[tuple[int, int]] = set()

    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            unreadable.append(Path(error.filename))

    for path in paths:
        candidates = (
            (
                Path(folder) / name
                for folder, _, names in os.walk(path, onerror=fail)
                for name in names
            )
            if path.is_dir()
            else iter([path])
        )
        for file in candidates:
            try:
                facts = file.stat()
            except FileNotFoundError:
                continue
            except OSError:
                unreadable.append(file)
                continue
            identity = (facts.st_dev, facts.st_ino)
            if stat.S_ISREG(facts.st_mode) and identity not in seen:
                seen.add(identity)
                yield file


def found_in(stream: BinaryIO | gzip.GzipFile, needles: dict[bytes, str]) -> set[str]:
    """What of ``needles`` the stream holds, also where two blocks meet."""
    longest = max(map(len, needles), default=1)
    found: set[str] = set()
    tail = b""
    while block := stream.read(BLOCK):
        text = tail + block
        found |= {what for needle, what in needles.items() if needle in text}
        tail = text[max(len(text) - longest + 1, 0) :]
    return found


def _found_packed(file: Path, needles: dict[bytes, str]) -> set[str]:
    try:
        with gzip.open(file) as stream:
            return found_in(stream, needles)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return set()  # another format that begins the same, or a torn file: searched as it is
