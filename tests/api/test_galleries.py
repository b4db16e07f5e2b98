from __future__ import annotations

import pytest

from serve_app.api.galleries import GalleryOperations
from serve_app.api.gallery_schemas import GalleriesQuery
from serve_app.service import GalleryService
from serve_app.types import GalleryEntry, GalleryInfo, Metric
from tests.fakes import MemoryIndex


class OneGallery(MemoryIndex):
    def __init__(self, entry: GalleryEntry) -> None:
        super().__init__()
        self._one = entry

    async def list(
        self, after: str, limit: int, *, tenant: str | None = None
    ) -> list[GalleryEntry]:
        return [self._one]


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_769_860_800.0625, "2026-01-31T12:00:00.062Z"),
        (1_790_000_000.9996, "2026-09-21T14:13:20.999Z"),
    ],
)
async def test_times_are_utc_to_the_millisecond(seconds: float, written: str) -> None:
    info = GalleryInfo("g", "g1", 1, "Flat", Metric.IP, 8, "fake@1")
    operations = GalleryOperations(GalleryService(OneGallery(GalleryEntry(info, 0.0, seconds))))
    (gallery,) = (await operations.galleries(GalleriesQuery())).galleries
    assert gallery.created_at == "1970-01-01T00:00:00.000Z"
    assert gallery.changed_at == written
