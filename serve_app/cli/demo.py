"""``face-serve demo``: enrol and recognise photographs on a running service, over its HTTP API."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serve_app.cli.options import ApiKeyOption, bearer
from serve_app.cli.output import table
from serve_app.errors import InvalidRequestError, UnavailableError

if TYPE_CHECKING:
    import httpx

    from serve_app.types import Image

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"}


@dataclass(frozen=True, slots=True)
class Photo:
    name: str
    content: bytes
    label: str = ""


def demo(
    photos: Annotated[
        Path | None,
        typer.Argument(
            help="A directory with a folder for each person, and pictures of any of them beside. "
            "Left out: one public-domain portrait from scikit-image."
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="Where the service listens.")] = 8080,
    api_key: ApiKeyOption = None,
    out: Annotated[Path, typer.Option(help="Where the drawn pictures go.")] = Path("out"),
) -> None:
    """Enrol people and recognise them, print the answers as a table, save the drawn pictures.

    The first picture in each person's folder is enrolled; all others are looked at.
    """
    import httpx

    enrolled, probes = _portrait() if photos is None else read_photos(photos)
    service = f"http://127.0.0.1:{port}"
    headers = bearer(api_key)
    with httpx.Client(base_url=service, headers=headers, timeout=120, trust_env=False) as client:
        gallery = _post(
            client,
            "/face-recognition-index-build",
            {
                "imageLabelPairs": [
                    {"image": _base64(photo.content), "label": photo.label} for photo in enrolled
                ],
                "onError": "skip",
            },
        )
        for rejection in gallery["rejected"]:
            photo = enrolled[rejection["position"]]
            print(f"not enrolled: {photo.name}: {rejection['reason']}")
        print(f"enrolled {gallery['imageCount']} faces in gallery {gallery['indexKey']}\n")
        out.mkdir(parents=True, exist_ok=True)
        rows: list[tuple[str, ...]] = [("picture", "face", "who", "score")]
        for photo in probes:
            body = {"image": _base64(photo.content), "indexKey": gallery["indexKey"]}
            answer = _post(client, "/face-recognition-infer", body)
            drawn = out / f"{Path(photo.name).stem}.jpg"
            drawn.write_bytes(base64.b64decode(answer["image"]))
            rows += _rows(photo.name, answer["faces"])
    print(table(rows))
    print(f"\ndrawn pictures: {out}/")


def read_photos(root: Path) -> tuple[list[Photo], list[Photo]]:
    """Photographs to enrol and to look at. Raises InvalidRequestError if nobody can be enrolled."""
    if not root.is_dir():
        raise InvalidRequestError(f"{root.name} is not a directory of photographs")
    enrolled: list[Photo] = []
    probes: list[Photo] = []
    for person in sorted(path for path in root.iterdir() if path.is_dir()):
        pictures = _pictures(person)
        enrolled += [Photo(path.name, path.read_bytes(), person.name) for path in pictures[:1]]
        probes += [Photo(path.name, path.read_bytes()) for path in pictures[1:]]
    probes += [Photo(path.name, path.read_bytes()) for path in _pictures(root)]
    if not enrolled:
        raise InvalidRequestError(
            f"{root.name} has nobody to enrol: make a folder for each person with pictures in it"
        )
    return enrolled, probes


def _portrait() -> tuple[list[Photo], list[Photo]]:
    """Eileen Collins, NASA, public domain; looked at darker, turned and from nearer."""
    import cv2
    import numpy as np

    from serve_app.imaging import encode_jpeg

    try:
        from skimage import data
    except ImportError:
        raise InvalidRequestError(
            "the portrait comes with scikit-image (extra dev): install it or name a directory"
        ) from None
    portrait = np.asarray(data.astronaut(), dtype=np.uint8)
    height, width = portrait.shape[:2]
    # Enlarged as far as it takes for the corners not to show.
    turn = cv2.getRotationMatrix2D((width / 2, height / 3), 10, 1.25)
    turned = cv2.warpAffine(portrait, turn, (width, height))
    changed: Image = (np.asarray(turned) * 0.8).astype(np.uint8)
    return (
        [Photo("portrait", encode_jpeg(portrait), "Eileen Collins")],
        [Photo("turned.jpg", encode_jpeg(changed))],
    )


def _pictures(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if path.suffix.lower() in SUFFIXES)


def _rows(name: str, faces: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    if not faces:
        return [(name, "-", "no face found", "")]
    rows: list[tuple[str, ...]] = []
    for number, face in enumerate(faces, start=1):
        who, score = "unknown", ""
        if face["recResults"]:
            best = face["recResults"][0]
            who, score = best["label"], f"{best['score']:.3f}"
        rows.append((name, str(number), who, score))
    return rows


def _post(client: httpx.Client, path: str, body: dict[str, Any]) -> Any:
    import httpx

    try:
        reply = client.post(path, json=body)
    except httpx.TransportError:
        raise UnavailableError(
            f"no service answers at {client.base_url}: start one with `make serve`"
        ) from None
    content = reply.json()
    if content["errorCode"] != 0:
        raise InvalidRequestError(content["errorMsg"])
    return content["result"]


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
