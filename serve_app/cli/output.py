"""What commands print: the answer on standard output, what is said of the work on standard error.

Labels and file names come from anywhere: what is printed of them can't move a terminal's cursor or
break a table. Knows no command.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Mapping, Sequence

from rich.cells import cell_len

DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They turn the text after them round."""


def printable(text: str) -> str:
    """``text`` on one line, with an escape for each character that would do more than show."""
    return "".join(_escaped(character) if _acts(character) else character for character in text)


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows as aligned columns, a line under the first."""
    ruled = "  ".join("-" * width for width in _widths(_printable_cells(rows)))
    first, *rest = aligned(rows)
    return "\n".join([first, ruled, *rest])


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """A line a row, the columns below each other in a terminal, where some letters are two wide."""
    cells = _printable_cells(rows)
    widths = _widths(cells)
    return [
        "  ".join(
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in cells
    ]


def facts(values: Mapping[str, object]) -> str:
    """A line for each name and its value."""
    return "\n".join(aligned([(name, str(value)) for name, value in values.items()]))


def json_line(value: object) -> str:
    """``value`` as JSON on one line: one object of many."""
    return _json(value, indent=None)


def print_json(value: object) -> None:
    """``value`` as JSON, for people to read too."""
    print(_json(value, indent=2))


def note(text: str) -> None:
    """A remark about the work."""
    print(text, file=sys.stderr, flush=True)


def complain(message: str) -> None:
    """What is wrong, as every command says it."""
    note("face-serve: " + "\n".join(printable(line) for line in message.split("\n")))


def counted(number: int, noun: str, nouns: str = "") -> str:
    """``1 face``, ``2 faces``."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def _json(value: object, indent: int | None) -> str:
    # Where the output's encoding can't hold a letter, JSON's own escape can.
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    unicode = encoding.lower().replace("-", "") == "utf8"
    return json.dumps(value, ensure_ascii=not unicode, indent=indent)


def _printable_cells(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [tuple(printable(cell) for cell in row) for row in rows]


def _widths(cells: Sequence[tuple[str, ...]]) -> list[int]:
    return [max(map(cell_len, column)) for column in zip(*cells, strict=True)]


def _acts(character: str) -> bool:
    if character.isascii():
        return not character.isprintable()
    return character in DIRECTIONS or unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
