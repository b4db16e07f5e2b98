"""``face-serve evaluate``: accuracy on a set of photographs of your own."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from serve_app.config import default_cache_dir, load_pipeline
from serve_app.evaluation.metrics import Identification, Verification


def evaluate(
    directory: Annotated[
        Path,
        typer.Argument(help="Holds pairs.txt, or gallery.txt and probes.txt, or all three."),
    ],
    pipeline: Annotated[
        str, typer.Option(help="face_recognition (the embedded default) or a pipeline file.")
    ] = "face_recognition",
    fpir: Annotated[
        float, typer.Option(min=0, max=1, help="Share of strangers that may be accepted.")
    ] = 0.01,
    workers: Annotated[int, typer.Option(min=1, help="Threads, a pipeline each.")] = (
        os.cpu_count() or 1
    ),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead.")] = False,
) -> None:
    """Verification (1:1) and open-set identification (1:N) of a pipeline.

    pairs.txt: 'path path 1|0' a line (1: the same person). gallery.txt and probes.txt: 'path label'
    a line; label '-' marks a stranger. Paths are relative to DIRECTORY.
    """
    from serve_app.evaluation.run import evaluate as run
    from serve_app.pipeline import open_pipeline

    config = load_pipeline(pipeline)
    cache_dir = default_cache_dir(os.environ)

    def progress(done: int, total: int) -> None:
        if sys.stderr.isatty() and (done % 50 == 0 or done == total):
            print(f"\r{done}/{total} images", end="\n" if done == total else "", file=sys.stderr)

    result = run(
        directory,
        lambda: open_pipeline(config, cache_dir),
        workers=workers,
        fpir=fpir,
        progress=progress,
    )
    if as_json:
        print(json.dumps(dataclasses.asdict(result), indent=2))
        return
    print(f"model             {result.model_id}")
    print(f"images            {result.images}, {result.without_face} without a face")
    if result.verification:
        _print_verification(result.verification)
    if result.identification:
        _print_identification(result.identification)


def _print_verification(figures: Verification) -> None:
    print(
        f"1:1 accuracy      {figures.accuracy:.2%} of {figures.pairs} pairs at threshold "
        f"{figures.threshold:.3f}; {figures.ten_fold_accuracy:.2%} in ten folds"
    )


def _print_identification(figures: Identification) -> None:
    print(f"1:N rank-1        {figures.rank1 / figures.probes:.1%} "
          f"({figures.rank1} of {figures.probes})")  # fmt: skip
    print(f"1:N recognised    {figures.recognised / figures.probes:.1%} "
          f"({figures.recognised} of {figures.probes}) at threshold {figures.threshold:.3f}, "
          f"where {figures.accepted_strangers} of {figures.strangers} strangers pass")  # fmt: skip
