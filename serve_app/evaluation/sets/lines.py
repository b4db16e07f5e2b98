"""The lines of a list: UTF-8 text, blank ones skipped, each knowing where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from serve_app.errors import InvalidRequestError


@dataclass(frozen=True, slots=True)
class Line:
    """``where``: file and number of the line, as a message says it."""

    text: str
    where: str

    def split(self, maxsplit: int = -1) -> list[str]:
        """Its fields: between tabs if it has any, so that a path may hold blanks, else between
        blanks."""
        separator = "\t" if "\t" in self.text else None
        fields = self.text.split(separator, maxsplit)
        return [field.strip() for field in fields if field.strip()]


def read_lines(file: Path) -> list[Line]:
    """Raises InvalidRequestError for a file that can't be read, is not text or says nothing."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidRequestError(f"{file.name} is not a text in UTF-8: save it as one") from None
    except OSError as error:
        raise InvalidRequestError(f"{file.name} can't be read: {error.strerror}") from None
    lines = [
        Line(line.strip(), f"{file.name}, line {number}")
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip()
    ]
    if not lines:
        raise InvalidRequestError(f"{file.name} is empty")
    return lines
