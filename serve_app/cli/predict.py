"""``face-serve predict``: who is in these pictures, in this process and without a service."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from serve_app.cli.options import (
    DEFAULT_PIPELINE,
    DeviceOption,
    HpipOption,
    PipelineOption,
    WorkersOption,
)
from serve_app.cli.output import json_line, note
from serve_app.cli.recognised import Tally, described
from serve_app.cli.timing import as_dict, as_text
from serve_app.errors import FaceServeError, InvalidRequestError

if TYPE_CHECKING:
    from serve_app.pipeline.results import FaceResult

STDIN = "-"


def predict(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Pictures, directories (with all below them) and URLs; - reads more of them from "
            "standard input, one a line.",
        ),
    ],
    index: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The gallery to search: an index directory, as `face-serve index build` makes it. "
            "Left out: as the pipeline file says.",
        ),
    ] = None,
    pipeline: PipelineOption = DEFAULT_PIPELINE,
    device: DeviceOption = None,
    use_hpip: HpipOption = None,
    workers: WorkersOption = None,
    det_threshold: Annotated[
        float | None,
        typer.Option(metavar="X", help="Faces that the detector is less sure of are left out."),
    ] = None,
    rec_threshold: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            help="Who is farther than this is unknown: a cosine, or a squared distance for a "
            "gallery of metric L2.",
        ),
    ] = None,
    topk: Annotated[
        int | None, typer.Option(metavar="K", min=0, help="Candidates of a face, at the most.")
    ] = None,
    save_img: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Save each picture there with boxes and names drawn."),
    ] = None,
    save_json: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Save each picture's result there.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out what can't be read, and say so.")
    ] = False,
    live: Annotated[
        bool,
        typer.Option(
            "--live",
            help="Answer each picture before the next is read: for lists that are still being "
            "written. Slower.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON Lines instead of text: one object a picture.")
    ] = False,
    timings: Annotated[
        bool, typer.Option("--timings", help="Say at the end where the time went.")
    ] = False,
) -> None:
    """Say who is in these pictures.

    Each face is looked up in a gallery: its box, the nearest person, and how near. A face that
    nobody in the gallery is near enough to is unknown.

    \b
    Examples:
      face-serve index build people -o staff
      face-serve predict friends.jpg --index staff --save-img out
      find photos -name '*.jpg' | face-serve predict - --index staff --json
    """
    from serve_app.cli.progress import Progress
    from serve_app.config import load_pipeline
    from serve_app.pipeline.create import create_pipeline

    if index is None and load_pipeline(pipeline).index is None:  # before networks are loaded
        raise InvalidRequestError(
            "no gallery to search: name one with --index; `face-serve index build` makes one"
        )
    recogniser = create_pipeline(
        pipeline,
        device=device,
        use_hpip=use_hpip,
        index=index,
        workers=workers,
        record_timings=timings,
    )
    pictures = Pictures(inputs)
    results = recogniser.predict(
        iter(pictures) if live or pictures.typed else pictures,
        det_threshold=det_threshold,
        rec_threshold=rec_threshold,
        rec_topk=topk,
        on_error="skip" if skip_bad else "raise",
    )
    folders = Folders(save_img, save_json)
    tally = Tally()
    with Progress(pictures.count, saving=folders.any) as progress:
        for result in results:
            folders.save(result)
            tally.add(result)
            progress.print(json_line(dict(result)) if as_json else described(result))
            progress.step()
    if skip_bad and progress.left_out and not tally.pictures:
        raise InvalidRequestError("nothing that was given could be read")
    if not as_json:
        for line in (*tally.summary(progress.left_out), *folders.summary()):
            note(line)
    if timings:
        report = recogniser.timings.report()
        print(json_line({"timings": as_dict(report)}) if as_json else "\n" + as_text(report))


@dataclass(frozen=True, slots=True)
class Pictures(Iterable[str]):
    """What the arguments name, and standard input in the place of a ``-``. Read as it is taken."""

    inputs: Sequence[str]

    def __iter__(self) -> Iterator[str]:
        for given in self.inputs:
            if given == STDIN:
                yield from _lines()
            else:
                yield given

    def count(self) -> int | None:
        """How many there will be, where that can be known."""
        from serve_app.pipeline.image_files import images_in

        if STDIN in self.inputs:
            return None
        try:
            return sum(
                sum(1 for _ in images_in(given)) if Path(given).is_dir() else 1
                for given in self.inputs
            )
        except (FaceServeError, OSError):  # it is told when its turn comes
            return None

    @property
    def typed(self) -> bool:
        """Whether somebody types them, and waits for each answer."""
        return STDIN in self.inputs and sys.stdin.isatty()


def _lines() -> Iterator[str]:
    """Paths as programs write them: bytes that may be no text."""
    for line in sys.stdin.buffer:
        if path := line.rstrip(b"\r\n"):
            yield os.fsdecode(path)


@dataclass(frozen=True, slots=True)
class Folders:
    """Where results are saved, under the names of their pictures."""

    drawn: Path | None
    json: Path | None

    @property
    def any(self) -> bool:
        return bool(self.drawn or self.json)

    def save(self, result: FaceResult) -> None:
        if self.drawn is not None:
            result.save_to_img(f"{self.drawn}/")
        if self.json is not None:
            result.save_to_json(f"{self.json}/")

    def summary(self) -> Iterator[str]:
        if self.drawn is not None:
            yield f"drawn pictures: {self.drawn}/"
        if self.json is not None:
            yield f"results: {self.json}/"
