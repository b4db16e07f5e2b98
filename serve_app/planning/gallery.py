"""What a gallery takes: memory, search time, start and build, by its index type and size.

The figures are measured at a million templates of 128 floats (``index.json``). Above that they are
carried on: memory and Flat's time grow with the templates, HNSW32's time with their logarithm.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from serve_app.planning.costs import FAISS_TEMPLATES, Costs

INDEX_TYPES = ("Flat", "HNSW32")
EXACT_UNTIL = 20_000
"""``index.exact_until``: so many templates are searched exactly, whatever the type."""
LONGEST_FLAT_MS = 10.0
"""A search that takes longer is better not exact."""


@dataclass(frozen=True, slots=True)
class IndexFigures:
    """Of one index type. ``template_bytes``: in a replica; ``builder_bytes``: of a template, at the
    peak of a build; ``search_ms``: of one probe, by templates."""

    template_bytes: float
    builder_bytes: float
    search_ms: dict[int, float]
    load_s_per_million: float
    build_s_per_million: float

    def search(self, templates: float) -> float:
        """Milliseconds of a processor for one probe."""
        sizes = sorted(self.search_ms)
        if len(sizes) == 1:  # every template is looked at
            return self.search_ms[sizes[0]] * templates / sizes[0]
        (small, fast), (large, slow) = ((size, self.search_ms[size]) for size in sizes)
        decades = math.log10(max(1.0, templates) / small) / math.log10(large / small)
        return max(0.0, fast + (slow - fast) * decades)

    def build_s(self, templates: float) -> float:
        """One thread; a graph's insertions cost the logarithm of what is there."""
        millions = templates / 1e6
        steps = math.log(max(2.0, templates)) / math.log(1e6) if len(self.search_ms) > 1 else 1.0
        return self.build_s_per_million * millions * steps


def search_ms(index_type: str, templates: float, costs: Costs) -> float:
    """Of one probe, on the processors of ``costs``: they are as much faster or slower at it than
    those of ``index.json`` as bare FAISS is, where the report has that."""
    figures = index_figures()
    slower = costs.faiss_ms / figures["HNSW32"].search(FAISS_TEMPLATES) if costs.faiss_ms else 1.0
    return slower * figures[index_type].search(templates)


@cache
def index_figures() -> dict[str, IndexFigures]:
    """By index type."""
    file = Path(__file__).with_name("index.json")
    return {
        name: IndexFigures(
            **(one | {"search_ms": {int(n): ms for n, ms in one["search_ms"].items()}})
        )
        for name, one in json.loads(file.read_text(encoding="utf-8"))["types"].items()
    }
