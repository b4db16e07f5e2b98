"""``face-serve evaluate``: accuracy on a set of photographs of your own."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from serve_app.cli.options import (
    DEFAULT_PIPELINE,
    DeviceOption,
    HpipOption,
    JsonOption,
    PipelineOption,
    WorkersOption,
)
from serve_app.cli.output import print_json, printable

Step = TypeVar("Step")


def evaluate(
    photographs: Annotated[
        Path,
        typer.Argument(
            metavar="SET", help="A directory with lists, a file of pairs, or a directory of people."
        ),
    ],
    pipeline: PipelineOption = DEFAULT_PIPELINE,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="What the paths in lists are relative to. Left out: the directory of the lists.",
        ),
    ] = None,
    fmr: Annotated[
        float,
        typer.Option(
            metavar="RATE",
            min=1e-9,
            max=0.1,
            help="1:1: the false match rate for which you wish a threshold.",
        ),
    ] = 1e-4,
    fpir: Annotated[
        float,
        typer.Option(
            metavar="RATE",
            min=0,
            max=1,
            help="1:N: the share of strangers that may be taken for somebody.",
        ),
    ] = 0.01,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the curves there: .png, .svg or .pdf."),
    ] = None,
    device: DeviceOption = None,
    use_hpip: HpipOption = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how well a pipeline recognises people on photographs of your own.

    Each image is embedded as enrolment would. One without a face counts as a miss. SET is

    \b
    - a directory with lists: a line of pairs.txt is `path path 1` for the same
      person, `path path 0` for two people; a line of gallery.txt (who is enrolled)
      and of probes.txt (who is looked for) is `path label`, with the label - for a
      stranger;
    - a file of pairs, also in LFW's form, `name n1 n2` or `name1 n1 name2 n2` for
      images name/name_0001.jpg;
    - a directory with a folder of pictures for each person: the first picture, by
      name, of everybody who has two or more is enrolled, the others are probes, and
      people with one picture are strangers.

    \b
    The figures:
      ten folds   1:1 accuracy as LFW reports it, on the listed pairs, or on pairs
                  drawn from people's images (as many genuine as impostor ones)
      TPR at FPR  share of genuine pairs that pass where 1e-3 and 1e-4 of the
                  impostor pairs do, over all pairs of images whose people are known
      threshold   for the false match rate --fmr, with its confidence interval
      rank-1      1:N: probes whose nearest template is the right person's
      FNIR        1:N: probes that are not recognised where --fpir of the strangers
                  pass

    A rate is refused unless 10 / rate impostor pairs stand behind it: 1e-4 needs 100,000, which
    450 people with one image each make.

    \b
    Examples:
      face-serve evaluate people --plot curve.png
      face-serve evaluate lfw/pairs.txt --images lfw/images
      face-serve evaluate people --fmr 1e-5 --json
    """
    from serve_app.config import default_cache_dir, load_pipeline
    from serve_app.evaluation.plot import check_plot
    from serve_app.evaluation.plot import plot as draw
    from serve_app.evaluation.report import report
    from serve_app.evaluation.run import evaluate as run
    from serve_app.evaluation.sets import open_set
    from serve_app.pipeline import open_pipeline
    from serve_app.pipeline.create import default_workers, with_options

    config = with_options(load_pipeline(pipeline), device, use_hpip, None)
    if plot:
        check_plot(plot)
    cache_dir = default_cache_dir(os.environ)
    result = run(
        open_set(photographs, images),
        lambda: open_pipeline(config, cache_dir),
        workers=workers or default_workers(config),
        fpir=fpir,
        fmr=fmr,
        progress=bar,
    )
    if plot:
        draw(result, plot)
    if as_json:
        print_json(dataclasses.asdict(result))
        return
    print("\n".join(printable(line) for line in report(result).split("\n")))
    if plot:
        print(f"\nThe curves are in {printable(str(plot))}.")


def bar(steps: Sequence[Step], what: str, /) -> Iterator[Step]:
    """A progress bar on standard error, if that is a terminal."""
    from tqdm import tqdm

    yield from tqdm(steps, desc=what, disable=None, leave=False, dynamic_ncols=True)
