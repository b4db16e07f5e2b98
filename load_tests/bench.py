"""``make bench``: one report that holds the service against what it is made of, on this machine.

Networks alone, the in-process pipeline, the service at 1 to 64 clients, drawing, gallery sizes,
overload, a stand-in for the accelerator and, where its environment is named, PaddleX's server.
Figures are worth something as ratios within one run: machines differ and are shared.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from load_tests import pictures
from load_tests.findings import Section
from load_tests.measured import cores_in_use
from load_tests.parts import (
    arrivals,
    drawing,
    fixed_latency,
    gallery_size,
    idle,
    overload,
    paddlex,
)
from load_tests.parts import side_by_side as beside
from load_tests.peer.server import PYTHON, interpreter
from load_tests.report.files import facts, write
from load_tests.target import Target, patient, running, serve_file, started

OF_A_PATIENT_SERVICE = ("idle", "small", "group", "arrivals", "drawing", "galleries")
"""One that lets clients wait that do nothing else. Overload is for the service as it is."""
PARTS = (*OF_A_PATIENT_SERVICE, "overload", "stand-in", "paddlex")
SMALL_SHARE, GROUP_SHARE = 0.85, 0.92


@dataclass(frozen=True, slots=True)
class Lengths:
    """Seconds of each measurement, and how often what is compared in turns has its turn."""

    clients: float = 10
    arrivals: float = 15
    idle: float = 20
    turns: float = 5
    rounds: int = 3
    steady: float = 30
    overload: float = 60
    stand_in: float = 15
    peer: float = 10


QUICK = Lengths(
    clients=4, arrivals=4, idle=8, turns=3, rounds=2, steady=8, overload=10, stand_in=6, peer=5
)


class Bench:
    """``parts``: which of PARTS. What was found is in ``sections``, in the order of the parts; one
    that failed says so there, and the others go on."""

    def __init__(self, parts: set[str], lengths: Lengths) -> None:
        self.sections: list[Section] = []
        self.runs: list[beside.SideBySide] = []
        self.failed: list[str] = []
        self._parts = parts
        self._lengths = lengths
        self._faiss_ms = float("nan")

    def run(self, port: int | None) -> None:
        if self._parts & {*OF_A_PATIENT_SERVICE, "overload"}:
            self._part("service", lambda: self._service(port))
        lengths = self._lengths
        if "stand-in" in self._parts:
            cores = len(os.sched_getaffinity(0))
            replicas = fixed_latency.ENDS if lengths is QUICK else fixed_latency.REPLICAS
            self._part(
                "stand-in",
                lambda: self._add(
                    fixed_latency.measure(
                        pictures.small(), seconds=lengths.stand_in, replicas=replicas, cores=cores
                    )
                ),
            )
        python = interpreter(os.environ)
        if "paddlex" in self._parts and python is not None:
            plain = lengths is not QUICK
            self._part(
                "paddlex",
                lambda: self._add(paddlex.measure(python, seconds=lengths.peer, plain=plain)),
            )
        elif "paddlex" in self._parts:
            say(f"PaddleX is left out: {PYTHON} names no environment of it")

    def _part(self, name: str, measure: Callable[[], None]) -> None:
        try:
            measure()
        except Exception as error:
            traceback.print_exc()
            self.failed.append(name)
            note = f"Failed: {type(error).__name__}. Its traceback is in the terminal."
            self.sections.append(Section(name, [], [], notes=[note]))

    def _service(self, port: int | None) -> None:
        if port is not None:
            target = running(port)
            self._measure_service(target)
            if "overload" in self._parts:
                self._part("overload", lambda: self._overload(target))
            return
        with started(patient(serve_file("local")), prepare=self._prepare) as target:
            self._measure_service(target)
        if "overload" in self._parts:
            with started(serve_file("local")) as target:
                self._part("overload", lambda: self._overload(target))

    def _prepare(self, data_dir: Path) -> None:
        if "galleries" in self._parts:
            say("building galleries of 100 and 100,000 templates")
            self._faiss_ms = gallery_size.prepare(data_dir)

    def _measure_service(self, target: Target) -> None:
        lengths, small = self._lengths, pictures.small()
        idle_cores, section = idle.measure(target, lengths.idle)
        self._add(section)
        key = enrolled(target, small)
        parts: dict[str, Callable[[], None]] = {
            "small": lambda: self._side_by_side(target, small, key, idle_cores, SMALL_SHARE),
            "group": lambda: self._side_by_side(
                target, pictures.group(), key, idle_cores, GROUP_SHARE
            ),
            "arrivals": lambda: self._add(
                arrivals.measure(
                    target, small, key, idle_cores, self._capacity, seconds=lengths.arrivals
                )
            ),
            "drawing": lambda: self._add(
                drawing.measure(
                    target,
                    pictures.vga(),
                    key,
                    idle_cores,
                    seconds=lengths.turns,
                    rounds=lengths.rounds,
                )
            ),
            "galleries": lambda: self._add(
                gallery_size.measure(
                    target,
                    small,
                    self._faiss_ms,
                    idle_cores,
                    seconds=lengths.turns,
                    rounds=lengths.rounds,
                )
            ),
        }
        for name, measure in parts.items():
            # A service that runs already has no galleries of ours.
            possible = {"galleries": target.data_dir is not None}
            if name in self._parts and possible.get(name, True):
                self._part(name, measure)

    def _overload(self, target: Target) -> None:
        small, lengths = pictures.small(), self._lengths
        self._add(
            overload.measure(
                target,
                small,
                enrolled(target, small),
                self._capacity,
                seconds=lengths.overload,
                steady_s=lengths.steady,
            )
        )

    def _side_by_side(
        self,
        target: Target,
        picture: pictures.Picture,
        key: str,
        idle_cores: float,
        share: float,
    ) -> None:
        found = beside.measure(target, picture, key, idle_cores, seconds=self._lengths.clients)
        self.runs.append(found)
        self._add(beside.section(found, share))

    @property
    def _capacity(self) -> float:
        """Small pictures a second, as the part of that name found. Raises RuntimeError."""
        for run in self.runs:
            if run.picture.faces == 1:
                return run.capacity
        raise RuntimeError("this part goes by the capacity that the part `small` measures")

    def _add(self, section: Section) -> None:
        self.sections.append(section)
        say(section.title)
        for finding in section.findings:
            say(f"  {finding.must_hold} {finding.what}: {finding.measured:.3g} {finding.unit}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, help="of a running service; left out, one is started")
    parser.add_argument("--quick", action="store_true", help="short: to see that it runs")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--output", type=Path, default=Path("out/bench"))
    options = parser.parse_args()
    began, used_by_others = time.monotonic(), cores_in_use()
    bench = Bench(set(options.parts), QUICK if options.quick else Lengths())
    bench.run(options.port)
    told = facts() | {
        "Others": f"used {used_by_others:.2f} cores when the run began: figures of a busy machine "
        "are worth less",
        "Took": f"{(time.monotonic() - began) / 60:.0f} minutes"
        + (", with --quick: too short for judging" if options.quick else ""),
    }
    report = write(options.output, bench.sections, bench.runs, told)
    print(report.read_text(encoding="utf-8"))
    print(f"written to {report}, with report.json and curve.png beside it")
    if bench.failed:
        sys.exit(f"failed: {', '.join(bench.failed)}")


def enrolled(target: Target, picture: pictures.Picture) -> str:
    """A gallery with ``picture`` in it."""
    pair = {"image": picture.base64, "label": pictures.LABEL}
    built = target.post("/face-recognition-index-build", {"imageLabelPairs": [pair]})
    return str(built["indexKey"])


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
