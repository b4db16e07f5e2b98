"""``make bench-jobs``: bulk jobs beside the networks alone, their memory, their scale, and a
million ready embeddings into a served gallery.

``images``: a set with gallery.txt (repeated until there are as many as asked), else the embedded
portrait; ``scale``: networks of fixed latency; ``million``: see ``load_tests.bulk.million``.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from load_tests import pictures
from load_tests.bulk.million import million
from load_tests.bulk.run import run
from load_tests.without_service.run import networks_alone

PARTS = ("images", "scale", "million")
ALONE_S = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, choices=PARTS)
    parser.add_argument("--faces", type=Path, help="a directory with gallery.txt")
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 13_000])
    parser.add_argument("--embeddings", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fs-", dir="/tmp") as directory:
        work = Path(directory)
        for number in range(options.rounds):
            if "images" in options.parts:
                images(work / f"images-{number}", options.faces, options.images)
            if "scale" in options.parts:
                scale(work / f"scale-{number}")
            if "million" in options.parts:
                million(work / f"million-{number}", options.embeddings)


def images(work: Path, faces: Path | None, counts: list[int]) -> None:
    alone = networks_alone(pictures.small(), ALONE_S)
    print(f"networks alone: {alone.rate:.0f} images/s, {alone.cpu_ms:.2f} CPU-ms an image")
    print("\n| images | images/s | of the networks | CPU-ms an image | of the networks | MB |")
    print("|---|---|---|---|---|---|")
    for count in counts:
        given = annotation(work / str(count), faces, count)
        ran = run(given, work / str(count) / "data")
        print(
            f"| {count} | {ran.rate:.0f} | {ran.rate / alone.rate:.2f} | {ran.cpu_ms:.2f} "
            f"| {alone.cpu_ms / ran.cpu_ms:.2f} | {ran.memory_mb():.0f} |",
            flush=True,
        )
    again = networks_alone(pictures.small(), ALONE_S)
    print(f"\nnetworks alone, after: {again.rate:.0f} images/s, {again.cpu_ms:.2f} CPU-ms an image")


def scale(work: Path) -> None:
    """One embedding actor to four, each with a logical GPU: 100 ms and 10 ms a face."""
    print("\n| extractors | faces/s | of linear |\n|---|---|---|")
    first = 0.0
    for extractors in (1, 2, 4):
        given = annotation(work / str(extractors), None, 250 * extractors * 4)
        ran = run(
            given, work / str(extractors) / "data", "--stand-in", "--gpus", "1",
            "--extractors", str(extractors), "--detectors", "1",
        )  # fmt: skip
        first = first or ran.rate
        print(
            f"| {extractors} | {ran.rate:.1f} | {ran.rate / first / extractors:.2f} |", flush=True
        )


def annotation(directory: Path, faces: Path | None, count: int) -> Path:
    """A gallery.txt of ``count`` lines, beside links to its images."""
    directory.mkdir(parents=True)
    if faces is None:
        (directory / "portrait.jpg").write_bytes(pictures.small().content)
        lines = [f"portrait.jpg person-{number % 100}" for number in range(count)]
    else:
        (directory / "images").symlink_to((faces / "images").resolve())
        given = (faces / "gallery.txt").read_text(encoding="utf-8").splitlines()
        lines = [given[number % len(given)] for number in range(count)]
    (directory / "gallery.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return directory


if __name__ == "__main__":
    main()
