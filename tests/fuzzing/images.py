"""Images changed at random, by coverage, through the service's own decoding: atheris (libFuzzer).

``python -m tests.fuzzing.images`` runs until ``--seconds`` are over or something is found: what
``decoding.check`` raises, more memory or more time than an image may cost. What was found is kept
in ``--findings``, as is the corpus, with which the next run begins. Only Python is instrumented:
Pillow's parsers and our own; OpenCV's readers get whatever comes through those.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["serve_app", "PIL"]):
    from PIL import Image as PillowImage

    from tests.fuzzing.decoding import MAX_BYTES, check, repaired

    PillowImage.init()  # its parsers, which it would load when they are needed

from tests.fuzzing.seeds import seeds

RSS_LIMIT_MB = 512
"""Of the whole process: its libraries take about 110, the pixels of an image 12 a copy."""
TIMEOUT_S = 10


def mutated(data: bytes, max_size: int, seed: int) -> bytes:
    """Any change; every other time with checksums that are right again."""
    changed: bytes = atheris.Mutate(data, max_size)
    return repaired(changed) if seed % 2 else changed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0, help="0: another one each time")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("file", nargs="*", help="decode these and end: a finding again")
    arguments = parser.parse_args()
    corpus = arguments.findings / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for name, data in seeds().items():
        (corpus / name.replace(" ", "-")).write_bytes(data)
    flags = [
        sys.argv[0],
        f"-max_total_time={arguments.seconds}",
        f"-seed={arguments.seed}",
        f"-max_len={MAX_BYTES}",
        f"-rss_limit_mb={RSS_LIMIT_MB}",
        f"-timeout={TIMEOUT_S}",
        f"-artifact_prefix={arguments.findings}/",
        "-print_final_stats=1",
    ]
    # libFuzzer ends the process itself.
    atheris.Setup([*flags, *(arguments.file or [str(corpus)])], check, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
