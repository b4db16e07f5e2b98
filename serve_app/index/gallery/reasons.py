"""What FAISS says when it refuses, made fit for a caller: one line, no source paths, no C++."""

from __future__ import annotations

import re

PLACE = re.compile(r"^Error in .* at \S+?:\d+: ", re.DOTALL)
CONDITION = re.compile(r"^Error: '(?P<condition>.*?)' failed:?\s*(?P<text>.*)", re.DOTALL)
TOO_FEW = re.compile(
    r"Number of training points \(\d+\) should be at least as large as "
    r"number of clusters \((?P<clusters>\d+)\)"
)
LONGEST = 300


def reason(error: BaseException) -> str:
    """FAISS's own words without where in its source they were said."""
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    text = PLACE.sub("", str(error).strip())
    if match := CONDITION.match(text):
        text = match["text"].strip() or f"{match['condition']} does not hold"
    lines = text.strip().splitlines()
    if not lines:
        return type(error).__name__
    return "it needs more memory than there is" if "bad_alloc" in lines[0] else lines[0][:LONGEST]


def templates_needed(error: BaseException) -> int:
    """How many training points FAISS asked for in vain; 0 if that is not what failed."""
    match = TOO_FEW.search(str(error))
    return int(match["clusters"]) if match else 0
