"""Five times more than the service can do, for a minute: it must bend and not break."""

from __future__ import annotations

from dataclasses import dataclass

from load_tests.findings import Cell, Finding, Section
from load_tests.machine.memory_log import MemoryLog
from load_tests.measured import infer
from load_tests.pictures import LABEL, Picture
from load_tests.target import Target
from load_tests.traffic.attempts import Attempt
from load_tests.traffic.generator import send
from load_tests.traffic.plan import Phase, Plan
from load_tests.traffic.summary import Summary, last_bad, percentile, phases, summarise

STEADY_SHARE, OVERLOAD_SHARE = 0.8, 5.0
P99_BAR = 3.0
REFUSED_WITHIN_MS = 50.0
RECOVERED_WITHIN_S = 5.0
AFTER_S = 20.0
MEMORY_EVERY_S = 2.0
GROWTH_BAR = 1.05
TOO_MANY = 429


@dataclass(frozen=True, slots=True)
class Refusals:
    """Answers of 429. ``advised``: share of them with Retry-After."""

    count: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    advised: float


def measure(
    target: Target, picture: Picture, key: str, capacity: float, *, seconds: float, steady_s: float
) -> Section:
    """``capacity``: images a second, as clients that wait reached it."""
    request = infer(picture.base64, key, expects=LABEL)
    rates = {"steady": STEADY_SHARE * capacity, "overload": OVERLOAD_SHARE * capacity}
    plan = Plan(
        (
            Phase("warm", 3, rate=rates["steady"]),
            Phase("steady", steady_s, rate=rates["steady"]),
            Phase("overload", seconds, rate=rates["overload"]),
            Phase("after", AFTER_S, rate=rates["steady"]),
        ),
        (request,),
        timeout_s=120,
    )
    with MemoryLog(target.processes, MEMORY_EVERY_S) as log:
        traffic = send(plan, target.url)
    by_phase = phases(traffic.attempts)
    lasting = {phase.name: phase.seconds for phase in plan.phases}
    told = {name: summarise(found, lasting[name]) for name, found in by_phase.items()}
    limit_s = P99_BAR * told["steady"].p99_ms / 1e3
    overload_ends_s = 3 + steady_s + seconds
    last = last_bad(by_phase["after"], lambda one: not one.is_good or one.latency_s > limit_s)
    refused = _refusals(by_phase["overload"])
    neither = [one for one in by_phase["overload"] if not one.is_good and one.status != TOO_MANY]
    return Section(
        f"Overload, {OVERLOAD_SHARE:g} times {capacity:.0f} images/s for {seconds:.0f} s, "
        f"{picture.name}",
        ["", "sent/s", "answered/s", "p50 ms", "p99 ms", "max ms", "statuses",
         "client late, p99 ms"],
        [_row(name, told[name], lasting[name]) for name in ("steady", "overload", "after")],
        [
            Finding("4", f"p99 of accepted requests to that at {STEADY_SHARE} of capacity",
                    told["overload"].p99_ms / told["steady"].p99_ms, P99_BAR, "times"),
            Finding("4", "429 within, p99", refused.p99_ms, REFUSED_WITHIN_MS, "ms"),
            Finding("4", "neither accepted nor 429", len(neither), 0),
            Finding("4", "429 without Retry-After", refused.count * (1 - refused.advised), 0),
            Finding("4", "memory: second half of the overload to the first, peaks",
                    _growth(log, 3 + steady_s, seconds), GROWTH_BAR, "times"),
            Finding("4", "full speed after", 0.0 if last is None else last - overload_ends_s,
                    RECOVERED_WITHIN_S, "s"),
        ],
        [
            f"429: {refused.count}, p50 {refused.p50_ms:.0f}, p99 {refused.p99_ms:.0f}, at most "
            f"{refused.max_ms:.0f} ms from when each was due; the client shares the cores, and was "
            f"late by {told['overload'].late_ms:.0f} ms (p99) itself.",
            "Full speed: from then on every request is answered, and within three times the "
            "steady p99.",
        ],
        {"statuses": {name: one.statuses for name, one in told.items()},
         "capacity": capacity,
         "memory_mb": list(zip(log.at_s, (seen.pss for seen in log.seen), strict=True))},
    )  # fmt: skip


def _row(name: str, told: Summary, seconds: float) -> list[Cell]:
    statuses = ", ".join(f"{status}: {count}" for status, count in told.statuses.items())
    return [name, told.sent / seconds, told.rate, told.p50_ms, told.p99_ms, told.max_ms, statuses,
            told.late_ms]  # fmt: skip


def _refusals(attempts: list[Attempt]) -> Refusals:
    refused = [one for one in attempts if one.status == TOO_MANY]
    took = [1e3 * one.latency_s for one in refused]
    advised = sum(one.retry_after for one in refused) / max(1, len(refused))
    p50, p99, longest = (percentile(took, q) for q in (50, 99, 100))
    return Refusals(len(refused), p50, p99, longest, advised)


def _growth(log: MemoryLog, start_s: float, seconds: float) -> float:
    """``start_s``: about when the overload began; the client takes a second to start."""
    halves: tuple[list[float], list[float]] = ([], [])
    for at_s, pss in zip(*log.pss_since(start_s + 1), strict=True):
        if at_s < start_s + 1 + seconds:
            halves[at_s >= start_s + 1 + seconds / 2].append(pss)
    return max(halves[1]) / max(halves[0]) if all(halves) else float("nan")
