"""``face-serve verify``: do two pictures show the same person."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serve_app.cli.options import DEFAULT_PIPELINE, DeviceOption, JsonOption, PipelineOption
from serve_app.cli.output import note, print_json, printable
from serve_app.errors import FaceServeError

if TYPE_CHECKING:
    from serve_app.pipeline import FacePipeline
    from serve_app.types import Image, Vectors

DIFFERENT = 1
"""Exit code of two different people."""


def verify(
    a: Annotated[str, typer.Argument(metavar="A", help="A picture: a path or a URL.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The other one.")],
    pipeline: PipelineOption = DEFAULT_PIPELINE,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="COSINE",
            min=-1,
            max=1,
            help="At least so near are the same. Left out: the pipeline's rec_threshold.",
        ),
    ] = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether two pictures show the same person. Exit code 0: the same; 1: different people.

    The largest face of each picture is compared, as enrolment would take it.

    \b
    Examples:
      face-serve verify passport.jpg selfie.jpg
      face-serve verify a.jpg b.jpg --threshold 0.5 --json
      face-serve verify a.jpg b.jpg && echo "they are the same"
    """
    from serve_app.config import default_cache_dir, load_pipeline
    from serve_app.pipeline import open_pipeline
    from serve_app.pipeline.create import LIMITS, with_options
    from serve_app.pipeline.inputs import InputReader
    from serve_app.pipeline.url_images import UrlReader

    config = with_options(load_pipeline(pipeline), device, None, None)
    threshold = config.rec_threshold if threshold is None else threshold
    reader = InputReader(LIMITS, UrlReader(max_bytes=LIMITS.max_bytes))
    pictures = [(reader.one(given), reader.one(given).pixels()) for given in (a, b)]
    stages = open_pipeline(config, default_cache_dir(os.environ), LIMITS)
    left, right = (_look(picture.where, pixels, stages) for picture, pixels in pictures)
    score = float(left.vector[0] @ right.vector[0])
    same = score >= threshold
    if as_json:
        print_json(
            {
                "same": same,
                "score": score,
                "threshold": threshold,
                "model": stages.extractor.model_id,
                "pictures": [left.as_dict(), right.as_dict()],
            }
        )
    else:
        print(f"{'same person' if same else 'different people'}: "
              f"cosine {score:.3f}, threshold {threshold:.3f}")  # fmt: skip
        for seen in (left, right):
            if seen.faces > 1:
                note(
                    f"{printable(seen.picture)} shows {seen.faces} faces: the largest was compared"
                )
    if not same:
        raise typer.Exit(DIFFERENT)


@dataclass(frozen=True, slots=True)
class Seen:
    """One picture. ``faces``: how many it shows; ``box`` and ``vector`` (1, D): of the one that
    counts, without a box where pictures are embedded whole."""

    picture: str
    faces: int
    box: tuple[float, float, float, float] | None
    vector: Vectors

    def as_dict(self) -> dict[str, Any]:
        box = None if self.box is None else list(self.box)
        return {"input_path": self.picture, "faces": self.faces, "coordinate": box}


def _look(name: str, pixels: Image, stages: FacePipeline) -> Seen:
    """Raises what enrolment would, naming the picture."""
    from serve_app.policy import face_to_enrol

    try:
        if not stages.config.enrol.detect:
            return Seen(name, 1, None, stages.embed_for_enrolment(pixels).vectors)
        faces = stages.detect(pixels)
        face = face_to_enrol(faces, stages.config.enrol.faces)
        (embedded,) = stages.embed([face.crop])
        if isinstance(embedded, FaceServeError):
            raise embedded
        return Seen(name, len(faces), face.box, embedded.vectors)
    except FaceServeError as error:
        raise type(error)(f"{name}: {error}") from None
