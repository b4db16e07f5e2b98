"""``make bench-decode``: large photographs, decoded whole and as small as the detector needs them.

Speed: photographs enlarged to 12 and 24 megapixels, both ways in turns, one thread, the least of
the rounds. Accuracy, where a set of faces is named: its images in mosaics of that size, small,
medium and large; what is found, how close the embeddings are, and 1:1 on its pairs.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from load_tests import pictures
from load_tests.mosaics import jpeg, mosaics, resized
from serve_app.config import Limits, PipelineConfig, default_cache_dir
from serve_app.evaluation.embedding import Embedded
from serve_app.evaluation.figures.verification import verification
from serve_app.evaluation.run import listed_scores
from serve_app.evaluation.sets import EvaluationSet
from serve_app.evaluation.sets.opening import open_set
from serve_app.imaging import leave_threads_to_callers
from serve_app.models.detector import DetectStage
from serve_app.models.extractor import ExtractStage
from serve_app.models.photograph import MEASURED, Margins
from serve_app.models.zoo.opening import open_detector, open_extractor
from serve_app.request_context import Spans
from serve_app.types import Face

SIZES = {12: (4000, 3000), 24: (6000, 4000)}
"""Width and height by megapixels."""
TILES = {"small": 14, "medium": 7, "large": 3}
"""Tiles in a width; an LFW face is a third of its tile."""

Stages = Mapping[str, DetectStage]
Vectors = dict[str, NDArray[np.float32]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "faces", type=Path, nargs="?", help="a set, as face-serve evaluate takes it"
    )
    parser.add_argument("--photos", type=Path, nargs="*", help="left out, a group")
    parser.add_argument("--megapixels", type=int, nargs="+", default=[12, 24], choices=SIZES)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--margins", nargs="*", default=[], help="others to try, as 3,1.5")
    options = parser.parse_args()
    leave_threads_to_callers()
    config, cache = PipelineConfig(), default_cache_dir(os.environ)
    detector = open_detector(config, cache)
    ways: dict[str, Margins | None] = {"whole": None, "reduced": MEASURED}
    for written in options.margins:
        detect, crop = map(float, written.split(","))
        ways[written] = Margins(detect, crop)
    stages = {
        name: DetectStage(detector, Limits().image, config.max_faces, margins)
        for name, margins in ways.items()
    }
    print("ms an image, one thread: decode / detect and crop\n")
    print(f"| | faces | {' | '.join(ways)} | whole to reduced |\n|{'---|' * (len(ways) + 3)}")
    for name, photo in photographs(options.photos):
        for megapixels in options.megapixels:
            speed(f"{name}, {megapixels} MP", photo, megapixels, stages, options.rounds)
    if options.faces:
        extractor = open_extractor(config, cache)
        accuracy(open_set(options.faces), options.megapixels, stages, extractor)


def photographs(files: Sequence[Path] | None) -> list[tuple[str, NDArray[np.uint8]]]:
    if files:
        return [(file.stem, np.asarray(cv2.imread(str(file)), dtype=np.uint8)) for file in files]
    group = pictures.group()
    content = np.frombuffer(group.content, dtype=np.uint8)
    return [(group.name, np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR), dtype=np.uint8))]


def speed(
    name: str, photo: NDArray[np.uint8], megapixels: int, stages: Stages, rounds: int
) -> None:
    """The photograph keeps its shape."""
    factor = (megapixels * 1e6 / (photo.shape[0] * photo.shape[1])) ** 0.5
    content = jpeg(resized(photo, round(photo.shape[1] * factor), round(photo.shape[0] * factor)))
    least = {way: (float("inf"), 0.0) for way in stages}
    faces: list[Face] = []
    for _ in range(rounds):
        for way, stage in stages.items():
            spans = Spans()
            started = time.perf_counter()
            faces = stage.detect_timed(content, 0.6, spans)
            total = (time.perf_counter() - started) * 1000
            least[way] = min(least[way], (total, spans.seconds["decode"] * 1000))
    cells = [f"{decode:.0f} / {total - decode:.0f}" for total, decode in least.values()]
    ratio = least["whole"][0] / least["reduced"][0]
    print(f"| {name} | {len(faces)} | {' | '.join(cells)} | {ratio:.2f} |", flush=True)


def accuracy(
    photographs: EvaluationSet, megapixels: Sequence[int], stages: Stages, extractor: ExtractStage
) -> None:
    """Found: images of the set whose face is found. Cosine: to the embedding of the whole image's
    crop. Wrong: pairs at the best threshold for them."""
    print(
        "\n| | | found | lost / gained | cosine, mean / 1 % / least | box, mean / most | wrong | "
    )
    print(f"|{'---|' * 7}")
    for size in megapixels:
        for name, tiles in TILES.items():
            embedded, faces = embeddings(photographs, SIZES[size], tiles, stages, extractor)
            for way in stages:
                row = compared(photographs, embedded, faces, way)
                print(f"| {size} MP, {name} | {way} | {row} |", flush=True)


def embeddings(
    photographs: EvaluationSet,
    size: tuple[int, int],
    tiles: int,
    stages: Stages,
    extractor: ExtractStage,
) -> tuple[dict[str, Vectors], dict[str, dict[str, Face]]]:
    """Vectors and faces of each way, by image."""
    names = sorted({name for pair in photographs.pairs for name in (pair.first, pair.second)})
    vectors: dict[str, Vectors] = {way: {} for way in stages}
    found: dict[str, dict[str, Face]] = {way: {} for way in stages}
    for mosaic in mosaics(photographs.root, names, *size, size[0] // tiles):
        for way, stage in stages.items():
            shown = mosaic.shown(stage.detect(mosaic.content, 0.6))
            found[way] |= shown
            embedded = extractor.run([face.crop[np.newaxis] for face in shown.values()])
            for name, one in zip(shown, embedded, strict=True):
                if isinstance(one, Exception):
                    raise one
                vectors[way][name] = one.vectors[0]
    return vectors, found


def compared(
    photographs: EvaluationSet,
    vectors: Mapping[str, Vectors],
    faces: Mapping[str, Mapping[str, Face]],
    way: str,
) -> str:
    whole, other = vectors["whole"], vectors[way]
    both = sorted(whole.keys() & other.keys())
    cosines = np.array([float(whole[name] @ other[name]) for name in both])
    moved = np.array([_moved(faces["whole"][name], faces[way][name]) for name in both])
    embedded = Embedded("", other, {})
    pairs = verification(*listed_scores(photographs, embedded, embedded))
    return (
        f"{len(other)} | {len(whole) - len(both)} / {len(other) - len(both)} | {cosines.mean():.4f}"
        f" / {np.quantile(cosines, 0.01):.3f} / {cosines.min():.3f} | {moved.mean():.2%} / "
        f"{moved.max():.1%} | {pairs.wrong} of {pairs.pairs}: {pairs.accuracy:.2%}, "
        f"folds {pairs.ten_fold_accuracy or 0:.2%}"
    )


def _moved(one: Face, other: Face) -> float:
    """By how much of its width the farthest side of a box lies elsewhere."""
    difference = np.abs(np.subtract(one.box, other.box)).max()
    return float(difference / (one.box[2] - one.box[0]))


if __name__ == "__main__":
    main()
