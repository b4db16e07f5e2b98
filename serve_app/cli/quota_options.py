"""Quotas as options, and as words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from serve_app.access import Quota

RequestsOption = Annotated[
    float | None, typer.Option(metavar="N", help="Requests a second, on average.")
]
BurstOption = Annotated[
    float | None,
    typer.Option(metavar="N", help="Requests at once; left out, two seconds' worth."),
]
BodyBytesOption = Annotated[int | None, typer.Option(metavar="N", help="Bytes of one request.")]
FacesOption = Annotated[
    int | None, typer.Option(metavar="N", help="Faces that the tenant may have enrolled.")
]
GalleriesOption = Annotated[
    int | None, typer.Option(metavar="N", help="Galleries that the tenant may have.")
]


def quota_of(
    requests_per_s: float | None,
    burst: float | None,
    body_bytes: int | None,
    faces: int | None,
    galleries: int | None,
) -> Quota:
    """Raises InvalidRequestError for a limit that can't be kept."""
    from serve_app.access import Quota

    quota = Quota(requests_per_s, burst, body_bytes, faces, galleries)
    quota.check()
    return quota


def quota_text(quota: Quota) -> str:
    from dataclasses import asdict

    limits = {name: value for name, value in asdict(quota).items() if value is not None}
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in limits.items()) or "-"
